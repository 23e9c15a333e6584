#pragma once

#include <rangeio/error.hpp>

#include <boost/system/system_error.hpp>

#include <fmt/format.h>

#include <chrono>
#include <exception>
#include <new>
#include <utility>

namespace rangeio {

/// A failure with its text, for code that must not throw: if there is no memory for the text, the code alone.
template <class... Args>
error_value described(error_code code, fmt::format_string<Args...> text, Args... args) noexcept {
    try {
        return {code, fmt::format(text, std::move(args)...)};
    } catch (const std::bad_alloc&) {
        return code;
    }
}

/// The same failure with a remark after its message; unchanged if there is no memory for the remark.
template <class... Args>
error_value remarked(const error_value& why, fmt::format_string<Args...> remark, Args... args) noexcept {
    try {
        return why.with_message(fmt::format("{} ({})", why.message(), fmt::format(remark, std::move(args)...))
        );
    } catch (const std::bad_alloc&) {
        return why;
    }
}

/// The same failure with the wait that its service requests before the next attempt.
inline error_value with_retry_after(const error_value& why, std::chrono::nanoseconds delay) {
    return {why.code(), error_info{why.message(), why.kind(), delay}};
}

/// The exception that is being handled, of any type, as a failure with the text of the exception.
inline error_value current_error() noexcept {
    try {
        try {
            throw;
        } catch (const error& e) {
            return e.why();
        } catch (const boost::system::system_error& e) {
            return {e.code(), e.what()};
        } catch (const std::bad_alloc&) {
            throw;
        } catch (const std::exception& e) {
            return {errc::stream_closed, e.what()};
        } catch (...) {
            return errc::stream_closed;
        }
    } catch (const std::bad_alloc&) {
        return make_error_code(boost::system::errc::not_enough_memory);
    }
}

/// Returns the result of `f`, or the exception of `f` as a failure.
template <class F>
error_value guarded(F&& f) noexcept {
    try {
        return f();
    } catch (...) {
        return current_error();
    }
}

}  // namespace rangeio
