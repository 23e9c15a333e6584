#include "common/units.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>
#include <utility>

namespace rangeio::tool {
namespace {

constexpr std::uint64_t max_size = std::numeric_limits<std::int64_t>::max();
constexpr std::chrono::milliseconds max_duration = std::chrono::hours(24 * 3650);

struct size_unit {
    std::string_view name;
    std::uint64_t bytes;
};
constexpr std::array<size_unit, 5> size_units{{
    {"TiB", std::uint64_t{1} << 40},
    {"GiB", std::uint64_t{1} << 30},
    {"MiB", std::uint64_t{1} << 20},
    {"KiB", std::uint64_t{1} << 10},
    {"B", 1},
}};

struct time_unit {
    std::string_view name;
    std::int64_t milliseconds;
};
constexpr std::array<time_unit, 4> time_units{{{"h", 3600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};

// The number at the beginning of the text, and the rest of the text.
std::optional<std::pair<std::uint64_t, std::string_view>> split_number(std::string_view text) {
    std::uint64_t value = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, problem] = std::from_chars(text.data(), end, value);
    if (problem != std::errc() || rest == text.data()) return std::nullopt;
    return std::pair(value, std::string_view(rest, static_cast<std::size_t>(end - rest)));
}

}  // namespace

std::optional<std::uint64_t> parse_number(std::string_view text) {
    const auto split = split_number(text);
    if (!split || !split->second.empty()) return std::nullopt;
    return split->first;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
    const auto split = split_number(text);
    if (!split) return std::nullopt;
    const auto [value, unit] = *split;
    for (const size_unit& known : size_units) {
        if (unit == known.name || (unit.empty() && known.bytes == 1)) {
            if (value > max_size / known.bytes) return std::nullopt;
            return value * known.bytes;
        }
    }
    return std::nullopt;
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
    const auto split = split_number(text);
    if (!split) return std::nullopt;
    const auto [value, unit] = *split;
    if (unit.empty() && value == 0) return std::chrono::milliseconds(0);
    for (const time_unit& known : time_units) {
        if (unit == known.name) {
            if (value > static_cast<std::uint64_t>(max_duration.count() / known.milliseconds)) return {};
            return std::chrono::milliseconds(static_cast<std::int64_t>(value) * known.milliseconds);
        }
    }
    return std::nullopt;
}

std::string size_text(double bytes) {
    for (const size_unit& unit : size_units) {
        const auto scale = static_cast<double>(unit.bytes);
        if (bytes < scale && unit.bytes > 1) continue;
        const double value = bytes / scale;
        const bool whole = value == static_cast<double>(static_cast<std::uint64_t>(value));
        return whole ? fmt::format("{:.0f} {}", value, unit.name)
                     : fmt::format("{:.{}f} {}", value, value < 10 ? 2 : 1, unit.name);
    }
    return {};
}

std::string size_option_text(std::uint64_t bytes) {
    for (const size_unit& unit : size_units) {
        if (bytes != 0 && bytes % unit.bytes == 0) {
            return fmt::format("{}{}", bytes / unit.bytes, unit.bytes == 1 ? "" : unit.name);
        }
    }
    return "0";
}

std::string duration_option_text(std::chrono::milliseconds time) {
    for (const time_unit& unit : time_units) {
        if (time.count() != 0 && time.count() % unit.milliseconds == 0) {
            return fmt::format("{}{}", time.count() / unit.milliseconds, unit.name);
        }
    }
    return "0";
}

std::string latency_text(std::chrono::nanoseconds time) {
    const auto ns = static_cast<double>(time.count());
    const auto with_unit = [](double value, std::string_view unit) {
        const int digits = value < 10 ? 2 : value < 100 ? 1 : 0;
        return fmt::format("{:.{}f} {}", value, digits, unit);
    };
    if (ns < 1e6) return with_unit(ns / 1e3, "us");
    if (ns < 1e9) return with_unit(ns / 1e6, "ms");
    return with_unit(ns / 1e9, "s");
}

}  // namespace rangeio::tool
