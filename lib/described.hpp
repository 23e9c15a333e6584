#pragma once

#include <rangeio/error.hpp>

#include <fmt/format.h>

#include <new>
#include <string>
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
        const std::string text =
            fmt::format("{} ({})", why.message(), fmt::format(remark, std::move(args)...));
        return {why.code(), text, why.grpc_status()};
    } catch (const std::bad_alloc&) {
        return why;
    }
}

}  // namespace rangeio
