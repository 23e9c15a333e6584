#pragma once

#include "grpc/bidi_call.hpp"
#include "runtime/mutex.hpp"
#include "transport/pinned_object.hpp"

#include <mutex>
#include <string>

namespace rangeio::grpc_transport {

/// What all streams on one object share: what is known of it, and the newest read handle and routing token.
class object_source : public transport::pinned_object {
public:
    using pinned_object::pinned_object;

    /// Of the next call. `anew`: without what the last ones said, so that its response reports the object; one to a
    /// handle need not.
    call_spec spec(bool anew = false) const;
    /// As that of the base, and takes the handle if all is well.
    failure update(
        const object_info* reported, const std::string* read_handle, bool required = false
    ) noexcept;
    /// Takes where a redirect points to. What it does not say stays as it was. Fails for a token that no header can
    /// have, and for what is longer than limits.hpp allows.
    failure redirect(const call_end::redirection& where) noexcept;

private:
    mutable runtime::mutex mutex_;
    std::string read_handle_;
    std::string routing_token_;
};

}  // namespace rangeio::grpc_transport
