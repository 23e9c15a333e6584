#include "grpc/status.hpp"

#include <rangeio/proto/any.hpp>
#include <rangeio/proto/rpc.pb.h>
#include <rangeio/proto/storage.pb.h>

#include <grpcpp/support/status.h>

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

namespace rangeio::grpc_transport {
namespace {

namespace pb = proto::storage::v2;

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

void take_redirect(const pb::BidiReadObjectRedirectedError& said, call_end& out) {
    auto& where = out.redirect.emplace();
    where.routing_token = said.routing_token();
    // A handle without content is none: the one we have is better.
    if (!said.read_handle().handle().empty()) where.read_handle = said.read_handle().handle();
}

void take_range_errors(const pb::BidiReadObjectError& said, call_end& out) {
    for (const pb::ReadRangeError& one : said.read_range_errors()) {
        const std::string& text = one.status().message();
        // An entry without a text of its own shares the call's.
        failure why = from_status(one.status().code(), text.empty() ? out.why.message() : text);
        out.range_errors.push_back({one.read_id(), std::move(why)});
    }
}

void take_details(const std::string& trailer, call_end& out) {
    proto::rpc::Status said;
    if (trailer.empty() || !said.ParseFromString(trailer)) return;
    for (const auto& detail : said.details()) {
        if (pb::BidiReadObjectRedirectedError redirect; proto::unpack(detail, redirect)) {
            take_redirect(redirect, out);
        } else if (pb::BidiReadObjectError errors; proto::unpack(detail, errors)) {
            take_range_errors(errors, out);
        }
    }
}

}  // namespace

call_end end_from_status(const grpc::Status& status) noexcept {
    call_end out;
    try {
        out.why = from_status(status);
        take_details(status.error_details(), out);
    } catch (...) {
        if (!status.ok() && !out.why) out.why = error_code(status.error_code(), grpc_category());
    }
    return out;
}

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
