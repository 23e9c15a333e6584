#include "grpc/status.hpp"

#include "error_text.hpp"
#include "grpc/limits.hpp"
#include "grpc/service_status.hpp"
#include "grpc/status_details.hpp"

#include <grpcpp/channel.h>
#include <grpcpp/support/status.h>

#include <fmt/format.h>

#include <exception>
#include <string>

namespace rangeio::grpc_transport {
namespace {

// gRPC ends a call with RESOURCE_EXHAUSTED if it rejects a message that has arrived, and only the text identifies such
// an end. If a service sends the same text itself, its call is not retried either.
bool is_too_long(const std::string& text, std::size_t max_message_bytes) {
    return text.find("eceived message larger than max (") != text.npos &&
           text.ends_with(fmt::format(" vs. {})", max_message_bytes));
}

bool has_too_much_metadata(const std::string& text) {
    return text.starts_with("received ") && text.ends_with(" metadata size exceeds limit");
}

}  // namespace

call_end end_from_status(const grpc::Status& status, std::size_t max_message_bytes) noexcept {
    try {
        const std::string text = status.error_message();
        const bool ours = status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED;
        if (ours && is_too_long(text, max_message_bytes)) {
            return described(
                errc::protocol_error, "a message is longer than max_message_bytes, {}", max_message_bytes
            );
        }
        if (ours && has_too_much_metadata(text)) {
            call_end out(
                described(errc::protocol_error, "the trailers are longer than {} bytes", max_header_bytes)
            );
            out.unreadable = true;
            return out;
        }
        return end_of_call(status.error_code(), text, status.error_details());
    } catch (const std::exception&) {
        return end_of_call(status.error_code(), {}, {});
    }
}

error_value no_connection(
    const grpc::Status& status, grpc::Channel& on, const std::string& endpoint
) noexcept {
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

}  // namespace rangeio::grpc_transport
