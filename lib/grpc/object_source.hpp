#pragma once

#include "grpc/bidi_call.hpp"

#include <mutex>
#include <string>

namespace rangeio::grpc_transport {

/// What all streams on one object share: which generation is pinned, and the newest read handle and routing
/// token.
class object_source {
public:
    explicit object_source(object_ref object) : object_(std::move(object)) {
        info_.bucket = object_.bucket();
    }

    call_spec spec() const;
    /// Takes what a response says. False, with the reason in `why`, if it speaks of another generation than
    /// the pinned one.
    bool learn(const object_info* metadata, const std::string* read_handle, failure& why);
    /// As first reported by an opened stream.
    object_info info() const;
    const object_ref& object() const noexcept { return object_; }

private:
    const object_ref object_;
    mutable std::mutex mutex_;
    object_info info_;
    std::int64_t pinned_generation_ = 0;
    std::string read_handle_;
    std::string routing_token_;
};

}  // namespace rangeio::grpc_transport
