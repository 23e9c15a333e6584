#pragma once

#include <rangeio/error.hpp>

#include <boost/system/system_error.hpp>

#include <fmt/format.h>

#include <exception>
#include <new>
#include <utility>

namespace rangeio {

/// A failure with its story, for where nothing may be thrown: without memory for the story, the code alone.
template <class... Args>
failure described(errc code, fmt::format_string<Args...> text, Args... args) noexcept {
    try {
        return {code, fmt::format(text, std::move(args)...)};
    } catch (const std::bad_alloc&) {
        return code;
    }
}

/// The same failure with a remark behind its message; as it was without memory for one.
template <class... Args>
failure remarked(const failure& why, fmt::format_string<Args...> remark, Args... args) noexcept {
    try {
        return why.with_message(fmt::format("{} ({})", why.message(), fmt::format(remark, std::move(args)...))
        );
    } catch (const std::bad_alloc&) {
        return why;
    }
}

/// The exception that is being handled, which may be another's, as a failure with the text that it brings.
inline failure current_failure() noexcept {
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

/// What `f` returns, or fails with.
template <class F>
failure guarded(F&& f) noexcept {
    try {
        return f();
    } catch (...) {
        return current_failure();
    }
}

}  // namespace rangeio
