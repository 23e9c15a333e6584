#include "runtime/operation.hpp"

#include <rangeio/sim/context.hpp>

#include "support/await_operation.hpp"
#include "support/run.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/execution.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <cstddef>
#include <future>
#include <memory>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

using namespace support;
using rangeio::error_value;

// What a coroutine waits for, when the context goes first.

namespace {

/// Ends on request; on a thread of `elsewhere` if there is one, as gRPC would end it.
class promise final : public rangeio::runtime::operation {
public:
    promise() = default;
    promise(std::vector<std::jthread>& elsewhere, std::shared_ptr<rangeio::runtime::context_core> core)
        : elsewhere_(&elsewhere), core_(std::move(core)) {}

    void stop(const error_value&) noexcept override {
        if (elsewhere_ == nullptr) return complete();
        auto self = std::static_pointer_cast<promise>(shared_from_this());
        // As a thread of gRPC does: what it drops may be the last of a strand, which needs its context.
        elsewhere_->emplace_back([self = std::move(self)]() mutable {
            const rangeio::runtime::context_core::shutdown_hold hold(self->core_);
            const auto alive = std::move(self);
            alive->complete();
        });
    }
    std::future<void> started() { return started_.get_future(); }

private:
    void start() noexcept override { started_.set_value(); }
    void reject(const error_value&) noexcept override {}

    std::vector<std::jthread>* const elsewhere_ = nullptr;
    const std::shared_ptr<rangeio::runtime::context_core> core_;
    std::promise<void> started_;
};

/// The frames that are alive, and how many died on another thread than that of the test.
struct frame_counts {
    const std::thread::id home = std::this_thread::get_id();
    std::atomic<int> alive = 0;
    std::atomic<int> died_elsewhere = 0;
    std::vector<std::jthread> threads;
};

class counted {
public:
    explicit counted(frame_counts& in) : in_(in) { ++in_.alive; }
    counted(const counted&) = delete;
    counted& operator=(const counted&) = delete;
    ~counted() {
        --in_.alive;
        if (std::this_thread::get_id() != in_.home) ++in_.died_elsewhere;
    }

private:
    frame_counts& in_;
};

asio::awaitable<void> wait_for(std::shared_ptr<promise> what) {
    co_await support::await_operation(what);
}

asio::awaitable<void> wait_and_be_counted(std::shared_ptr<promise> what, frame_counts& frames) {
    const counted frame(frames);
    co_await wait_for(std::move(what));
}

std::shared_ptr<promise> suspend_on(
    const asio::any_io_executor& executor, frame_counts& frames, bool elsewhere = true
) {
    std::shared_ptr<promise> op;
    if (elsewhere) {
        op = std::make_shared<promise>(frames.threads, rangeio::runtime::core_of(executor));
    } else {
        op = std::make_shared<promise>();
    }
    asio::co_spawn(executor, wait_and_be_counted(op, frames), [](std::exception_ptr) {});
    return op;
}

}  // namespace

TEST_CASE("operation: completions of one batch are resumed in order, in any number of runs of sixteen") {
    for (const std::size_t count : {1U, 15U, 16U, 17U, 32U, 33U, 50U}) {
        CAPTURE(count);
        asio::io_context context;
        std::vector<std::shared_ptr<promise>> all;
        std::vector<std::size_t> resumed;
        const auto wait = [](std::shared_ptr<promise> what, std::vector<std::size_t>& out, std::size_t number
                          ) -> asio::awaitable<void> {
            co_await wait_for(std::move(what));
            out.push_back(number);
        };
        for (std::size_t i = 0; i < count; ++i) {
            all.push_back(std::make_shared<promise>());
            asio::co_spawn(context, wait(all.back(), resumed, i), [](std::exception_ptr) {});
        }
        context.poll();
        {
            const rangeio::runtime::completion_batch together;
            for (const auto& op : all) op->cancel({});
        }
        context.restart();
        context.poll();
        REQUIRE(resumed.size() == count);
        for (std::size_t i = 0; i < count; ++i) CHECK(resumed[i] == i);
    }
}

// The frame holds the operation and the operation the frame: destruction of one shows that of the other.
TEST_CASE("operation: a completion destroyed in its queue destroys its coroutine") {
    std::weak_ptr<promise> alive;
    {
        asio::io_context context;
        auto op = std::make_shared<promise>();
        alive = op;
        asio::co_spawn(context, wait_for(op), [](std::exception_ptr) {});
        context.poll();
        op->complete();
    }
    CHECK(alive.expired());
}

TEST_CASE("operation: destruction of the context destroys the waiting coroutine") {
    std::weak_ptr<promise> alive;
    {
        asio::io_context context;
        auto op = std::make_shared<promise>();
        alive = op;
        asio::co_spawn(context, wait_for(std::move(op)), [](std::exception_ptr) {});
        context.poll();
        CHECK_FALSE(alive.expired());
    }
    CHECK(alive.expired());
}

TEST_CASE("operation: coroutines on strands end with their context, whenever its first strand was made") {
    frame_counts frames;
    for (const bool strand_first : {true, false}) {
        asio::io_context context;
        if (strand_first) (void)asio::make_strand(context);
        (void)rangeio::runtime::core_of(context.get_executor());
        const auto strand = asio::make_strand(context);
        suspend_on(strand, frames);
        suspend_on(strand, frames);
        suspend_on(asio::make_strand(context), frames);
        suspend_on(context.get_executor(), frames);
        const auto completed = suspend_on(asio::make_strand(context), frames);
        context.poll();
        completed->complete();
        CHECK(frames.alive == 5);
    }
    CHECK(frames.alive == 0);
    CHECK(frames.died_elsewhere == 0);
}

TEST_CASE("operation: coroutines on strands of a thread pool end with it, whenever its first strand was made"
) {
    frame_counts frames;
    for (const bool strand_first : {true, false}) {
        asio::thread_pool threads(2);
        if (strand_first) (void)asio::make_strand(threads);
        (void)rangeio::runtime::core_of(threads.get_executor());
        std::vector<std::future<void>> started;
        for (int i = 0; i < 4; ++i) {
            started.push_back(suspend_on(asio::make_strand(threads), frames)->started());
        }
        for (auto& s : started) REQUIRE(s.wait_for(30s) == std::future_status::ready);
        CHECK(frames.alive == 4);
        threads.stop();
    }
    CHECK(frames.alive == 0);
    CHECK(frames.died_elsewhere == 0);
}

TEST_CASE("operation: coroutines on strands of a simulated context end with it, and their time is virtual") {
    namespace sim = rangeio::sim;
    sim::random_strategy chance(1);
    sim::world world(chance);
    frame_counts frames;
    {
        sim::context context(world);
        auto timed = std::make_shared<promise>();
        const auto limited = [](std::shared_ptr<promise> what) -> asio::awaitable<void> {
            co_await support::await_operation(std::move(what), 1h);
        };
        const auto strand = asio::make_strand(context.get_executor());
        asio::co_spawn(strand, limited(timed), asio::detached);
        world.run();
        CHECK(timed.use_count() == 1);
        suspend_on(strand, frames, false);
        suspend_on(asio::make_strand(context.get_executor()), frames, false);
        world.run();
        CHECK(frames.alive == 2);
    }
    CHECK(frames.alive == 0);
}

namespace {

/// Runs what it is given on an io_context until it is closed, and then destroys it instead, as a strand does.
class closing_executor {
public:
    closing_executor(asio::io_context& context, const bool& closed) : context_(&context), closed_(&closed) {}

    asio::io_context& query(asio::execution::context_t) const noexcept { return *context_; }
    static constexpr asio::execution::blocking_t query(asio::execution::blocking_t) noexcept {
        return asio::execution::blocking.never;
    }
    closing_executor require(asio::execution::blocking_t::never_t) const noexcept { return *this; }

    template <class F>
    void execute(F&& f) const {
        std::decay_t<F> own(std::forward<F>(f));
        if (!*closed_) asio::post(*context_, std::move(own));
    }

    friend bool operator==(const closing_executor& a, const closing_executor& b) noexcept {
        return a.context_ == b.context_ && a.closed_ == b.closed_;
    }

private:
    asio::io_context* context_;
    const bool* closed_;
};

}  // namespace

TEST_CASE("operation: a coroutine whose executor destroys its completion is destroyed with it") {
    frame_counts frames;
    bool closed = false;
    asio::io_context context;
    const auto op = suspend_on(closing_executor(context, closed), frames);
    context.poll();
    CHECK(frames.alive == 1);
    closed = true;
    op->complete();
    CHECK(frames.alive == 0);
}
