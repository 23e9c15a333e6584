#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace rangeio::runtime {

/// What resumes a coroutine that waits: the handler of `use_awaitable`, type erased, in memory of its own.
///
/// asio::any_completion_handler asks for memory, and so where an exception would not reach the coroutine but destroy it.
class resumption {
public:
    resumption() = default;
    resumption(const resumption&) = delete;
    resumption& operator=(const resumption&) = delete;
    ~resumption() { reset(); }

    /// Requires: there is none.
    template <class Handler>
    void emplace(Handler&& handler) noexcept {
        using type = holder<std::decay_t<Handler>>;
        static_assert(sizeof(type) <= sizeof(memory_) && alignof(type) <= alignof(std::max_align_t));
        static_assert(std::is_nothrow_constructible_v<std::decay_t<Handler>, Handler&&>);
        handler_ = new (&memory_) type(std::forward<Handler>(handler));
    }
    explicit operator bool() const noexcept { return handler_ != nullptr; }
    /// Once. What it resumes may destroy this.
    void operator()() { std::exchange(handler_, nullptr)->call(); }
    /// Destroys the coroutine.
    void reset() noexcept {
        if (handler_ != nullptr) std::destroy_at(std::exchange(handler_, nullptr));
    }

private:
    struct base {
        virtual ~base() = default;
        virtual void call() = 0;
    };
    template <class Handler>
    struct holder final : base {
        explicit holder(Handler h) noexcept : handler(std::move(h)) {}
        void call() override {
            Handler out = std::move(handler);
            std::destroy_at(this);
            std::move(out)();
        }
        Handler handler;
    };

    alignas(std::max_align_t) std::byte memory_[48];
    base* handler_ = nullptr;
};

}  // namespace rangeio::runtime
