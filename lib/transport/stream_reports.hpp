#pragma once

#include <rangeio/observer.hpp>
#include <rangeio/stream_stats.hpp>

#include "kit_export.hpp"
#include "runtime/mutex.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

namespace rangeio::transport {

/// The events of the streams of one factory: counted, and passed to the observer if there is one. Events are rare:
/// successful work is not reported, except for the opening of a stream and its end.
class RANGEIO_KIT_EXPORT stream_reports {
public:
    explicit stream_reports(std::shared_ptr<observer> to) : observer_(std::move(to)) {}

    std::uint64_t number_stream() noexcept { return ++last_stream_; }
    /// Must be called without a lock held.
    void tell(const event& what) noexcept;

    stream_stats counted() const noexcept;
    const std::shared_ptr<observer>& to() const noexcept { return observer_; }

private:
    const std::shared_ptr<observer> observer_;
    std::atomic<std::uint64_t> last_stream_{0};
    mutable runtime::mutex mutex_;
    stream_stats counted_;
};

}  // namespace rangeio::transport
