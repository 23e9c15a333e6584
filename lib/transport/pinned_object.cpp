#include "transport/pinned_object.hpp"

#include "error_text.hpp"

#include <fmt/format.h>

#include <new>
#include <utility>

namespace rangeio::transport {

pinned_object::pinned_object(object_ref object)
    : object_(std::move(object)), generation_(object_.generation()) {
    object_info named;
    named.bucket = object_.bucket();
    named.name = object_.name();
    info_ = std::make_shared<const object_info>(std::move(named));
}

error_value pinned_object::update(const object_info* reported, bool required) noexcept {
    const std::lock_guard lock(mutex_);
    if (reported == nullptr) {
        if (is_known() && !required) return {};
        return described(errc::protocol_error, "the first response does not report the object");
    }
    if (reported->generation <= 0) {
        return described(
            errc::protocol_error, "a response reports generation {} of the object", reported->generation
        );
    }
    if (generation_ != 0 && reported->generation != generation_) {
        return described(
            errc::generation_changed,
            "generation {} is being read, the service has {} now",
            generation_,
            reported->generation
        );
    }
    // Calls of several streams may answer out of order, and an object never shrinks.
    if (is_known() && !reported->finalized && reported->size < info_->size) return {};
    try {
        // The service reports the full resource name of a bucket; info() has the caller's name.
        object_info known = *reported;
        known.bucket = object_.bucket();
        info_ = std::make_shared<const object_info>(std::move(known));
        generation_ = reported->generation;
        return {};
    } catch (const std::bad_alloc&) {
        if (is_known()) return {};  // the older report suffices to continue
        return make_error_code(boost::system::errc::not_enough_memory);
    }
}

error_value pinned_object::explain(const error_value& why) const noexcept {
    if (why.code() != errc::not_found && why.code() != errc::precondition_failed) return why;
    const std::lock_guard lock(mutex_);
    if (!is_known()) return why;  // the object has never been reported
    try {
        return {
            errc::generation_changed,
            error_info{
                fmt::format(
                    "generation {} is being read, and does not exist any more: {}", generation_, why.message()
                ),
                why.kind(),
                why.retry_after(),
            },
        };
    } catch (const std::bad_alloc&) {
        return errc::generation_changed;
    }
}

std::int64_t pinned_object::generation() const noexcept {
    const std::lock_guard lock(mutex_);
    return generation_;
}

bool pinned_object::known() const noexcept {
    const std::lock_guard lock(mutex_);
    return is_known();
}

std::shared_ptr<const object_info> pinned_object::info() const noexcept {
    const std::lock_guard lock(mutex_);
    return info_;
}

}  // namespace rangeio::transport
