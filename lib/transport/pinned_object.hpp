#pragma once

#include <rangeio/error.hpp>
#include <rangeio/object.hpp>

#include "runtime/mutex.hpp"

#include <cstdint>
#include <memory>
#include <mutex>

namespace rangeio::transport {

/// What all streams on one object know of it: the generation that is pinned, and the newest report.
class pinned_object {
public:
    /// A generation that `object` names is pinned from the beginning.
    explicit pinned_object(object_ref object);

    /// Takes what a response reports. Fails if that has no generation, or another one than the pinned one. Without a report
    /// it fails as well if `required`, or as long as nothing is known: nothing would be pinned then.
    failure update(const object_info* reported, bool required = false) noexcept;
    /// What the end of a call means: that the object which was being read is not there any more is an error of its
    /// own.
    failure explain(const failure& why) const noexcept;

    /// 0: none is pinned yet.
    std::int64_t generation() const noexcept;
    /// Whether anything has been reported.
    bool known() const noexcept;
    /// As last reported. Never null: before the first response it has the object's name only.
    std::shared_ptr<const object_info> info() const noexcept;
    const object_ref& object() const noexcept { return object_; }

private:
    bool is_known() const noexcept { return info_->generation != 0; }

    const object_ref object_;
    mutable runtime::mutex mutex_;
    std::shared_ptr<const object_info> info_;
    std::int64_t generation_;
};

}  // namespace rangeio::transport
