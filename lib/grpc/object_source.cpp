#include "grpc/object_source.hpp"

#include <fmt/format.h>

namespace rangeio::grpc_transport {

call_spec object_source::spec() const {
    const std::lock_guard lock(mutex_);
    call_spec out{object_, read_handle_, routing_token_};
    if (pinned_generation_ != 0) out.object.generation(pinned_generation_);
    return out;
}

bool object_source::learn(const object_info* metadata, const std::string* read_handle, failure& why) {
    const std::lock_guard lock(mutex_);
    if (metadata != nullptr) {
        if (pinned_generation_ != 0 && metadata->generation != pinned_generation_) {
            why = {
                errc::generation_changed,
                fmt::format(
                    "{}: generation {} is being read, the service now has {}",
                    object_.to_string(),
                    pinned_generation_,
                    metadata->generation
                )
            };
            return false;
        }
        pinned_generation_ = metadata->generation;
        info_ = *metadata;
        // The service names buckets in full; callers name them as they address them.
        info_.bucket = object_.bucket();
    }
    if (read_handle != nullptr) read_handle_ = *read_handle;
    return true;
}

object_info object_source::info() const {
    const std::lock_guard lock(mutex_);
    return info_;
}

}  // namespace rangeio::grpc_transport
