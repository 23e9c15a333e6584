#pragma once

#include "fsm/prefetch_policy.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

// The latency and the bandwidth of a link, from the arrivals of one reader.
//
// clang-format off
// | figure    | from                                             | valid                                            |
// |-----------|--------------------------------------------------|--------------------------------------------------|
// | latency   | the least time from a request to its first bytes | until 10 s pass without a sample near it; then a |
// |           |                                                  | probe: the next sample sent one latency later    |
// | bandwidth | the sum of what the streams bring back to back   | each stream's for max(2 latencies, 250 ms)       |
// clang-format on
//
// The latency is a minimum, because an average contains the queue that the reader itself makes: a window of bandwidth x
// average grows its own average. For the same reason it does not just expire on a full link: the window has to fall
// below bandwidth x latency first, which `probing` asks for. Without that, a latency that has risen is never seen, and
// the smaller rate that follows from it is taken for the link's.
//
// Two arrivals of a stream are back to back if the second request was at the service before the first answer ended;
// only then does the time between them measure the link. Streams that share a link each measure their part of it.

namespace rangeio::fsm {

class link_estimate {
public:
    explicit link_estimate(std::size_t streams);

    void arrived(const prefetch_arrival& arrival) noexcept;

    /// Zero until a first arrival.
    std::chrono::nanoseconds latency() const noexcept { return latency_; }
    /// Bytes per second; zero if it is not known.
    double bandwidth(prefetch_time now) const noexcept;
    /// A bandwidth has been known, now or earlier.
    bool measured() const noexcept;
    /// The bytes on their way while the link is full; zero if that is not known.
    double bytes_in_flight(prefetch_time now) const noexcept;
    /// The latency has expired: the reader should keep less than `bytes_in_flight` ahead until this is false again.
    bool probing() const noexcept { return probe_begin_.has_value(); }

private:
    /// What one stream brings.
    struct stream_rate {
        std::uint64_t stream = 0;
        prefetch_time last;  // arrival
        double bytes_per_second = 0;
        prefetch_time measured;
        std::chrono::nanoseconds measured_for{0};  // as far as the average goes back
        bool back_to_back = false;                 // the last arrival was
        // Of such ones, and not long enough yet for a sample.
        std::uint64_t bytes = 0;
        std::chrono::nanoseconds time{0};
    };

    void observe_latency(const prefetch_arrival& arrival) noexcept;
    void observe_rate(stream_rate& s, const prefetch_arrival& arrival) noexcept;

    std::vector<stream_rate> streams_;  // all made at once: arrivals do not allocate
    std::chrono::nanoseconds latency_{0};
    prefetch_time confirmed_;  // when a sample was near the latency
    std::optional<prefetch_time> probe_begin_;
};

}  // namespace rangeio::fsm
