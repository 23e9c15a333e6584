#include "grpc/service_status.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>

namespace rangeio::grpc_transport {
namespace {

constexpr std::size_t max_text = 1024;

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
    std::string line(text.substr(0, max_text));
    std::ranges::replace_if(
        line, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' '
    );
    const std::string name = grpc_category().message(code);
    return {code_of(code), line.empty() ? name : fmt::format("{} ({})", line, name), code};
}

}  // namespace rangeio::grpc_transport
