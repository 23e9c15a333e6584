#pragma once

#include "stress/report.hpp"
#include "stress/target.hpp"
#include "stress/worker.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace rangeio::tool {

/// The parameters of a run.
class stress_plan {
public:
    stress_plan() = default;

    std::uint64_t threads = 1;
    std::uint64_t workers = 4;  // for each thread
    std::chrono::milliseconds duration{0};
    std::chrono::milliseconds stall{0};
    std::uint64_t seed = 1;
    std::size_t faults = 0;
    bool json = false;
    bool progress = false;  // whether progress is shown
};

/// Workers on threads, watched from a thread of their own.
class stress_run {
public:
    stress_run(stress_target& target, const stress_plan& plan);
    ~stress_run();

    /// The whole run, from the start to the report. When cancelled, it ends in order at once. Does not return if a
    /// worker makes no progress: then it reports that, and ends the process.
    asio::awaitable<void> run();
    /// The result; valid after run().
    const stress_result& result() const noexcept { return result_; }

private:
    using condition = std::function<bool()>;

    void start();
    void add_thread(asio::io_context& context);
    /// Waits for `over`. `waits_for`: the description of the missing event, for the report of a hang.
    asio::awaitable<void> until(condition over, std::string waits_for);
    void look(stress_clock::time_point waiting_since, const std::string& waits_for);
    void collect(stress_counts& recent);
    void finish_result();
    [[noreturn]] void give_up(const std::string& why);

    stress_target& target_;
    const stress_plan plan_;
    stress_violations violations_;

    std::deque<asio::io_context> contexts_;
    std::vector<asio::executor_work_guard<asio::io_context::executor_type>> guards_;
    std::unique_ptr<stress_pools> pools_;
    std::deque<stress_worker> workers_;
    std::vector<std::thread> threads_;
    std::atomic<bool> stop_{false};
    std::atomic<std::size_t> working_{0};  // coroutines that have not ended
    std::atomic<std::size_t> running_{0};  // threads that have not ended

    stress_clock::time_point began_;
    stress_clock::time_point looked_;
    bool interrupted_ = false;
    stress_result result_;
};

}  // namespace rangeio::tool
