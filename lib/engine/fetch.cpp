#include <rangeio/mrd_pool.hpp>
#include <rangeio/split_range.hpp>

#include "bytes/planner.hpp"
#include "engine/pool_core.hpp"
#include "engine/read_operation.hpp"
#include "engine/reads.hpp"
#include "engine/undivided_read.hpp"
#include "error_text.hpp"
#include "option_range.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

// Reads of ranges: into the caller's memory, into fresh memory, in chunks, scattered.

namespace rangeio {
namespace engine {
namespace {

using pool_ptr = std::shared_ptr<pool_core>;

/// Into the caller's memory.
class fetch_operation : public read_operation, public detail::outcome_of<std::size_t> {
public:
    fetch_operation(
        pool_ptr pool, byte_range range, detail::destination destination, const fetch_options& options
    )
        : read_operation(std::move(pool)),
          range_(range),
          destination_(std::move(destination)),
          options_(options) {
        limit(options.timeout());
    }

    error_value outcome(std::size_t& bytes) noexcept override {
        const error_value why = end();
        bytes = done_ + (why ? prefix(ranges_) : total_);
        return why;
    }

protected:
    error_value check() override { return check_destination(destination_.size(), range_); }

    byte_range range() const noexcept { return range_; }
    void use_memory(std::span<std::byte> memory) { destination_ = memory; }

private:
    error_value plan_opening(read_round& round) override {
        if (const error_value why = check_division(options_)) return why;
        if (!rides(range_, options_)) return {};
        ranges_.assign(1, range_);
        append_parts(round.parts, ranges_, range_.offset(), destination_);
        return {};
    }
    error_value plan(read_round& round) override {
        ranges_.clear();
        if (done_ == range_.length() && done_ != 0) return {};
        if (const error_value why = plan_fetch(rest(), *object(), options_, ranges_)) return why;
        append_parts(round.parts, ranges_, range_.offset(), destination_);
        return {};
    }
    error_value validate() override {
        if (opening()) {
            // Whether the object ends there is for the next plan: its size may have been reported by another call.
            done_ = received(0);
            return {};
        }
        return validate_parts(rest(), ranges_, *object(), options_.allow_short(), total_);
    }
    std::string doing() const override { return naming(range_); }

    byte_range rest() const { return byte_range::from_to(range_.offset() + done_, range_.end()); }

    const byte_range range_;
    detail::destination destination_;
    const fetch_options options_;
    range_list ranges_;      // of the last round
    std::size_t done_ = 0;   // bytes that came with the open
    std::size_t total_ = 0;  // bytes that came after it
};

/// Into a view, which is committed at the end.
class view_operation final : public fetch_operation {
public:
    view_operation(pool_ptr pool, byte_range range, direct_buffer::view view, const fetch_options& options)
        : fetch_operation(std::move(pool), range, {}, options), view_(std::move(view)) {}

    error_value outcome(std::size_t& bytes) noexcept override {
        // The view is released before the handler runs, although the operation may live a moment longer.
        direct_buffer::view view = std::move(view_);
        const error_value why = fetch_operation::outcome(bytes);
        if (why) return why;
        return guarded([&] {
            view.commit(bytes);
            return error_value();
        });
    }

private:
    error_value check() override {
        const auto room = view_.prepare();
        use_memory(room);
        if (room.size() >= range().length()) return {};
        return {
            errc::buffer_misuse,
            fmt::format("view: {} free bytes are fewer than {}", room.size(), range().length())
        };
    }

    direct_buffer::view view_;
};

/// Limits the memory that is allocated for a range of a growing object to plausible_end(): for a range that ends
/// beyond, the size is requested first.
class known_range {
public:
    explicit known_range(byte_range range) : range_(range) {}

    /// Whether the size has to be requested; true at most once.
    bool asks(const object_info& object) noexcept {
        return range_.end() > plausible_end(object) && !std::exchange(asked_, true);
    }
    /// The readable part of the range; or errc::range_not_satisfiable.
    result<byte_range> known(const object_info& object, bool allow_short) const {
        if (range_.end() <= plausible_end(object)) return range_;
        if (allow_short) return range_.clamp_to(std::max(range_.offset(), object.size));
        return error_value(errc::range_not_satisfiable, fmt::format("the object ends at {}", object.size));
    }

private:
    const byte_range range_;
    bool asked_ = false;
};

/// Into fresh memory.
class block_operation final : public read_operation, public detail::outcome_of<byte_block> {
public:
    block_operation(pool_ptr pool, byte_range range, const fetch_options& options)
        : read_operation(std::move(pool)), range_(range), known_(range), options_(options) {
        limit(options.timeout());
    }

    error_value outcome(byte_block& block) noexcept override {
        const error_value why = end();
        if (why) return why;
        return guarded([&] {
            block = shrink(std::move(memory_), total_);
            return error_value();
        });
    }

private:
    error_value plan_opening(read_round& round) override {
        if (const error_value why = check_division(options_)) return why;
        if (!rides(range_, options_) || range_.length() > max_opening_memory) return {};
        planned_ = range_;
        ranges_.assign(1, range_);
        memory_ = allocate(range_.length());
        append_parts(round.parts, ranges_, range_.offset(), memory_.data());
        return {};
    }
    error_value plan(read_round& round) override {
        if (complete_) return {};
        if (known_.asks(*object())) {
            ranges_.clear();
            ask_size(round);
            return {};
        }
        const auto wanted = known_.known(*object(), options_.allow_short());
        if (!wanted) return wanted.error();
        // The plan precedes the allocation: an absurd length is reported as an error of the range, not of memory.
        if (const error_value why = plan_fetch(*wanted, *object(), options_, ranges_)) return why;
        std::uint64_t length = 0;
        for (const byte_range& part : ranges_) length += part.length();
        planned_ = byte_range(range_.offset(), length);
        memory_ = allocate(length);
        append_parts(round.parts, ranges_, range_.offset(), memory_.data());
        return {};
    }
    error_value validate() override {
        if (ranges_.empty()) return {};
        const error_value why = validate_parts(planned_, ranges_, *object(), options_.allow_short(), total_);
        // A short end of a range that rode is for the next plan.
        complete_ = !why || !opening();
        return complete_ ? why : error_value();
    }
    bool writes_to_caller() const noexcept override { return false; }
    std::string doing() const override { return naming(range_); }

    const byte_range range_;
    known_range known_;
    const fetch_options options_;
    byte_range planned_;
    range_list ranges_;
    byte_block memory_;
    std::size_t total_ = 0;
    bool complete_ = false;
};

/// Adjacent chunks, each into memory of its own.
class chunks_operation final : public read_operation, public detail::outcome_of<std::vector<byte_block>> {
public:
    chunks_operation(
        pool_ptr pool, std::uint64_t start, std::vector<std::uint64_t> lengths, const fetch_options& options
    )
        : read_operation(std::move(pool)),
          whole_(whole_of(start, lengths)),
          lengths_(std::move(lengths)),
          known_(whole_.value_or(byte_range())),
          options_(fetch_options(options).allow_short(false)) {
        limit(options.timeout());
    }

    error_value outcome(std::vector<byte_block>& chunks) noexcept override {
        const error_value why = end();
        if (!why) chunks = std::move(chunks_);
        return why;
    }

private:
    /// Empty if the chunks together exceed every object.
    static std::optional<byte_range> whole_of(
        std::uint64_t start, const std::vector<std::uint64_t>& lengths
    ) noexcept {
        std::uint64_t end = start;
        for (const std::uint64_t length : lengths) {
            if (end > byte_range::max_end || length > byte_range::max_end - end) return std::nullopt;
            end += length;
        }
        return byte_range::from_to(start, end);
    }
    error_value check() override {
        if (whole_) return {};
        return {errc::invalid_argument, fmt::format("chunks: end above {}", byte_range::max_end)};
    }
    error_value plan(read_round& round) override {
        if (known_.asks(*object())) {
            ask_size(round);
            return {};
        }
        if (const auto known = known_.known(*object(), false); !known) return known.error();
        // The check precedes the allocation: an absurd length is reported as an error of the range, not of memory.
        range_list possible;
        if (const error_value why = plan_fetch(*whole_, *object(), options_, possible)) return why;
        const auto shares = share_concurrency(lengths_, options_.concurrency());
        std::uint64_t offset = whole_->offset();
        for (std::size_t i = 0; i < lengths_.size(); offset += lengths_[i], ++i) {
            chunks_.push_back(allocate(lengths_[i]));
            if (lengths_[i] == 0) continue;
            const auto split = split_range({offset, lengths_[i]}, shares[i], options_.min_chunk_bytes());
            const range_list own(split.begin(), split.end());
            append_parts(round.parts, own, offset, chunks_.back().data());
            ranges_.insert(ranges_.end(), own.begin(), own.end());
        }
        return {};
    }
    error_value validate() override {
        if (ranges_.empty()) return {};
        std::size_t total = 0;
        return validate_parts(*whole_, ranges_, *object(), false, total);
    }
    bool writes_to_caller() const noexcept override { return false; }
    std::string doing() const override { return whole_ ? naming(*whole_) : std::string(); }

    const std::optional<byte_range> whole_;
    const std::vector<std::uint64_t> lengths_;
    known_range known_;
    const fetch_options options_;
    std::vector<byte_block> chunks_;
    range_list ranges_;
};

/// Appends parts for each range separately.
void append_each(transfer_parts& parts, const std::vector<range_request>& requests, std::uint64_t unit) {
    for (const range_request& request : requests) {
        bytes::split_to_unit(request.range, unit, [&](byte_range range) {
            parts.emplace_back().range = range;
            parts.back().memory = request.destination.data() + (range.offset() - request.range.offset());
        });
    }
}

/// Appends parts for the joined ranges. A very large number of ranges is expected: they are not copied, and not sorted
/// if they are in order.
void append_joined(
    transfer_parts& parts, std::vector<range_request> requests, const bytes::planner_options& planning
) {
    const auto offset = [](const range_request& r) { return r.range.offset(); };
    if (!std::ranges::is_sorted(requests, {}, offset)) std::ranges::stable_sort(requests, {}, offset);
    bytes::read_planner planner(planning);
    for (const range_request& request : requests) planner.add(request.range);
    const auto into = std::make_shared<const scatter>(std::move(requests));
    for (const byte_range& range : planner.take()) {
        parts.emplace_back().range = range;
        parts.back().into = into;
    }
}

/// Many ranges, each into memory of its own, perhaps joined.
class scatter_operation final : public read_operation, public detail::outcome_of<void> {
public:
    scatter_operation(pool_ptr pool, std::vector<range_request> requests, const fetch_ranges_options& options)
        : read_operation(std::move(pool)), requests_(std::move(requests)), joined_(options.max_gap_bytes()) {
        planning_.max_gap = options.max_gap_bytes().value_or(0);
        planning_.max_merged_bytes = options.max_merged_bytes();
        planning_.unit_bytes = options.unit_bytes();
        limit(options.timeout());
    }

    error_value outcome() noexcept override { return end(); }

private:
    error_value check() override {
        for (const range_request& request : requests_) {
            if (const error_value why = check_destination(request.destination.size(), request.range))
                return in(request.range, why);
        }
        if (const error_value why = check_least("unit_bytes", planning_.unit_bytes, 1)) return why;
        return joined_ ? check_least("max_merged_bytes", planning_.max_merged_bytes, 1) : error_value();
    }
    error_value plan(read_round& round) override {
        for (const range_request& request : requests_) {
            if (const error_value why = refuse_range(request.range, *object(), false))
                return in(request.range, why);
        }
        if (joined_) {
            append_joined(round.parts, std::move(requests_), planning_);
        } else {
            append_each(round.parts, requests_, planning_.unit_bytes);
        }
        for (const transfer_part& p : round.parts) reads_.push_back(p.range);
        return {};
    }
    error_value validate() override {
        for (std::size_t i = 0; i < reads_.size(); ++i) {
            const range_list one{reads_[i]};
            const auto got = [this, i](std::size_t) { return received(i); };
            const auto total = validate_fetch(one.front(), one, got, *object(), false);
            if (!total) return in(one.front(), total.error());
        }
        return {};
    }
    error_value in(byte_range range, error_value why) {
        to_blame_ = naming(range);
        return why;
    }
    std::string doing() const override { return to_blame_; }

    std::vector<range_request> requests_;
    const bool joined_;
    bytes::planner_options planning_;
    std::vector<byte_range> reads_;
    std::string to_blame_;
};

/// On one leased stream.
class lease_operation final : public undivided_read {
public:
    lease_operation(
        pool_ptr pool,
        std::shared_ptr<multi_range_downloader> stream,
        byte_range range,
        detail::destination destination,
        const read_options& options
    )
        : undivided_read(std::move(pool), std::move(stream), range, std::move(destination), options) {}

private:
    error_value check() override {
        if (pool() == nullptr) return {errc::invalid_argument, "lease: empty"};
        return undivided_read::check();
    }
    std::shared_ptr<const object_info> reported() const override { return pool()->info(); }
};

}  // namespace
}  // namespace engine

detail::initiation<std::size_t> lease::fetch_into(
    byte_range range, detail::destination destination, const read_options& options
) {
    const auto op =
        std::make_shared<engine::lease_operation>(pool_, stream_, range, std::move(destination), options);
    return runtime::to_initiate<std::size_t>(op, engine::executor_of(pool_));
}

detail::initiation<std::size_t> mrd_pool::fetch_into(
    byte_range range, detail::destination destination, const fetch_options& options
) const {
    const auto op = std::make_shared<engine::fetch_operation>(core_, range, std::move(destination), options);
    return runtime::to_initiate<std::size_t>(op, engine::executor_of(core_));
}

detail::initiation<std::size_t> mrd_pool::fetch_view(
    byte_range range, direct_buffer::view destination, const fetch_options& options
) const {
    const auto op = std::make_shared<engine::view_operation>(core_, range, std::move(destination), options);
    return runtime::to_initiate<std::size_t>(op, engine::executor_of(core_));
}

detail::initiation<byte_block> mrd_pool::fetch_block(byte_range range, const fetch_options& options) const {
    const auto op = std::make_shared<engine::block_operation>(core_, range, options);
    return runtime::to_initiate<byte_block>(op, engine::executor_of(core_));
}

detail::initiation<std::vector<byte_block>> mrd_pool::fetch_split(
    std::uint64_t start, std::vector<std::uint64_t> chunk_lengths, const fetch_options& options
) const {
    const auto op =
        std::make_shared<engine::chunks_operation>(core_, start, std::move(chunk_lengths), options);
    return runtime::to_initiate<std::vector<byte_block>>(op, engine::executor_of(core_));
}

detail::initiation<void> mrd_pool::fetch_ranges(
    std::vector<range_request> ranges, const fetch_ranges_options& options
) const {
    const auto op = std::make_shared<engine::scatter_operation>(core_, std::move(ranges), options);
    return runtime::to_initiate<void>(op, engine::executor_of(core_));
}

}  // namespace rangeio
