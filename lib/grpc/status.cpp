#include "grpc/status.hpp"

#include <rangeio/proto/any.hpp>
#include <rangeio/proto/rpc.pb.h>
#include <rangeio/proto/storage.pb.h>

#include <grpcpp/channel.h>
#include <grpcpp/support/status.h>

#include <fmt/format.h>

#include <string>
#include <utility>

namespace rangeio::grpc_transport {
namespace {

namespace pb = proto::storage::v2;

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

failure no_connection(const grpc::Status& status, grpc::Channel& on, const std::string& endpoint) noexcept {
    if (status.error_code() != grpc::StatusCode::UNAVAILABLE) return {};
    const grpc_connectivity_state state = on.GetState(false);
    if (state != GRPC_CHANNEL_TRANSIENT_FAILURE && state != GRPC_CHANNEL_CONNECTING) return {};
    const int code = static_cast<int>(status.error_code());
    try {
        return from_status(code, fmt::format("no connection to {}: {}", endpoint, status.error_message()));
    } catch (...) {
        return error_code(code, grpc_category());
    }
}

failure from_status(const grpc::Status& status) {
    return from_status(static_cast<int>(status.error_code()), status.error_message());
}

}  // namespace rangeio::grpc_transport
