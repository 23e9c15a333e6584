#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

namespace rangeio::emulator {

/// Threads for work that would block gRPC's callback threads, of which there may be only two: reading large directories
/// and checksumming whole files.
class background {
public:
    explicit background(int threads);
    /// Runs the queued tasks, then returns.
    ~background();
    background(const background&) = delete;
    background& operator=(const background&) = delete;

    /// Requires: `task` does not throw.
    void run(std::function<void()> task);

    /// Long tasks poll this token.
    std::stop_token stop_token() const noexcept { return stop_.get_token(); }
    /// Asks long tasks to stop early. Queued tasks still run.
    void request_stop() noexcept { stop_.request_stop(); }

private:
    void work();

    std::stop_source stop_;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool ending_ = false;
    std::deque<std::function<void()>> tasks_;
    std::vector<std::thread> threads_;
};

}  // namespace rangeio::emulator
