#include "testing/programs/pool_program.hpp"

#include <rangeio/mrd_pool.hpp>
#include <rangeio/sim/allocation_failures.hpp>
#include <rangeio/sim/context.hpp>
#include <rangeio/sim/timer.hpp>
#include <rangeio/testing/possible_faults.hpp>

#include "testing/programs/program_pools.hpp"
#include "testing/service/watched_memory.hpp"

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <new>
#include <optional>

namespace rangeio::testing {
namespace {

using sim::world;
using action = pool_program::action;

constexpr unsigned max_tries = program_pools::max_tries;
constexpr std::size_t max_parts = 1024;

/// One run of a program. Outlives the context in which its coroutines run.
class run {
public:
    run(const pool_program& program, world& in)
        : program_(program),
          world_(in),
          faults_(program.faults),
          io_(std::make_unique<sim::context>(in, "io")),
          pools_(program, in, *io_) {
        has_close_ = program.end == pool_program::finish::abandon || program.end == pool_program::finish::any;
        has_cancel_.resize(program.tasks.size());
        for (const auto& task : program.tasks) {
            for (const auto& op : task.operations) {
                has_close_ = has_close_ || ends_something(op.what);
                if (op.what == action::cancel) has_cancel_[op.task] = true;
            }
        }
    }

    // The coroutines, which refer to the other members, are destroyed first.
    ~run() { io_.reset(); }

    void go() {
        for (std::size_t i = 0; i < program_.tasks.size(); ++i) {
            auto& t = tasks_.emplace_back(io_->make_executor(program_.tasks[i].name));
            sim::spawn(t.where, program_.tasks[i].name, perform(i), t.cancel.slot());
        }
        auto end = program_.end;
        if (end == pool_program::finish::any) {
            end = std::array{
                pool_program::finish::close, pool_program::finish::destroy, pool_program::finish::abandon
            }[world_.choose(3)];
        }
        const auto start = world_.now();
        if (end == pool_program::finish::abandon) {
            abandon();
        } else {
            world_.run();
            if (program_.within.count() != 0) {
                world_.check(world_.now() - start <= program_.within, "the tasks exceed their time limit");
            }
            for (auto& t : tasks_) t.held.release();
            world_.run();
            pools_.check_quiet();
            if (end == pool_program::finish::close) {
                sim::spawn(io_->get_executor(), "closing at the end", pools_.close_all());
                world_.run();
            }
            drop_handles();
        }
        world_.run();
        if (!world_.violation().empty()) return;
        pools_.check_over();
        world_.check(memory_.intact(), "a destination was written after its operation had ended");
    }

private:
    struct task_state {
        explicit task_state(sim::executor on) : where(on) {}
        sim::executor where;
        bool had_no_memory = false;
        bool over = false;
        std::size_t parts = 0;       // the most leases that its operation may hold
        std::uint64_t must_end = 0;  // since the task was cancelled
        asio::cancellation_signal cancel;
        lease held;
        const scripted_service* reads_from = nullptr;  // through that lease
    };

    /// An expected end, which comes with the end of the coroutine, however that ends.
    class expectation {
    public:
        expectation(world& in, std::uint64_t& operation) : world_(in), operation_(operation) {}
        expectation(const expectation&) = delete;
        expectation& operator=(const expectation&) = delete;
        ~expectation() { world_.ended(std::exchange(operation_, 0)); }

    private:
        world& world_;
        std::uint64_t& operation_;
    };

    static bool ends_something(action what) noexcept {
        return what == action::close || what == action::destroy || what == action::close_cache ||
               what == action::destroy_cache;
    }

    // First the handles of the pools, or first the cache.
    void drop_handles() {
        const bool cache_first = program_.cache && world_.choose(2) == 1;
        if (cache_first) pools_.drop_cache();
        for (std::size_t i = 0; i < tasks_.size(); ++i) pools_.drop(i);
        world_.run();
        pools_.check_unused();
        pools_.drop_cache();
    }

    // Destroys the context, the cache, the pools and the leases, at any moments, in any order.
    void abandon() {
        std::vector<std::function<void()>> there;
        there.emplace_back([this] { io_.reset(); });
        for (std::size_t i = 0; i < pools_.handles(); ++i) {
            there.emplace_back([this, i] { pools_.drop_handle(i); });
        }
        // A lease may be released while its read is in flight; its stream then has another user, too, which an
        // exclusive stream does not permit.
        if (program_.streams != pool_program::kind::exclusive) {
            for (auto& t : tasks_) there.emplace_back([&t] { t.held.release(); });
        }
        for (std::size_t most = 48; !there.empty(); most = 4) {
            const std::size_t steps = world_.choose(most);
            for (std::size_t i = 0; i < steps && world_.step(); ++i) {
            }
            const auto next = there.begin() + static_cast<std::ptrdiff_t>(world_.choose(there.size()));
            (*next)();
            there.erase(next);
            pools_.check_balance();
        }
        // A task may have acquired another lease, or opened another pool, before the context was destroyed.
        for (auto& t : tasks_) t.held.release();
        for (std::size_t i = 0; i < pools_.handles(); ++i) pools_.drop_handle(i);
    }

    asio::awaitable<void> perform(std::size_t index) {
        task_state& me = tasks_[index];
        const expectation cancelled(world_, me.must_end);
        for (const auto& op : program_.tasks[index].operations) {
            note(op, "");
            error_value why;
            // An operation that had no memory is tried again: the next attempt must not be affected by the first.
            for (unsigned tries = 0; tries == 0 || (program_pools::is_injected(why) && tries < max_tries);
                 ++tries) {
                tasks_[index].had_no_memory = tries != 0;
                why = {};
                std::uint64_t timed_out = 0;
                try {
                    const expectation in_time(world_, timed_out);
                    if (is_limited(op)) timed_out = world_.expect_end(text_of(index, op), op.time);
                    me.parts = parts_of(op);
                    co_await perform(index, op);
                } catch (const error& e) {
                    why = e.why();
                } catch (const boost::system::system_error& e) {
                    why = error_value(e.code());
                } catch (const std::bad_alloc&) {
                    why = make_error_code(boost::system::errc::not_enough_memory);
                }
                me.parts = 0;
                if (why) note(op, text_of(why));
            }
            const sim::allocation_exemption own;
            if (!why) note(op, "done");
            const auto here = sim::world::current();
            world_.check(
                here == &world_ && world_.running() == tasks_[index].where.actor(),
                "an operation resumes its caller on another executor"
            );
            pools_.check_balance();
            check_leases();
            if (!why) continue;
            if (!is_explained(index, op, why)) {
                world_.violate(fmt::format(
                    "task {}: {}: unexpected: {}", program_.tasks[index].name, op.text, why.message()
                ));
            }
            if (why.code() == asio::error::operation_aborted || why.code() == errc::pool_closed) break;
        }
        me.parts = 1;
        me.held.release();
        me.parts = 0;
        me.over = true;
    }

    /// Whether its own timeout has to end the operation. A close() waits for streams after its deadline, too; and where
    /// time may pass early it passes before there is a timeout.
    bool is_limited(const pool_program::operation& op) const {
        return op.time.count() != 0 && program_.early_timers == 0 &&
               (op.what == action::acquire || op.what == action::read || op.what == action::read_leased ||
                op.what == action::split);
    }

    // Of an object that grows, the bytes beyond its known size are a part of their own.
    std::size_t parts_of(const pool_program::operation& op) const {
        if (op.what == action::acquire || op.what == action::release) return 1;
        if (op.what == action::split) return max_parts;  // its blocks are cut into parts, too
        return op.what == action::read ? op.parts + (program_.finalized ? 0 : 1) : 0;
    }

    // An operation releases all its leases before it ends. Without memory a read on a lease may take another one.
    void check_leases() {
        if (sim::allocation_failures::any_injected()) return;
        const one_moment here;
        std::size_t most = 0;
        for (const task_state& t : tasks_) most += t.parts + (t.held ? 1 : 0);
        if (pools_.leases() > most) {
            world_.violate(fmt::format("{} leases are held, tasks can have {}", pools_.leases(), most));
        }
    }

    std::string text_of(std::size_t index, const pool_program::operation& op) const {
        const sim::allocation_exemption own;
        return fmt::format("task {}: {}", program_.tasks[index].name, op.text);
    }

    // Only the cancellation can end the task: no answer of the service, and no timeout.
    void cancel(std::size_t index) {
        task_state& t = tasks_[index];
        cancel(t.cancel);
        if (t.over || t.must_end != 0) return;
        const sim::allocation_exemption own;
        t.must_end = world_.expect_end(
            fmt::format("task {}, which is cancelled", program_.tasks[index].name),
            std::chrono::nanoseconds(0)
        );
    }

    // Asio allocates to deliver a cancellation to a coroutine, and throws in emit() if there is no memory.
    static void cancel(asio::cancellation_signal& signal) {
        for (unsigned tries = 1;; ++tries) {
            try {
                return signal.emit(asio::cancellation_type::terminal);
            } catch (const std::bad_alloc&) {
                if (tries == max_tries) throw;
            }
        }
    }

    static std::string text_of(const error_value& why) {
        const sim::allocation_exemption own;
        return why.message();
    }

    void note(const pool_program::operation& op, std::string_view end) {
        if (!world_.traced()) return;
        const sim::allocation_exemption own;
        world_.note(end.empty() ? op.text : fmt::format("{}: {}", op.text, end));
    }

    asio::awaitable<void> perform(std::size_t index, const pool_program::operation& op) {
        task_state& me = tasks_[index];
        switch (op.what) {
            case action::release: me.held.release(); co_return;
            case action::destroy: pools_.drop(index); co_return;
            case action::destroy_cache: pools_.drop_cache(); co_return;
            case action::close_cache: co_await pools_.close_cache(op.time); co_return;
            case action::open:
            case action::open_latest: co_await pools_.open(index, op); co_return;
            case action::close: co_await pools_.close(index, op.time); co_return;
            case action::cancel: {
                // A signal is emitted where the coroutine runs; only there is it known whether it still runs.
                asio::post(tasks_[op.task].where, [this, task = op.task] { cancel(task); });
                co_return;
            }
            case action::wait: {
                sim::timer t(me.where, op.time);
                co_await t.async_wait(asio::use_awaitable);
                co_return;
            }
            case action::read_leased: co_await read_leased(index, op); co_return;
            case action::acquire: co_await acquire(index, op.time); co_return;
            default: break;
        }
        switch (op.what) {
            case action::initialize: co_await pools_.of(index).async_initialize(); break;
            case action::read: co_await read(index, op); break;
            case action::split: co_await split(index, op); break;
            default: break;
        }
    }

    asio::awaitable<void> read(std::size_t index, const pool_program::operation& op) {
        watched_memory::guard destination(memory_, op.range.length());
        const auto memory = destination.span();
        fetch_options options;
        options.concurrency(op.parts).min_chunk_bytes(1).timeout(op.time);
        const auto got = co_await pools_.of(index).async_fetch(op.range, memory, options);
        check_bytes(pools_.service_of(index), memory.first(got), op);
        world_.check(got == op.range.length(), "a read is shorter than its range, without an error");
    }

    // The old lease is released first: a holder of a lease that waits for another may wait for itself.
    asio::awaitable<void> acquire(std::size_t index, std::chrono::nanoseconds timeout) {
        task_state& me = tasks_[index];
        mrd_pool& pool = pools_.of(index);
        me.held.release();
        lease got = co_await pool.async_acquire(rangeio::acquire_options().timeout(timeout));
        me.held = std::move(got);
        me.reads_from = &pools_.service_of(index);
    }

    asio::awaitable<void> read_leased(std::size_t index, const pool_program::operation& op) {
        task_state& me = tasks_[index];
        if (!me.held) co_return;
        // The stream may have failed for lack of memory.
        if (std::exchange(me.had_no_memory, false)) co_await acquire(index, std::chrono::seconds(60));
        watched_memory::guard destination(memory_, op.range.length());
        const auto memory = destination.span();
        const std::size_t got =
            co_await me.held.async_fetch(op.range, memory, read_options().timeout(op.time));
        check_bytes(*me.reads_from, memory.first(got), op);
    }

    asio::awaitable<void> split(std::size_t index, const pool_program::operation& op) {
        std::vector<std::uint64_t> lengths;
        const byte_range all = op.range;
        for (std::uint64_t i = 0; i < op.parts; ++i) {
            lengths.push_back(all.length() * (i + 1) / op.parts - all.length() * i / op.parts);
        }
        fetch_options options;
        options.min_chunk_bytes(1).timeout(op.time);
        const auto blocks = co_await pools_.of(index).async_fetch_split(all.offset(), lengths, options);
        std::uint64_t at = all.offset();
        for (const byte_block& b : blocks) {
            world_.check(
                pools_.service_of(index).holds(b.span(), at), "a block has other bytes than the object"
            );
            at += b.span().size();
        }
        world_.check(at == all.offset() + all.length(), "the blocks are not as long as the range");
    }

    void check_bytes(
        const scripted_service& from, std::span<const std::byte> bytes, const pool_program::operation& op
    ) {
        if (!from.holds(bytes, op.range.offset())) {
            world_.violate(fmt::format("{}: other bytes than the object has", op.text));
        }
    }

    // Whether the operations and the faults of the program account for this error.
    bool is_explained(std::size_t task, const pool_program::operation& op, const error_value& why) const {
        // A stream that failed while the pool was closing; each close() reports its error.
        if (op.what == action::close && program_pools::is_injected(why)) return true;
        if (!program_.errors_allowed) return false;
        const auto code = why.code();
        if (code == asio::error::operation_aborted) return has_cancel_[task];
        if (code == errc::pool_closed || code == errc::shut_down) return has_close_;
        if (code == errc::stream_closed && has_close_) return true;
        if (code == errc::timed_out && op.time.count() != 0) return true;
        if (code == errc::range_not_satisfiable &&
            op.range.offset() + op.range.length() > program_.object_bytes)
            return true;
        return faults_.explain(why);
    }

    const pool_program& program_;
    world& world_;
    const possible_faults faults_;
    watched_memory memory_;
    bool has_close_ = false;
    std::vector<bool> has_cancel_;
    std::deque<task_state> tasks_;
    std::unique_ptr<sim::context> io_;
    program_pools pools_;
};

}  // namespace

void pool_program::operator()(sim::world& w) const {
    run(*this, w).go();
}

}  // namespace rangeio::testing
