#include "grpc/status.hpp"

#include <grpcpp/support/status.h>

#include <fmt/format.h>

#include <algorithm>
#include <string>

namespace rangeio::grpc_transport {
namespace {

constexpr std::size_t max_text = 1024;

error_code code_of(int status) {
    switch (status) {
        case grpc::StatusCode::NOT_FOUND: return errc::not_found;
        case grpc::StatusCode::FAILED_PRECONDITION: return errc::precondition_failed;
        case grpc::StatusCode::PERMISSION_DENIED: return errc::permission_denied;
        case grpc::StatusCode::UNAUTHENTICATED: return errc::unauthenticated;
        case grpc::StatusCode::OUT_OF_RANGE: return errc::range_not_satisfiable;
        case grpc::StatusCode::INVALID_ARGUMENT: return errc::invalid_argument;
        case grpc::StatusCode::DEADLINE_EXCEEDED: return errc::timed_out;
        default: return {status, grpc_category()};
    }
}

}  // namespace

failure from_status(const grpc::Status& status) {
    return from_status(static_cast<int>(status.error_code()), status.error_message());
}

failure from_status(int code, std::string_view text) {
    if (code == grpc::StatusCode::OK) return {};
    std::string line(text.substr(0, max_text));
    std::ranges::replace_if(
        line, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' '
    );
    const std::string name = grpc_category().message(code);
    return {code_of(code), line.empty() ? name : fmt::format("{} ({})", line, name), code};
}

}  // namespace rangeio::grpc_transport
