#pragma once

#include <rangeio/detail/visibility.hpp>
#include <rangeio/error.hpp>

#include <boost/asio/associator.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/deferred.hpp>

#include <exception>
#include <type_traits>
#include <utility>

// How the operations of this library complete: with any completion token of Boost.Asio, or with two tokens of this
// library that keep the text of a failure.
//
// Each operation has the signature `void(error_code)` or `void(error_code, T)` and the default token `default_token`,
// with which `co_await` returns the T or throws `rangeio::error` with the whole text. A token of Asio receives the bare
// code. A handler is always posted to its own executor: it is not called inside of the call that started the operation,
// on a gRPC thread or under a lock.

namespace rangeio {

namespace asio = boost::asio;

/// See with_message().
template <class Token>
class with_message_t {
public:
    explicit with_message_t(Token token = Token()) : token_(std::move(token)) {}

    Token token_;
};

/// Adapts a token so that a failure arrives as an exception_ptr to `rangeio::error`, whose text has the operation and
/// the cause: the handler is called with `(std::exception_ptr, T)` instead of `(error_code, T)`. For tokens that
/// rethrow it, such as `use_awaitable` and `use_future`: `co_await (pool.async_fetch(a, x, with_message(use_awaitable))
/// && ...)`. It must be outside of other adapters, except Asio's binders, which may be on either side: inside of
/// `as_tuple` it receives the code alone.
template <class Token>
with_message_t<std::decay_t<Token>> with_message(Token&& token) {
    return with_message_t<std::decay_t<Token>>(std::forward<Token>(token));
}

/// The default token of every operation: `co_await pool.async_fetch(range, memory)`.
///
/// The operation begins when it is awaited. A stored operation is awaited by `std::move(op)`, once.
using default_token = with_message_t<asio::deferred_t>;

/// See redirect_error_value().
template <class Token>
class redirect_error_value_t {
public:
    redirect_error_value_t(Token token, error_value& why) : token_(std::move(token)), why_(&why) {}

    Token token_;
    error_value* why_;
};

/// Adapts a token so that a failure, with its text, is stored in `why`, as asio::redirect_error does with a code: the
/// handler is called with `(T)` instead of `(error_code, T)`. After a success `why` is empty.
///
/// Lifetimes:  `why` until the handler is called.
template <class Token>
redirect_error_value_t<std::decay_t<Token>> redirect_error_value(Token&& token, error_value& why) {
    return redirect_error_value_t<std::decay_t<Token>>(std::forward<Token>(token), why);
}

/// The same for awaited operations: `co_await pool.async_fetch(range, memory, redirect_error_value(why))`.
inline redirect_error_value_t<asio::deferred_t> redirect_error_value(error_value& why) {
    return {asio::deferred, why};
}

namespace detail {

/// The exception for a failure: `rangeio::error`, or the exception that its creation threw; null without a failure.
RANGEIO_API std::exception_ptr exception_of(const error_value& why) noexcept;

/// Whether a handler has a member `complete` that takes the whole failure; the handlers of this library do.
template <class Handler>
inline constexpr bool takes_error_value = false;

/// The handler that with_message() makes of another one.
template <class Handler>
class message_handler {
public:
    explicit message_handler(Handler handler) : handler_(std::move(handler)) {}

    template <class... T>
    void complete(const error_value& why, T... value) {
        std::move(handler_)(exception_of(why), std::move(value)...);
    }
    template <class... T>
    void operator()(const error_code& code, T... value) {
        complete(error_value(code), std::move(value)...);
    }

    Handler handler_;
};

/// The handler that redirect_error_value() makes of another one.
template <class Handler>
class error_value_handler {
public:
    error_value_handler(Handler handler, error_value& why) : handler_(std::move(handler)), why_(&why) {}

    template <class... T>
    void complete(const error_value& why, T... value) {
        *why_ = why;
        std::move(handler_)(std::move(value)...);
    }
    template <class... T>
    void operator()(const error_code& code, T... value) {
        complete(error_value(code), std::move(value)...);
    }

    Handler handler_;
    error_value* why_;
};

template <class Handler>
inline constexpr bool takes_error_value<message_handler<Handler>> = true;
template <class Handler>
inline constexpr bool takes_error_value<error_value_handler<Handler>> = true;

/// The `executor_type` of an initiation, if it has one: newer tokens of Asio use it.
template <class Initiation>
class executor_type_of {};
template <class Initiation>
    requires requires { typename Initiation::executor_type; }
class executor_type_of<Initiation> {
public:
    using executor_type = typename Initiation::executor_type;
};

template <class Initiation, class Wrap>
class wrapping_initiation : public executor_type_of<Initiation> {
public:
    wrapping_initiation(Initiation inner, Wrap wrap) : inner_(std::move(inner)), wrap_(std::move(wrap)) {}

    auto get_executor() const noexcept
        requires requires(const Initiation& i) { i.get_executor(); }
    {
        return inner_.get_executor();
    }
    template <class Handler, class... Args>
    void operator()(Handler&& handler, Args&&... args) {
        std::move(inner_)(wrap_(std::forward<Handler>(handler)), std::forward<Args>(args)...);
    }

private:
    Initiation inner_;
    Wrap wrap_;
};

struct wrap_message {
    template <class Handler>
    message_handler<std::decay_t<Handler>> operator()(Handler&& handler) const {
        return message_handler<std::decay_t<Handler>>(std::forward<Handler>(handler));
    }
};

struct wrap_error_value {
    error_value* why;

    template <class Handler>
    error_value_handler<std::decay_t<Handler>> operator()(Handler&& handler) const {
        return {std::forward<Handler>(handler), *why};
    }
};

}  // namespace detail
}  // namespace rangeio

namespace boost::asio::detail {

/// Asio of Boost 1.81 dereferences the result of an awaited operation where it needs a member. Without this operator,
/// `deferred` cannot await an operation that completes with an exception_ptr and a value.
template <class Result>
    requires requires(const Result& r) { *r.ex_, *r.value_; }
bool operator*(const Result& r) noexcept {
    return *r.ex_ != nullptr;
}

}  // namespace boost::asio::detail

// Asio's customization points for the tokens and for the handlers that wrap other ones.
namespace boost::asio {

template <class Token, class... T>
struct async_result<rangeio::with_message_t<Token>, void(rangeio::error_code, T...)> {
    template <class Initiation, class RawToken, class... Args>
    static auto initiate(Initiation&& initiation, RawToken&& token, Args&&... args) {
        Token inner(std::forward<RawToken>(token).token_);
        return async_initiate<Token, void(std::exception_ptr, T...)>(
            rangeio::detail::wrapping_initiation<std::decay_t<Initiation>, rangeio::detail::wrap_message>(
                std::forward<Initiation>(initiation), {}
            ),
            inner,
            std::forward<Args>(args)...
        );
    }
};

template <class Token, class... T>
struct async_result<rangeio::redirect_error_value_t<Token>, void(rangeio::error_code, T...)> {
    template <class Initiation, class RawToken, class... Args>
    static auto initiate(Initiation&& initiation, RawToken&& token, Args&&... args) {
        rangeio::error_value* const why = token.why_;
        Token inner(std::forward<RawToken>(token).token_);
        return async_initiate<Token, void(T...)>(
            rangeio::detail::wrapping_initiation<std::decay_t<Initiation>, rangeio::detail::wrap_error_value>(
                std::forward<Initiation>(initiation), {why}
            ),
            inner,
            std::forward<Args>(args)...
        );
    }
};

template <template <class, class> class Associator, class Handler, class Default>
struct associator<Associator, rangeio::detail::message_handler<Handler>, Default>
    : Associator<Handler, Default> {
    static auto get(const rangeio::detail::message_handler<Handler>& h) noexcept {
        return Associator<Handler, Default>::get(h.handler_);
    }
    static auto get(const rangeio::detail::message_handler<Handler>& h, const Default& d) noexcept {
        return Associator<Handler, Default>::get(h.handler_, d);
    }
};

template <template <class, class> class Associator, class Handler, class Default>
struct associator<Associator, rangeio::detail::error_value_handler<Handler>, Default>
    : Associator<Handler, Default> {
    static auto get(const rangeio::detail::error_value_handler<Handler>& h) noexcept {
        return Associator<Handler, Default>::get(h.handler_);
    }
    static auto get(const rangeio::detail::error_value_handler<Handler>& h, const Default& d) noexcept {
        return Associator<Handler, Default>::get(h.handler_, d);
    }
};

}  // namespace boost::asio
