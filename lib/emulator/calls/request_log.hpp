#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string_view>
#include <utility>

namespace rangeio::emulator {

/// The writer of `server_options::log`.
///
/// Threads: all members may be called concurrently.
class request_log {
public:
    using writer = std::function<void(std::string_view line)>;

    explicit request_log(writer write) : write_(std::move(write)) {}

    std::uint64_t next_call() noexcept { return ++calls_; }
    /// Writes `#CALL TEXT`, truncated and without control characters, because names are sent by peers. Without memory
    /// the line is dropped.
    void write(std::uint64_t call, std::string_view text) noexcept;

private:
    writer write_;
    std::atomic<std::uint64_t> calls_{0};
    std::mutex mutex_;
};

}  // namespace rangeio::emulator
