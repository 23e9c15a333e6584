#pragma once

#include "grpc/bidi_call.hpp"
#include "runtime/mutex.hpp"

#include <memory>
#include <mutex>
#include <string>

namespace rangeio::grpc_transport {

/// What all streams on one object share: which generation is pinned, and the newest read handle and routing
/// token.
class object_source {
public:
    explicit object_source(object_ref object);

    /// Of the next call. `anew`: without what the last ones said, so that its response tells of the object; one to a
    /// handle need not.
    call_spec spec(bool anew = false) const;
    /// Takes what a response says. Fails if that speaks of no generation, or of another one than the pinned one.
    /// Without metadata it fails as well if `must_tell`, or as long as nothing is known: nothing would be pinned then.
    failure learn(
        const object_info* metadata, const std::string* read_handle, bool must_tell = false
    ) noexcept;
    /// What the end of a call means: that the object which was being read is not there any more is an error of its
    /// own.
    failure judge(const failure& why) const noexcept;
    /// Takes where a redirect points to. What it does not say stays as it was. Fails for a token that no header can
    /// have, and for what is longer than limits.hpp allows.
    failure redirect(const call_end::redirection& where) noexcept;
    /// As last reported. Never null: before the first response it has the object's name only.
    std::shared_ptr<const object_info> info() const noexcept;
    const object_ref& object() const noexcept { return object_; }

private:
    /// A response has told of the object. A generation may be pinned before, by its name.
    bool is_known() const noexcept { return info_->generation != 0; }

    const object_ref object_;
    mutable runtime::mutex mutex_;
    std::shared_ptr<const object_info> info_;
    std::int64_t pinned_generation_;  // 0: none yet
    std::string read_handle_;
    std::string routing_token_;
};

}  // namespace rangeio::grpc_transport
