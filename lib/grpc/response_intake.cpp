#include "grpc/response_intake.hpp"

#include "error_text.hpp"
#include "grpc/limits.hpp"
#include "grpc/object_decoder.hpp"

#include <exception>
#include <string>

namespace rangeio::grpc_transport {
namespace {

error_value no_memory() noexcept {
    return make_error_code(boost::system::errc::not_enough_memory);
}

error_value refused(const wire::decode_result& why) noexcept {
    if (why.status == wire::decode_status::out_of_memory) return no_memory();
    if (why.status == wire::decode_status::above_limit) {
        return described(errc::protocol_error, "a response has {}", why.what);
    }
    return described(errc::protocol_error, "malformed response: {}", why.what);
}

error_value too_long(const char* what, std::size_t bytes, std::size_t most) noexcept {
    return described(
        errc::protocol_error, "a response has {} bytes of {}, the limit is {}", bytes, what, most
    );
}

error_value hand_on(std::span<const wire::slice> message, bidi_call_events& to) {
    wire::read_response decoded;
    if (const auto how = wire::decode_read_response(message, decoded); !how) return refused(how);
    incoming out;
    out.message = message;
    out.chunks = {decoded.chunks.data(), decoded.chunks.size()};
    object_info metadata;
    if (!decoded.metadata.empty()) {
        std::size_t bytes = 0;
        for (const wire::extent& part : decoded.metadata) bytes += part.size;
        if (bytes > max_metadata_bytes) return too_long("metadata", bytes, max_metadata_bytes);
        std::string object;
        for (const wire::extent& part : decoded.metadata) object += wire::copy_of(message, part);
        if (const auto how = wire::decode_object(object, metadata); !how) return refused(how);
        out.metadata = &metadata;
    }
    std::string read_handle;
    if (decoded.read_handle) {
        if (decoded.read_handle->size > max_handle_bytes) {
            return too_long("read handle", decoded.read_handle->size, max_handle_bytes);
        }
        read_handle = wire::copy_of(message, *decoded.read_handle);
        out.read_handle = &read_handle;
    }
    to.on_response(out);
    return {};
}

}  // namespace

error_value take_response(std::span<const wire::slice> message, bidi_call_events& to) noexcept {
    try {
        return hand_on(message, to);
    } catch (const std::exception&) {
        return no_memory();
    }
}

}  // namespace rangeio::grpc_transport
