#pragma once

#include <rangeio/error.hpp>

#include <fmt/format.h>

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

}  // namespace rangeio
