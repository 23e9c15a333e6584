#pragma once

#include <rangeio/error.hpp>

#include <fmt/format.h>

#include <chrono>
#include <string_view>
#include <type_traits>

// Checks of option values, and the one form of their error texts: `channels: 0 is not in 1..64`.

namespace rangeio {

inline double in_seconds(std::chrono::nanoseconds time) noexcept {
    return std::chrono::duration<double>(time).count();
}

/// Empty if `value` is in [least, most], else errc::invalid_argument. NaN is in no range.
template <class T>
error_value check_range(
    std::string_view option, T value, std::type_identity_t<T> least, std::type_identity_t<T> most
) {
    if (value >= least && value <= most) return {};
    return {errc::invalid_argument, fmt::format("{}: {} is not in {}..{}", option, value, least, most)};
}

/// The same for a duration.
inline error_value check_range(
    std::string_view option,
    std::chrono::nanoseconds value,
    std::chrono::nanoseconds least,
    std::chrono::nanoseconds most
) {
    if (value >= least && value <= most) return {};
    return {
        errc::invalid_argument,
        fmt::format(
            "{}: {} s is not in {}..{} s", option, in_seconds(value), in_seconds(least), in_seconds(most)
        )
    };
}

/// Empty if `value` is not below `least`.
template <class T>
error_value check_least(std::string_view option, T value, std::type_identity_t<T> least) {
    if (value >= least) return {};
    return {errc::invalid_argument, fmt::format("{}: {} is less than {}", option, value, least)};
}

inline error_value check_least(
    std::string_view option, std::chrono::nanoseconds value, std::chrono::nanoseconds least = {}
) {
    if (value >= least) return {};
    return {
        errc::invalid_argument,
        fmt::format("{}: {} s is less than {} s", option, in_seconds(value), in_seconds(least))
    };
}

inline void throw_if(const error_value& why) {
    if (why) throw error(why);
}

}  // namespace rangeio
