#pragma once

/// Numbers of gRPC statuses, which the kit is without.
namespace rangeio::testing::status_number {

inline constexpr int cancelled = 1;
inline constexpr int deadline_exceeded = 4;
inline constexpr int not_found = 5;
inline constexpr int resource_exhausted = 8;
inline constexpr int aborted = 10;
inline constexpr int out_of_range = 11;
inline constexpr int internal = 13;
inline constexpr int unavailable = 14;

}  // namespace rangeio::testing::status_number
