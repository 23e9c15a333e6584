#pragma once

#include <rangeio/error.hpp>

#include "kit_export.hpp"

/// Numbers of gRPC's statuses, for code that does not use gRPC.
namespace rangeio::status_number {

inline constexpr int ok = 0;
inline constexpr int cancelled = 1;
inline constexpr int unknown = 2;
inline constexpr int invalid_argument = 3;
inline constexpr int deadline_exceeded = 4;
inline constexpr int not_found = 5;
inline constexpr int already_exists = 6;
inline constexpr int permission_denied = 7;
inline constexpr int resource_exhausted = 8;
inline constexpr int failed_precondition = 9;
inline constexpr int aborted = 10;
inline constexpr int out_of_range = 11;
inline constexpr int unimplemented = 12;
inline constexpr int internal = 13;
inline constexpr int unavailable = 14;
inline constexpr int data_loss = 15;
inline constexpr int unauthenticated = 16;

}  // namespace rangeio::status_number

namespace rangeio {

/// The code of a failure with this status: the `errc` of the same meaning, or the number in grpc_category().
RANGEIO_KIT_EXPORT error_code code_of_status(int status) noexcept;
/// The class of a status of gRPC. Numbers that gRPC does not define are error_class::unknown, as UNKNOWN is.
RANGEIO_KIT_EXPORT error_class class_of_status(int status) noexcept;

}  // namespace rangeio
