#include "grpc/service_status.hpp"

#include "status_numbers.hpp"
#include "text.hpp"

#include <fmt/format.h>

#include <string>

namespace rangeio::grpc_transport {

error_value from_status(int code, std::string_view text) {
    if (code == 0) return {};
    const std::string line = printable(text);
    const bool known = code > 0 && code <= status_number::unauthenticated;
    const int status = known ? code : status_number::unknown;
    std::string name = grpc_category().message(status);
    if (!known) name += fmt::format(", status {}", code);
    return {
        code_of_status(status),
        line.empty() ? name : fmt::format("{} ({})", line, name),
        class_of_status(status),
    };
}

}  // namespace rangeio::grpc_transport
