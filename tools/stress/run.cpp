#include "stress/run.hpp"

#include "common/process.hpp"
#include "common/units.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <utility>

namespace rangeio::tool {
namespace {

using namespace std::chrono_literals;

constexpr auto between_looks = 20ms;
constexpr auto between_reports = 1s;

double seconds_since(stress_clock::time_point then) {
    return std::chrono::duration<double>(stress_clock::now() - then).count();
}

std::uint64_t resident_bytes() {
    std::uint64_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages >> pages;
    return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::uint64_t peak_resident_bytes() {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    return static_cast<std::uint64_t>(used.ru_maxrss) * 1024;
}

}  // namespace

stress_run::stress_run(stress_target& target, const stress_plan& plan) : target_(target), plan_(plan) {
    result_.target = target.name();
    result_.threads = plan.threads;
    result_.workers = plan.threads * plan.workers;
    result_.seed = plan.seed;
    result_.faults = plan.faults;
}

stress_run::~stress_run() {
    // Threads still run here only if start() has thrown.
    stop_ = true;
    guards_.clear();
    for (auto& context : contexts_) context.stop();
    for (std::thread& t : threads_) {
        if (t.joinable()) t.join();
    }
    target_.detach();
}

// Half of the threads share one context, whose workers have strands; each of the others has a context of its own.
void stress_run::start() {
    const std::size_t alone = plan_.threads / 2;
    contexts_.emplace_back();
    for (std::size_t i = 0; i < alone; ++i) contexts_.emplace_back(1);
    std::vector<asio::any_io_executor> executors;
    for (asio::io_context& context : contexts_) {
        guards_.push_back(asio::make_work_guard(context));
        executors.emplace_back(context.get_executor());
    }
    target_.attach(executors);
    pools_ = std::make_unique<stress_pools>(target_, contexts_.size(), violations_);
    for (std::size_t i = 0; i < result_.workers; ++i) {
        const std::size_t thread = i % plan_.threads;
        const std::size_t context = thread < alone ? thread + 1 : 0;
        asio::any_io_executor executor = executors[context];
        if (context == 0) executor = asio::make_strand(contexts_[0]);
        workers_.emplace_back(*pools_, std::move(executor), context, plan_.seed * 1000 + i);
    }
    began_ = looked_ = stress_clock::now();
    running_ = plan_.threads;
    // Threads first: if no more threads can be created, no operation is under way yet.
    for (std::size_t i = 0; i < plan_.threads; ++i) add_thread(contexts_[i < alone ? i + 1 : 0]);
    working_ = workers_.size();
    for (stress_worker& worker : workers_) {
        asio::co_spawn(worker.executor(), worker.run(stop_), [this](const std::exception_ptr& thrown) {
            if (thrown) violations_.add("a worker has ended with an exception");
            --working_;
        });
    }
}

void stress_run::add_thread(asio::io_context& context) {
    threads_.emplace_back([this, &context] {
        try {
            context.run();
        } catch (...) {
            violations_.add("an event loop has thrown an exception");
        }
        --running_;
    });
}

asio::awaitable<void> stress_run::run() {
    co_await asio::this_coro::throw_if_cancelled(false);
    start();
    const condition is_over = [this, ends = began_ + plan_.duration] {
        return interrupted_ || violations_.any() || stress_clock::now() >= ends;
    };
    co_await until(is_over, "");
    result_.seconds = seconds_since(began_);
    result_.memory_at_end = resident_bytes();
    stop_ = true;
    const condition workers_ended = [this] { return working_ == 0; };
    co_await until(workers_ended, "workers to end");
    working_ = 1;
    asio::co_spawn(contexts_[0], pools_->close_all(), [this](const std::exception_ptr& thrown) {
        if (thrown) violations_.add("closing at the end has failed");
        --working_;
    });
    co_await until(workers_ended, "the pools to close");
    // Pools that were destroyed with reads under way have calls that still have to end.
    const condition calls_ended = [this] {
        const auto service = target_.service();
        return !service || service->calls_open == 0;
    };
    co_await until(calls_ended, "the last calls to end");
    result_.service = target_.service();
    target_.detach();
    guards_.clear();
    const condition threads_ended = [this] { return running_ == 0; };
    co_await until(threads_ended, "the event loops to run out of work");
    for (std::thread& t : threads_) t.join();
    finish_result();
}

asio::awaitable<void> stress_run::until(condition over, std::string waits_for) {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    const auto since = stress_clock::now();
    while (!over()) {
        timer.expires_after(between_looks);
        error_code ignored;
        co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        const auto cancelled = (co_await asio::this_coro::cancellation_state).cancelled();
        interrupted_ = cancelled != asio::cancellation_type::none;
        look(since, waits_for);
    }
}

// Acquires no lock that a worker may hold: the watcher must detect a hang, and not hang itself.
void stress_run::look(stress_clock::time_point waiting_since, const std::string& waits_for) {
    const auto now = stress_clock::now();
    stress_progress seen;
    for (std::size_t i = 0; i < workers_.size(); ++i) {
        stress_tally::activity does;
        if (!workers_[i].tally().busy(does) || does.since < seen.slowest_does.since) continue;
        seen.slowest = i;
        seen.slowest_does = does;
    }
    if (seen.slowest && seen.slowest_does.since > plan_.stall) {
        give_up(fmt::format(
            "worker {}: {} has made no progress for {:.1f} s, since {:.1f} s after the start",
            *seen.slowest,
            to_string(seen.slowest_does.what),
            std::chrono::duration<double>(seen.slowest_does.since).count(),
            seconds_since(began_) - std::chrono::duration<double>(seen.slowest_does.since).count()
        ));
    }
    if (!waits_for.empty() && now - waiting_since > plan_.stall) {
        give_up(fmt::format("the end has waited {:.1f} s for {}", seconds_since(waiting_since), waits_for));
    }
    if (result_.memory_at_tenth == 0 && now - began_ >= plan_.duration / 10) {
        result_.memory_at_tenth = resident_bytes();
    }
    if (now - looked_ < between_reports) return;
    seen.seconds = seconds_since(began_);
    seen.recent_seconds = seconds_since(looked_);
    seen.memory_bytes = resident_bytes();
    looked_ = now;
    collect(seen.recent);
    if (!waits_for.empty()) return;
    if (plan_.json) write_out(progress_json(seen));
    if (plan_.progress) show_progress(progress_text(seen));
}

void stress_run::collect(stress_counts& recent) {
    recent.resumed = target_.take_resumed();
    result_.counts.resumed += recent.resumed;
    for (std::size_t i = 0; i < workers_.size(); ++i) {
        const stress_counts own = workers_[i].tally().take();
        if (own.longest_time > result_.counts.longest_time) result_.longest_worker = i;
        result_.counts.add(own);
        recent.add(own);
    }
}

void stress_run::finish_result() {
    stress_counts recent;
    collect(recent);
    result_.peak_memory =
        std::max(peak_resident_bytes(), result_.memory_at_end);  // the kernel's value lags a little
    result_.violations = violations_.list();
    result_.interrupted = interrupted_;
    for (std::string& what : imbalances(result_)) result_.violations.push_back(std::move(what));
}

void stress_run::give_up(const std::string& why) {
    violations_.add(why);
    result_.seconds = seconds_since(began_);
    result_.memory_at_end = resident_bytes();
    stress_counts recent;
    collect(recent);
    result_.peak_memory =
        std::max(peak_resident_bytes(), result_.memory_at_end);  // the kernel's value lags a little
    result_.violations = violations_.list();
    try {
        write_out(plan_.json ? report_json(result_) : report_text(result_));
        complain("violated: " + why);
    } catch (const std::exception&) {
        // There is no place left to report that.
    }
    target_.abandon();
    // Without destructors: they would wait for the operation that hangs.
    std::_Exit(EXIT_FAILURE);
}

}  // namespace rangeio::tool
