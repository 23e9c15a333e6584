#pragma once

#include <rangeio/error.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace rangeio {

/// The conditions and waits under which a broken stream is reopened, and the limits after which it fails. A value;
/// checked by the constructor of the client that has it (`client_options::retry`).
///
/// A failed request for metadata (client::async_stat, async_list, async_layout) is retried like a stream that was open:
/// with `attempts`, `budget`, the same waits and classes of errors, and `stall_timeout` for a call without an answer.
///
/// Pending ranges of a broken stream continue after their own last good byte. An **attempt** is a reopening that
/// follows a call without progress. Progress, which is a good byte of any range, resets attempts and budget: they limit
/// the time for which a stream is retried without success, not its lifetime.
///
/// The reasons for the defaults, and the behavior of other clients, are in docs/reliability.md.
class retry_policy {
public:
    retry_policy() = default;

    /// No retries: the first error of a stream is the error of its pending ranges. Redirects are followed all the same,
    /// because they are not errors.
    static retry_policy none() { return retry_policy().attempts(0).open_attempts(1).range_attempts(0); }

    /// The maximum number of consecutive attempts of a stream that was open, 0 to 1000, without a budget. With a
    /// budget, attempts continue until it is used up. Zero: a stream that breaks with pending ranges fails.
    ///
    /// Default:  8.
    retry_policy& attempts(unsigned count) {
        attempts_ = count;
        return *this;
    }
    unsigned attempts() const noexcept { return attempts_; }

    /// The maximum number of calls for the first opening of a pool, 1 to 1000; one: no retry. All of them together are
    /// limited by `pool_options::open_timeout`. With a budget, calls for which there was no connection are not counted.
    /// A further stream of a pool that has been open is retried like a broken one.
    ///
    /// Default:  4.
    retry_policy& open_attempts(unsigned count) {
        open_attempts_ = count;
        return *this;
    }
    unsigned open_attempts() const noexcept { return open_attempts_; }

    /// The maximum number of consecutive redirects without progress, 0 to 100. They are followed at once, and are not
    /// attempts. Zero: a redirect is errc::too_many_redirects.
    ///
    /// Default:  3.
    retry_policy& max_redirects(unsigned count) {
        max_redirects_ = count;
        return *this;
    }
    unsigned max_redirects() const noexcept { return max_redirects_; }

    /// The maximum number of consecutive requests for the rest of a range after a rejected chunk (a wrong checksum, a
    /// wrong offset, surplus bytes), 0 to 1000. Zero: the first rejected chunk fails its range.
    ///
    /// Default:  3.
    retry_policy& range_attempts(unsigned count) {
        range_attempts_ = count;
        return *this;
    }
    unsigned range_attempts() const noexcept { return range_attempts_; }

    /// The time limit of attempts, counted from the first one without progress. The attempts of a stream that was open
    /// end with it, and not before, except that `attempts` limits those after a lack of memory. A wait for a connection
    /// uses budget, but no attempt. Zero: no budget; `attempts` is the limit.
    ///
    /// Default:  60 s.
    retry_policy& budget(std::chrono::nanoseconds limit) {
        budget_ = limit;
        return *this;
    }
    std::chrono::nanoseconds budget() const noexcept { return budget_; }

    /// The upper bound of the first wait: the wait before attempt n is drawn evenly from zero to min(max_backoff,
    /// initial_backoff * factor^(n-1)). An attempt after a call with progress, or after a stall, does not wait. The
    /// wait for a connection is drawn from zero to one second, or to `max_backoff` if that is shorter and not zero.
    /// Zero: no waits.
    ///
    /// Default:  250 ms.
    retry_policy& initial_backoff(std::chrono::nanoseconds bound) {
        initial_backoff_ = bound;
        return *this;
    }
    std::chrono::nanoseconds initial_backoff() const noexcept { return initial_backoff_; }

    /// The factor between the bounds of consecutive waits, 1 to 100.
    ///
    /// Default:  2.
    retry_policy& backoff_factor(double factor) {
        backoff_factor_ = factor;
        return *this;
    }
    double backoff_factor() const noexcept { return backoff_factor_; }

    /// The upper bound of all waits, at least `initial_backoff`.
    ///
    /// Default:  4 s.
    retry_policy& max_backoff(std::chrono::nanoseconds bound) {
        max_backoff_ = bound;
        return *this;
    }
    std::chrono::nanoseconds max_backoff() const noexcept { return max_backoff_; }

    /// The time without a byte of any pending range, or without an answer to an opening, after which a call is
    /// abandoned and its ranges are resumed on another one; it is noticed up to a quarter later. The connection of the
    /// call is replaced.
    ///
    /// The connection is asked for a sign of life in time. If it is alive, the limit is longer: by the time for the
    /// bytes that may arrive first, at the rate of the last limit or else 64 KiB/s (1.25 MiB in `stall_timeout`,
    /// whatever its value), and doubled after each such call without progress; four of those in a row use neither
    /// attempts nor budget. Zero: no limit, and a connection is never replaced.
    ///
    /// Default:  20 s.
    retry_policy& stall_timeout(std::chrono::nanoseconds limit) {
        stall_timeout_ = limit;
        return *this;
    }
    std::chrono::nanoseconds stall_timeout() const noexcept { return stall_timeout_; }

    /// The maximum number of orphan bytes: a request for a range cannot be cancelled, so its bytes arrive although they
    /// are not wanted any more, and are dropped. When more than this is due, the call is ended and the other ranges are
    /// resumed on another one. Zero: with the first byte.
    ///
    /// Units:    bytes.
    /// Default:  16 MiB.
    retry_policy& max_orphan_bytes(std::uint64_t bytes) {
        max_orphan_bytes_ = bytes;
        return *this;
    }
    std::uint64_t max_orphan_bytes() const noexcept { return max_orphan_bytes_; }

    /// The same for the number of ranges that these bytes belong to: each costs the service a seek and a message,
    /// however short it is. A range that has not been sent yet is not requested at all, and does not count. Zero: with
    /// the first.
    ///
    /// Default:  64.
    retry_policy& max_orphan_ranges(std::size_t ranges) {
        max_orphan_ranges_ = ranges;
        return *this;
    }
    std::size_t max_orphan_ranges() const noexcept { return max_orphan_ranges_; }

    /// Whether a call that the service ended with an error of this class is followed by another one, within `budget`
    /// and `attempts`. A call that the service ends without an error while ranges are pending may be retried, too. Of
    /// the errors on this side (`error_class::none`) those of a stalled call may, and on a stream that has been open
    /// also a lack of memory.
    ///
    /// Default:  `transient`, `throttled` and `cancelled`; on a stream that has been open also `aborted`.
    retry_policy& retry(error_class kind, bool retried) {
        const std::uint32_t bit = bit_of(kind);
        opening_ = retried ? opening_ | bit : opening_ & ~bit;
        resuming_ = retried ? resuming_ | bit : resuming_ & ~bit;
        return *this;
    }
    /// `established`: the stream has been open before.
    bool retries(error_class kind, bool established) const noexcept {
        return ((established ? resuming_ : opening_) & bit_of(kind)) != 0;
    }

private:
    static constexpr std::uint32_t bit_of(error_class kind) noexcept {
        return kind == error_class::none ? 0 : std::uint32_t{1} << static_cast<unsigned>(kind);
    }

    std::uint32_t opening_ =
        bit_of(error_class::cancelled) | bit_of(error_class::transient) | bit_of(error_class::throttled);
    std::uint32_t resuming_ = opening_ | bit_of(error_class::aborted);
    unsigned attempts_ = 8;
    unsigned open_attempts_ = 4;
    unsigned max_redirects_ = 3;
    unsigned range_attempts_ = 3;
    std::chrono::nanoseconds budget_ = std::chrono::seconds(60);
    std::chrono::nanoseconds initial_backoff_ = std::chrono::milliseconds(250);
    double backoff_factor_ = 2;
    std::chrono::nanoseconds max_backoff_ = std::chrono::seconds(4);
    std::chrono::nanoseconds stall_timeout_ = std::chrono::seconds(20);
    std::uint64_t max_orphan_bytes_ = std::uint64_t{16} << 20;
    std::size_t max_orphan_ranges_ = 64;
};

}  // namespace rangeio
