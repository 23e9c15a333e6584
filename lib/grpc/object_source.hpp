#pragma once

#include "grpc/bidi_call.hpp"
#include "runtime/mutex.hpp"
#include "transport/pinned_object.hpp"

#include <mutex>
#include <string>

namespace rangeio::grpc_transport {

/// The state that all streams on one object share: pinned_object, and the newest read handle and routing token.
class object_source : public transport::pinned_object {
public:
    using pinned_object::pinned_object;

    /// The spec of the next call. `anew`: without the read handle, so that the response reports the object; the
    /// response to a call with a handle may omit it.
    call_spec spec(bool anew = false) const;
    /// As pinned_object::update(); stores the handle on success.
    error_value update(
        const object_info* reported, const std::string* read_handle, bool required = false
    ) noexcept;
    /// Stores the token and the handle of a redirect; an absent one leaves the stored one unchanged. Fails for a token
    /// that is invalid in a header, and for a token or handle above the limits of limits.hpp.
    error_value redirect(const call_end::redirection& where) noexcept;

private:
    mutable runtime::mutex mutex_;
    std::string read_handle_;
    std::string routing_token_;
};

}  // namespace rangeio::grpc_transport
