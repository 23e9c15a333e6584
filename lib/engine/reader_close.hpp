#pragma once

#include <rangeio/error.hpp>

#include "engine/pool_core.hpp"
#include "engine/reader_core.hpp"
#include "runtime/mutex.hpp"
#include "runtime/operation.hpp"

#include <memory>

namespace rangeio::engine {

/// Ends a reader: waits for its reads, and for its pool if it owns one.
class reader_close final : public runtime::operation,
                           public detail::outcome_of<void>,
                           private pool_waiter,
                           private reader_closer {
public:
    /// A null `reader` is the failure of the operation.
    explicit reader_close(std::shared_ptr<reader_core> reader) : reader_(std::move(reader)) {}

    error_value outcome() noexcept override { return why_; }

private:
    void start() noexcept override;
    void stop(const error_value& why) noexcept override;
    bool untouched() noexcept override { return false; }  // the reader closes in any case
    void reject(const error_value& why) noexcept override { why_ = why; }
    void granted(lease) noexcept override {}
    void answered(const error_value& why) noexcept override { ended(why); }
    void reads_ended(const error_value& why) noexcept override { ended(why); }

    void ended(const error_value& why) noexcept;

    const std::shared_ptr<reader_core> reader_;
    runtime::mutex mutex_;
    int left_ = 0;  // the reads, and the pool
    error_value why_;
};

}  // namespace rangeio::engine
