#include "engine/read_operation.hpp"

#include "described.hpp"

#include <utility>

namespace rangeio::engine {

void read_operation::start() noexcept {
    if (from_.stream != nullptr) {
        if (from_.pool != nullptr) object_ = from_.pool->info();
        begin(from_.stream);
        return;
    }
    if (!from_.renews) object_ = from_.pool->info();
    if (object_ != nullptr) {
        begin(nullptr);
        return;
    }
    try {
        const auto who = std::static_pointer_cast<read_operation>(shared_from_this());
        std::shared_ptr<pool_waiter> waiter(who, this);
        if (from_.renews) {
            from_.pool->acquire(std::move(waiter));
        } else {
            from_.pool->initialize(std::move(waiter));
        }
    } catch (...) {
        refuse(current_failure());
    }
}

void read_operation::granted(lease granted) noexcept {
    held_ = std::move(granted);
    const auto stream = pool_access::stream(held_);
    object_ = from_.pool->info();
    stream->renew();
    begin(stream);
}

void read_operation::answered(const failure& why) noexcept {
    if (why) {
        refuse(why);
        return;
    }
    object_ = from_.pool->info();
    begin(nullptr);
}

void read_operation::begin(const std::shared_ptr<multi_range_downloader>& stream) noexcept {
    failure why;
    try {
        std::vector<transfer_part> parts;
        why = plan(parts);
        empty_ = parts.empty();
        if (!why && !empty_) {
            if (stream != nullptr) {
                prepare(stream, from_.owner, std::move(parts));
            } else {
                prepare(from_.pool, std::move(parts));
            }
        }
    } catch (...) {
        why = current_failure();
    }
    // A cancellation that came before had no transfer to abort.
    bool reading = false;
    {
        const std::lock_guard lock(mutex_);
        if (!why) why = stop_;
        reading = reading_ = !why && !empty_;
    }
    if (reading) {
        run();
    } else {
        refuse(why);
    }
}

void read_operation::refuse(const failure& why) noexcept {
    refused_ = why;
    complete();
}

void read_operation::stop(const failure& why) noexcept {
    bool reading = false;
    {
        const std::lock_guard lock(mutex_);
        stop_ = why;
        reading = reading_;
    }
    if (reading) {
        abort(why);
    } else if (from_.stream == nullptr) {
        from_.pool->cancel(*this, why);
    }
}

std::shared_ptr<transfer> read_operation::self() noexcept {
    return {std::static_pointer_cast<read_operation>(shared_from_this()), this};
}

failure read_operation::outcome() {
    if (held_) from_.pool->learn(*pool_access::stream(held_));
    held_.release();
    if (refused_) return refused_;
    if (!empty_ && why()) return why();
    return judge();
}

asio::awaitable<failure> run_read(std::shared_ptr<read_operation> op, std::chrono::nanoseconds timeout) {
    failure why = op->check();
    if (!why) {
        co_await runtime::await_operation(op, timeout);
        why = op->outcome();
    }
    co_return why ? op->explain(why) : failure();
}

asio::awaitable<void> run_read_or_throw(
    std::shared_ptr<read_operation> op, std::chrono::nanoseconds timeout
) {
    const failure why = co_await run_read(std::move(op), timeout);
    if (why) throw error(why);
}

}  // namespace rangeio::engine
