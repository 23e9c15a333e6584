#pragma once

#include <rangeio/completion_token.hpp>
#include <rangeio/detail/visibility.hpp>
#include <rangeio/error.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/system_context.hpp>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <memory>
#include <new>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <utility>

// Connects the operations of the library to the handlers of its callers. Not for users.

namespace rangeio::detail {

template <class Handler>
inline constexpr bool is_binder = false;
template <class Target, class Executor>
inline constexpr bool is_binder<asio::executor_binder<Target, Executor>> = true;
template <class Target, class Allocator>
inline constexpr bool is_binder<asio::allocator_binder<Target, Allocator>> = true;
template <class Target, class Slot>
inline constexpr bool is_binder<asio::cancellation_slot_binder<Target, Slot>> = true;

/// Calls a handler with the outcome of an operation: one of this library with the whole failure, also inside of Asio's
/// binders, any other one with the code.
template <class Handler, class... T>
void deliver(Handler&& handler, const error_value& why, T&&... value) {
    using type = std::decay_t<Handler>;
    if constexpr (takes_error_value<type>) {
        handler.complete(why, std::forward<T>(value)...);
    } else if constexpr (is_binder<type>) {
        deliver(std::move(handler.get()), why, std::forward<T>(value)...);
    } else {
        std::forward<Handler>(handler)(why.code(), std::forward<T>(value)...);
    }
}

/// Whether operations can complete on such an executor directly. They cannot on an executor without a context, as that
/// of any_completion_handler, and must not on Asio's system executors, as that of use_future, which would start
/// threads.
template <class Executor>
inline constexpr bool has_context =
    std::is_convertible_v<const Executor&, asio::any_io_executor> && !requires(const Executor& e) {
        { e.query(asio::execution::context) } -> std::same_as<asio::system_context&>;
    };

/// A handler without such an executor: the operation completes on the executor of its pool or client, and dispatches
/// the handler from there.
template <class Handler, class Executor>
class elsewhere_handler {
public:
    elsewhere_handler(Handler handler, const Executor& executor)
        : handler_(std::move(handler)),
          work_(asio::prefer(executor, asio::execution::outstanding_work.tracked)) {}

    template <class... T>
    void complete(const error_value& why, T... value) {
        auto call =
            [handler = std::move(handler_), why, values = std::tuple<T...>(std::move(value)...)]() mutable {
                std::apply([&](T&... v) { deliver(std::move(handler), why, std::move(v)...); }, values);
            };
        asio::dispatch(work_, std::move(call));
    }

private:
    Handler handler_;
    decltype(asio::prefer(std::declval<const Executor&>(), asio::execution::outstanding_work.tracked)) work_;
};

template <class Handler, class Executor>
inline constexpr bool takes_error_value<elsewhere_handler<Handler, Executor>> = true;

/// The outcome of a completed operation. Requested once, on the handler's executor.
template <class T>
class outcome_of {
public:
    virtual error_value outcome(T& value) noexcept = 0;

protected:
    ~outcome_of() = default;
};

template <>
class outcome_of<void> {
public:
    virtual error_value outcome() noexcept = 0;

protected:
    ~outcome_of() = default;
};

/// A handler of any type, in the memory of the operation, or, if it is large, in that of its associated allocator.
class handler_slot {
public:
    handler_slot() = default;
    handler_slot(const handler_slot&) = delete;
    handler_slot& operator=(const handler_slot&) = delete;
    ~handler_slot() { reset(); }

    /// Stores a handler.
    ///
    /// Requires:  there is none.
    /// Throws:    the exceptions of the handler's allocator; none if the handler is small.
    template <class T, class Handler>
    void emplace(Handler&& handler, outcome_of<T>& from) {
        using type = holder<T, std::decay_t<Handler>>;
        if constexpr (sizeof(type) <= sizeof(memory_) && alignof(type) <= alignof(std::max_align_t)) {
            held_ = new (&memory_) type(std::forward<Handler>(handler), from, true);
        } else {
            auto allocator = type::allocator_for(handler);
            using traits = std::allocator_traits<decltype(allocator)>;
            const auto memory = traits::allocate(allocator, 1);
            try {
                held_ = new (static_cast<void*>(std::to_address(memory)))
                    type(std::forward<Handler>(handler), from, false);
            } catch (...) {
                traits::deallocate(allocator, memory, 1);
                throw;
            }
        }
    }
    explicit operator bool() const noexcept { return held_ != nullptr; }
    /// Calls the handler with the outcome, after it has released `operation`. Once.
    void operator()(std::shared_ptr<void> operation) {
        std::exchange(held_, nullptr)->call(std::move(operation));
    }
    /// Destroys the handler.
    void reset() noexcept {
        if (held_ != nullptr) std::exchange(held_, nullptr)->destroy();
    }

private:
    class base {
    public:
        virtual void call(std::shared_ptr<void> operation) = 0;
        virtual void destroy() noexcept = 0;

    protected:
        ~base() = default;
    };

    template <class T, class Handler>
    class holder final : public base {
    public:
        template <class H>
        holder(H&& handler, outcome_of<T>& from, bool inside)
            : handler_(std::forward<H>(handler)), from_(from), inside_(inside) {}

        static auto allocator_for(const Handler& handler) {
            auto allocator = asio::get_associated_allocator(handler);
            return
                typename std::allocator_traits<decltype(allocator)>::template rebind_alloc<holder>(allocator);
        }
        void call(std::shared_ptr<void> operation) override {
            Handler handler(std::move(handler_));
            if constexpr (std::is_void_v<T>) {
                const error_value why = from_.outcome();
                destroy_moved(handler);
                operation.reset();
                deliver(std::move(handler), why);
            } else {
                T value{};
                const error_value why = from_.outcome(value);
                destroy_moved(handler);
                operation.reset();
                deliver(std::move(handler), why, std::move(value));
            }
        }
        void destroy() noexcept override {
            Handler handler(std::move(handler_));
            destroy_moved(handler);
        }

    private:
        void destroy_moved(const Handler& moved_to) noexcept {
            if (inside_) {
                std::destroy_at(this);
                return;
            }
            auto allocator = allocator_for(moved_to);
            using traits = std::allocator_traits<decltype(allocator)>;
            std::destroy_at(this);
            traits::deallocate(
                allocator, std::pointer_traits<typename traits::pointer>::pointer_to(*this), 1
            );
        }

        Handler handler_;
        outcome_of<T>& from_;
        const bool inside_;
    };

    // Enough for the handlers of awaiting, groups and compositions, and for a callback with some captures.
    alignas(std::max_align_t) std::byte memory_[128];
    base* held_ = nullptr;
};

/// The part of an operation that initiations use.
class RANGEIO_API operation_base {
public:
    /// Starts the operation, after its handler was stored. Once.
    virtual void launch(asio::any_io_executor executor, asio::cancellation_slot slot) noexcept = 0;

    /// Returns true once: the caller that gets it starts the operation.
    bool begin() noexcept { return !begun_.exchange(true, std::memory_order_relaxed); }

    handler_slot handler;

protected:
    ~operation_base() = default;

private:
    std::atomic<bool> begun_ = false;
};

/// Starts one operation when it receives a handler.
template <class T>
class initiation {
public:
    using executor_type = asio::any_io_executor;

    /// `executor`: that of the handler, if it has none that operations can complete on.
    initiation(std::shared_ptr<operation_base> op, outcome_of<T>& from, executor_type executor)
        : op_(std::move(op)), from_(&from), executor_(std::move(executor)) {}
    executor_type get_executor() const noexcept { return executor_; }
    /// Null after the start.
    const std::shared_ptr<operation_base>& operation() const noexcept { return op_; }

    template <class Handler>
    void operator()(Handler&& handler) {
        // Tokens may copy an initiation, but an operation has one handler.
        const auto op = std::move(op_);
        if (op == nullptr || !op->begin()) throw std::logic_error("operation: it was already started");
        const auto executor = asio::get_associated_executor(handler, executor_);
        const asio::cancellation_slot slot = asio::get_associated_cancellation_slot(handler);
        using associated = std::decay_t<decltype(executor)>;
        if constexpr (has_context<associated>) {
            op->handler.template emplace<T>(std::forward<Handler>(handler), *from_);
            op->launch(executor, slot);
        } else {
            using wrapped = elsewhere_handler<std::decay_t<Handler>, associated>;
            op->handler.template emplace<T>(wrapped(std::forward<Handler>(handler), executor), *from_);
            op->launch(executor_, slot);
        }
    }

private:
    std::shared_ptr<operation_base> op_;
    outcome_of<T>* from_;
    executor_type executor_;
};

template <class T>
struct signature_of {
    using type = void(error_code, T);
};
template <>
struct signature_of<void> {
    using type = void(error_code);
};
template <class T>
using signature = typename signature_of<T>::type;

/// A completion token for an operation that results in a T.
template <class Token, class T>
concept token_for = asio::completion_token_for<Token, signature<T>>;

template <class T, class Token>
auto initiate(initiation<T> op, Token&& token) {
    return asio::async_initiate<Token, signature<T>>(std::move(op), token);
}

}  // namespace rangeio::detail
