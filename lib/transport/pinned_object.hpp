#pragma once

#include <rangeio/error.hpp>
#include <rangeio/object.hpp>

#include "kit_export.hpp"
#include "runtime/mutex.hpp"

#include <cstdint>
#include <memory>
#include <mutex>

namespace rangeio::transport {

/// The state that all streams on one object share: the pinned generation, and the newest report.
class RANGEIO_KIT_EXPORT pinned_object {
public:
    /// If `object` names a generation, it is pinned from the beginning.
    explicit pinned_object(object_ref object);

    /// Takes over the report of a response; null if the response has none. Fails if the report has no generation, or
    /// another one than the pinned one. A missing report is a failure if `required`, or before the first report: no
    /// generation would be pinned then.
    error_value update(const object_info* reported, bool required = false) noexcept;
    /// Translates the failure of a call: if the pinned object does not exist any more, that is
    /// errc::generation_changed.
    error_value explain(const error_value& why) const noexcept;

    /// 0: none is pinned yet.
    std::int64_t generation() const noexcept;
    /// Whether the object has been reported.
    bool known() const noexcept;
    /// The last report. Never null: before the first response it has the object's name only.
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
