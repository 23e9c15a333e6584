#include "grpc/object_source.hpp"

#include "described.hpp"
#include "grpc/limits.hpp"
#include "text.hpp"

#include <fmt/format.h>

#include <new>
#include <utility>

namespace rangeio::grpc_transport {

object_source::object_source(object_ref object)
    : object_(std::move(object)), pinned_generation_(object_.generation()) {
    object_info named;
    named.bucket = object_.bucket();
    named.name = object_.name();
    info_ = std::make_shared<const object_info>(std::move(named));
}

call_spec object_source::spec(bool anew) const {
    const std::lock_guard lock(mutex_);
    call_spec out{object_, {}, routing_token_};
    if (pinned_generation_ != 0) out.object.generation(pinned_generation_);
    // Who comes with a handle may not be told of the object; a redirect can bring one before anybody was.
    if (is_known() && !anew) out.read_handle = read_handle_;
    return out;
}

failure object_source::learn(
    const object_info* metadata, const std::string* read_handle, bool must_tell
) noexcept {
    const std::lock_guard lock(mutex_);
    if (metadata == nullptr && (must_tell || !is_known())) {
        return described(errc::protocol_error, "the first response does not tell of the object");
    }
    if (metadata != nullptr && metadata->generation <= 0) {
        return described(
            errc::protocol_error, "a response tells of generation {} of the object", metadata->generation
        );
    }
    if (metadata != nullptr && pinned_generation_ != 0 && metadata->generation != pinned_generation_) {
        return described(
            errc::generation_changed,
            "generation {} is being read, the service has {} now",
            pinned_generation_,
            metadata->generation
        );
    }
    try {
        if (read_handle != nullptr) read_handle_ = *read_handle;
        if (metadata == nullptr) return {};
        // Calls of several streams may answer out of turn, and an object only ever grows.
        if (is_known() && !metadata->finalized && metadata->size < info_->size) return {};
        // The service names buckets in full; callers name them as they address them.
        object_info known = *metadata;
        known.bucket = object_.bucket();
        info_ = std::make_shared<const object_info>(std::move(known));
        pinned_generation_ = metadata->generation;
        return {};
    } catch (const std::bad_alloc&) {
        if (is_known()) return {};  // that is good enough to go on with
        return make_error_code(boost::system::errc::not_enough_memory);
    }
}

failure object_source::judge(const failure& why) const noexcept {
    if (why.code() != errc::not_found && why.code() != errc::precondition_failed) return why;
    const std::lock_guard lock(mutex_);
    if (!is_known()) return why;  // it was never there
    try {
        return {
            errc::generation_changed,
            fmt::format(
                "generation {} is being read, and is not there any more: {}",
                pinned_generation_,
                why.message()
            ),
            why.grpc_status(),
        };
    } catch (const std::bad_alloc&) {
        return errc::generation_changed;
    }
}

failure object_source::redirect(const call_end::redirection& where) noexcept {
    if (!fits_header(where.routing_token)) {
        return described(errc::protocol_error, "the service redirects with a token that no header can have");
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

std::shared_ptr<const object_info> object_source::info() const noexcept {
    const std::lock_guard lock(mutex_);
    return info_;
}

}  // namespace rangeio::grpc_transport
