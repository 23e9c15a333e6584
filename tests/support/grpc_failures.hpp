#pragma once

#include <rangeio/error.hpp>

#include "status_numbers.hpp"

#include <string>
#include <utility>

namespace support {

/// The failure of a call that ends with this number of gRPC's status codes.
inline rangeio::error_value grpc_failure(int status, std::string text = "gone") {
    return {rangeio::error_code(status, rangeio::grpc_category()), std::move(text)};
}

inline const rangeio::error_value unavailable = grpc_failure(rangeio::status_number::unavailable);
inline const rangeio::error_value cancelled = grpc_failure(rangeio::status_number::cancelled, "cancelled");

}  // namespace support
