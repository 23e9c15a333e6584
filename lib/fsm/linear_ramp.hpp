#pragma once

#include <rangeio/byte_range.hpp>

#include "fsm/prefetch_policy.hpp"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <limits>
#include <optional>

// The prefetching of fsspec (`fsspec.prefetcher`, by which gcsfs reads), rule by rule, for comparison with other
// policies. docs/prefetch.md has what differs; tests/interop/prefetch_oracle.py compares it with the original.
//
// A reader walks through blocks, which a planner appends to a queue when it is woken.
//
// clang-format off
// | a read begins                                  | the reader                                                      |
// |------------------------------------------------|-----------------------------------------------------------------|
// | at its position                                | continues                                                       |
// | from there to the end of what is planned       | skips, block by block                                           |
// | before it, in the current block                | moves back                                                      |
// | elsewhere                                      | starts anew: everything planned is dropped, all counts are zero |
// | while another one is not over                  | waits for the end of that one                                   |
//
// | the reader needs a block, and                  |                                                                 |
// |------------------------------------------------|-----------------------------------------------------------------|
// | the queue is empty                             | wakes the planner                                               |
// | the first of the queue has not arrived         | waits for it, or for the end of the read                        |
// | it has                                         | drops the one before; the streak grows; from 3 on, it wakes the |
// |                                                | planner as soon as it waits, or when the read is over           |
// clang-format on

namespace rangeio::fsm {

class linear_ramp final : public prefetch_policy {
public:
    struct options {
        std::uint32_t concurrency = 4;                    // the most parts of a block
        std::optional<std::uint64_t> max_prefetch_bytes;  // above zero
    };

    explicit linear_ramp(const options& o) : options_(o) {}

    void read_begins(const prefetch_read& read, prefetch_plan& out) override;
    /// The reader does not wait for the rest of a block from which all bytes of its read were delivered.
    void read_ended(byte_range range, bool ok, prefetch_time now, prefetch_plan& out) override;
    void arrived(const prefetch_arrival& arrival, prefetch_plan& out) override;
    /// Nobody waits for the block any more. The reads that need these bytes request them.
    void lost(byte_range range, prefetch_plan& out) override;
    void wasted(std::uint64_t) noexcept override {}
    void reset() noexcept override;
    /// Random: nothing is planned until other advice.
    void advise(access_pattern pattern, prefetch_plan& out) override;
    void resize(std::uint64_t bytes) noexcept override { size_ = bytes; }

    std::uint64_t max_under_way() const noexcept override {
        return std::numeric_limits<std::uint64_t>::max();
    }
    /// Zero until the reads look sequential.
    std::uint64_t window() const noexcept override;

private:
    struct block {
        byte_range range;
        std::uint64_t missing = 0;  // bytes that have not arrived
    };

    /// Whether the reads look sequential, and have sizes that are worth it.
    bool ahead() const noexcept;
    std::uint64_t mean() const noexcept;
    bool variable() const noexcept;
    std::uint64_t cap() const noexcept;
    std::uint64_t multiplied(std::uint64_t bytes) const noexcept;
    template <class Change>
    void change_blocks(byte_range range, Change change);

    void proceed(prefetch_plan& out);
    void seek(std::uint64_t to, prefetch_plan& out);
    void start_at(std::uint64_t offset) noexcept;
    bool reach_target(prefetch_plan& out);
    void drop_planned(prefetch_plan& out);
    void suspend(prefetch_plan& out);
    void plan(prefetch_plan& out);

    options options_;
    std::uint64_t size_ = 0;
    bool random_ = false;

    std::deque<byte_range> waiting_;  // reads that have not been started
    std::optional<byte_range> read_;  // the one that is processed
    bool delivered_ = false;          // its bytes: no block is waited for

    // The reader: in the current block or at its end, on the way to the target.
    byte_range current_;
    std::uint64_t offset_ = 0;
    std::uint64_t target_ = 0;
    std::uint64_t streak_ = 0;         // blocks since the start
    std::deque<std::uint64_t> sizes_;  // of the last reads
    bool woken_ = false;               // the planner is to run

    // From the end of the current block to `planned_`; the reader waits for the first one, if for any.
    std::deque<block> queue_;
    std::uint64_t planned_ = 0;
};

}  // namespace rangeio::fsm
