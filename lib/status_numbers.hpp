#pragma once

/// Numbers of gRPC's statuses, for what does without gRPC.
namespace rangeio::status_number {

inline constexpr int ok = 0;
inline constexpr int cancelled = 1;
inline constexpr int invalid_argument = 3;
inline constexpr int deadline_exceeded = 4;
inline constexpr int not_found = 5;
inline constexpr int resource_exhausted = 8;
inline constexpr int failed_precondition = 9;
inline constexpr int aborted = 10;
inline constexpr int out_of_range = 11;
inline constexpr int unimplemented = 12;
inline constexpr int internal = 13;
inline constexpr int unavailable = 14;

}  // namespace rangeio::status_number
