#pragma once

#include <chrono>
#include <cstdint>

namespace rangeio::testing {

/// The network between a service and its clients, one for all calls and connections: of the emulator, and of the
/// scripted services in virtual time.
class link_options {
public:
    link_options() = default;

    /// The time between the arrival of a request and the departure of its data: the round trip. Requests do not wait
    /// for one another: one that arrives 1 ms later is served 1 ms later.
    ///
    /// Default:  0; at most an hour.
    link_options& latency(std::chrono::nanoseconds time) {
        latency_ = time;
        return *this;
    }
    std::chrono::nanoseconds latency() const noexcept { return latency_; }

    /// The number of payload bytes that leave the service per second, all calls and connections together. A message is
    /// sent when its last byte has passed the link; the calls take turns, in the order in which their messages are
    /// ready.
    ///
    /// Units:    bytes per second, at most 1 TiB/s.
    /// Default:  0: unlimited.
    link_options& bandwidth(std::uint64_t bytes_per_second) {
        bandwidth_ = bytes_per_second;
        return *this;
    }
    std::uint64_t bandwidth() const noexcept { return bandwidth_; }

private:
    std::chrono::nanoseconds latency_{0};
    std::uint64_t bandwidth_ = 0;
};

}  // namespace rangeio::testing
