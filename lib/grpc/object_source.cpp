#include "grpc/object_source.hpp"

#include "error_text.hpp"
#include "grpc/limits.hpp"
#include "text.hpp"

#include <new>
#include <utility>

namespace rangeio::grpc_transport {

call_spec object_source::spec(bool anew) const {
    call_spec out{object(), {}, {}};
    // The response to a call with a handle may omit the object, and a redirect can bring a handle before the first
    // report.
    const bool with_handle = known() && !anew;
    if (const std::int64_t pinned = generation(); pinned != 0) out.object.generation(pinned);
    const std::lock_guard lock(mutex_);
    out.routing_token = routing_token_;
    if (with_handle) out.read_handle = read_handle_;
    return out;
}

error_value object_source::update(
    const object_info* reported, const std::string* read_handle, bool required
) noexcept {
    if (error_value unfit = pinned_object::update(reported, required)) return unfit;
    if (read_handle == nullptr) return {};
    const std::lock_guard lock(mutex_);
    try {
        read_handle_ = *read_handle;
    } catch (const std::bad_alloc&) {
        // The previous handle remains valid, and a call without one is possible, too.
    }
    return {};
}

error_value object_source::redirect(const call_end::redirection& where) noexcept {
    if (!fits_header(where.routing_token)) {
        return described(errc::protocol_error, "the service redirects with a token invalid in a header");
    }
    if (where.routing_token.size() > max_token_bytes) {
        return described(
            errc::protocol_error,
            "the service redirects with a token of {} bytes, the limit is {}",
            where.routing_token.size(),
            max_token_bytes
        );
    }
    if (where.read_handle && where.read_handle->size() > max_handle_bytes) {
        return described(
            errc::protocol_error,
            "the service redirects with a read handle of {} bytes, the limit is {}",
            where.read_handle->size(),
            max_handle_bytes
        );
    }
    const std::lock_guard lock(mutex_);
    try {
        if (!where.routing_token.empty()) routing_token_ = where.routing_token;
        if (where.read_handle) read_handle_ = *where.read_handle;
        return {};
    } catch (const std::bad_alloc&) {
        return make_error_code(boost::system::errc::not_enough_memory);
    }
}

}  // namespace rangeio::grpc_transport
