#pragma once

#include <rangeio/detail/destination.hpp>
#include <rangeio/fetch_options.hpp>

#include "engine/read_operation.hpp"
#include "engine/reads.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

namespace rangeio::engine {

/// A read of one range, in one part on one stream, into the caller's memory.
class undivided_read : public read_operation, public detail::outcome_of<std::size_t> {
public:
    error_value outcome(std::size_t& bytes) noexcept override {
        const error_value why = end();
        bytes = why ? prefix(range_) : total_;
        return why;
    }

protected:
    /// A null `stream` is to be set by use().
    undivided_read(
        std::shared_ptr<pool_core> pool,
        std::shared_ptr<multi_range_downloader> stream,
        byte_range range,
        detail::destination destination,
        const read_options& options
    )
        : read_operation(std::move(pool), std::move(stream)),
          range_(1, range),
          destination_(std::move(destination)),
          allow_short_(options.allow_short()) {
        limit(options.timeout());
    }
    ~undivided_read() override = default;

    byte_range range() const noexcept { return range_.front(); }
    error_value check() override { return check_destination(destination_.size(), range()); }

private:
    /// The newest report of the object when the range has ended.
    virtual std::shared_ptr<const object_info> reported() const = 0;

    error_value plan(read_round& round) override {
        if (!range().empty()) append_parts(round.parts, range_, range().offset(), destination_);
        return {};
    }
    error_value validate() override {
        return validate_parts(range(), range_, *reported(), allow_short_, total_);
    }
    std::string doing() const override { return naming(range()); }

    const range_list range_;
    const detail::destination destination_;
    const bool allow_short_;
    std::size_t total_ = 0;
};

}  // namespace rangeio::engine
