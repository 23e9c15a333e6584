#include "runtime/operation.hpp"

#include "support/run.hpp"

#include <memory>

using namespace testing;
using rangeio::failure;

// What a coroutine waits for, when the context goes first.

namespace {

/// Ends when it is told to.
class promise final : public rangeio::runtime::operation {
public:
    void cancel(const failure&) noexcept override { complete(); }

private:
    void start() noexcept override {}
    void reject(const failure&) noexcept override {}
};

asio::awaitable<void> wait_for(std::shared_ptr<promise> what) {
    co_await rangeio::runtime::await_operation(what, {});
}

}  // namespace

// The frame holds the operation and the operation the frame: one that dies shows that the other does.
TEST_CASE("operation: a completion that dies in its queue takes its coroutine along") {
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

TEST_CASE("operation: a context that is destroyed under it takes its coroutine along") {
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
