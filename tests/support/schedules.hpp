#pragma once

#include <cstdint>
#include <cstdlib>

namespace support {

/// The number that CI can afford.
inline constexpr std::uint64_t usual_schedules = 1500;

/// The number of schedules or scripts that a test tries of an unlimited supply: RANGEIO_SCHEDULES, or the usual number.
inline std::uint64_t schedule_budget() {
    const char* const asked = std::getenv("RANGEIO_SCHEDULES");
    return asked != nullptr ? std::strtoull(asked, nullptr, 10) : usual_schedules;
}

}  // namespace support
