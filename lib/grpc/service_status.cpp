#include "grpc/service_status.hpp"

#include "text.hpp"

#include <fmt/format.h>

#include <string>

namespace rangeio::grpc_transport {
namespace {

constexpr int unknown = 2;
constexpr int last_status = 16;

// By the numbers of gRPC, whose headers have no place here: scripted services speak of statuses too.
error_code code_of(int status) {
    switch (status) {
        case 3: return errc::invalid_argument;
        case 4: return errc::timed_out;
        case 5: return errc::not_found;
        case 7: return errc::permission_denied;
        case 9: return errc::precondition_failed;
        case 11: return errc::range_not_satisfiable;
        case 16: return errc::unauthenticated;
        default: return {status, grpc_category()};
    }
}

}  // namespace

failure from_status(int code, std::string_view text) {
    if (code == 0) return {};
    const std::string line = printable(text);
    const bool known = code > 0 && code <= last_status;
    const int status = known ? code : unknown;
    std::string name = grpc_category().message(status);
    if (!known) name += fmt::format(", status {}", code);
    return {code_of(status), line.empty() ? name : fmt::format("{} ({})", line, name), status};
}

}  // namespace rangeio::grpc_transport
