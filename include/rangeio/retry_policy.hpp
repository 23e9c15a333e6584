#pragma once

#include <rangeio/error.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace rangeio {

/// When a stream that broke is opened again, how long it waits before that, and when it gives up. A value;
/// checked when the client is made that has it (`client_options::retry`).
///
/// A question for metadata (client::async_stat, async_list, async_layout) that failed is asked again as a stream that was open is: with
/// `attempts`, `budget`, the same waits and classes of errors, and `stall_timeout` for a call without an answer.
///
/// Ranges under way on a broken stream go on from their own last good byte. An **attempt** is a reopening
/// that follows a call which brought nothing. Progress, which is a good byte of any range, sets attempts and
/// budget back: they limit how long a stream is tried in vain, not how long it lives.
///
/// Why the defaults are what they are, and what other clients do: docs/reliability.md.
class retry_policy {
public:
    retry_policy() = default;

    /// Nothing is tried again: the first error of a stream is the error of what is under way on it. Redirects
    /// are followed all the same, for they are no errors.
    static retry_policy none() { return retry_policy().attempts(0).open_attempts(1).range_attempts(0); }

    /// Without a budget of time, how many attempts a stream that was open has in a row, 0 to 1000. Default 8. With one,
    /// attempts go on until it is over. Zero: a stream that broke with ranges under way has failed.
    retry_policy& attempts(unsigned count) {
        attempts_ = count;
        return *this;
    }
    unsigned attempts() const noexcept { return attempts_; }

    /// How many calls the first opening of a pool may take, 1 to 1000. Default 4. One: none but the first.
    /// All of them together take no longer than `pool_options::open_timeout`. Calls for which there was no connection
    /// are not counted, if there is a budget. A further stream of a pool that has been open is tried as one that broke.
    retry_policy& open_attempts(unsigned count) {
        open_attempts_ = count;
        return *this;
    }
    unsigned open_attempts() const noexcept { return open_attempts_; }

    /// How many redirects are followed in a row, without progress in between, 0 to 100. Default 3. They are
    /// followed at once, and are no attempts. Zero: a redirect is errc::too_many_redirects.
    retry_policy& max_redirects(unsigned count) {
        max_redirects_ = count;
        return *this;
    }
    unsigned max_redirects() const noexcept { return max_redirects_; }

    /// How often in a row one range is asked for again after a piece of it was bad: a wrong checksum, a wrong
    /// offset, surplus bytes. 0 to 1000, default 3. Zero: the first rejected chunk fails its range.
    retry_policy& range_attempts(unsigned count) {
        range_attempts_ = count;
        return *this;
    }
    unsigned range_attempts() const noexcept { return range_attempts_; }

    /// No attempt is made later than this after the first one without progress, and none less: the attempts of a stream
    /// that was open end with it. To wait for a connection costs no attempt, but budget. Default 60 s; zero: none,
    /// `attempts` count instead.
    retry_policy& budget(std::chrono::nanoseconds limit) {
        budget_ = limit;
        return *this;
    }
    std::chrono::nanoseconds budget() const noexcept { return budget_; }

    /// The wait before attempt n is drawn evenly from zero to min(max_backoff, initial_backoff * factor^n-1).
    /// The attempt that follows a call with progress, or one that stalled, does not wait. The wait for a connection is
    /// drawn from zero to a second, or `max_backoff` if that is shorter and not zero. Default 250 ms; zero: no waits.
    retry_policy& initial_backoff(std::chrono::nanoseconds bound) {
        initial_backoff_ = bound;
        return *this;
    }
    std::chrono::nanoseconds initial_backoff() const noexcept { return initial_backoff_; }

    /// 1 to 100. Default 2.
    retry_policy& backoff_factor(double factor) {
        backoff_factor_ = factor;
        return *this;
    }
    double backoff_factor() const noexcept { return backoff_factor_; }

    /// At least `initial_backoff`. Default 4 s.
    retry_policy& max_backoff(std::chrono::nanoseconds bound) {
        max_backoff_ = bound;
        return *this;
    }
    std::chrono::nanoseconds max_backoff() const noexcept { return max_backoff_; }

    /// A call on which no byte of any pending range arrives for so long, or no answer to an opening, is given up, and its
    /// ranges are resumed on another; it takes up to a quarter longer to be noticed. Its connection is replaced. If that
    /// is alive, which it is asked in time, the limit is longer: by as much as the bytes need that may come first, at
    /// the rate of the last limit or else 64 KiB/s (1.25 MiB in `stall_timeout`, whatever that is), and doubled after
    /// each such call without progress; four of those in a row spend neither attempts nor budget. Default 20 s; zero:
    /// never, and a connection is never replaced.
    retry_policy& stall_timeout(std::chrono::nanoseconds limit) {
        stall_timeout_ = limit;
        return *this;
    }
    std::chrono::nanoseconds stall_timeout() const noexcept { return stall_timeout_; }

    /// Ranges cannot be called off: what was asked for and is not wanted any more arrives, and is dropped.
    /// When more than this is still to come, the call is ended instead and the others are resumed on another.
    /// In bytes, default 16 MiB. Zero: with the first byte.
    retry_policy& max_orphan_bytes(std::uint64_t bytes) {
        max_orphan_bytes_ = bytes;
        return *this;
    }
    std::uint64_t max_orphan_bytes() const noexcept { return max_orphan_bytes_; }

    /// The same for how many ranges those bytes belong to: each costs the service a seek and a message, however short it
    /// is. What has not been sent yet is not asked for at all, and does not count. Default 64. Zero: with the first.
    retry_policy& max_orphan_ranges(std::size_t ranges) {
        max_orphan_ranges_ = ranges;
        return *this;
    }
    std::size_t max_orphan_ranges() const noexcept { return max_orphan_ranges_; }

    /// Whether a call that the service ended with an error of this class is followed by another. Default:
    /// `transient`, `throttled` and `cancelled`; on a stream that has been open `aborted`, too. A call that the service
    /// ends without an error though ranges are pending counts as one that may be retried, always; a failure that was
    /// found on this side (`error_class::none`) never does.
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
