#include "grpc/endpoint_watch.hpp"

#include "error_text.hpp"
#include "status_numbers.hpp"

#include <chrono>
#include <string_view>
#include <utility>

namespace rangeio::grpc_transport {
namespace {

constexpr std::chrono::seconds patience{2};

}  // namespace

endpoint_watch::endpoint_watch(
    std::shared_ptr<runtime::context_core> core,
    asio::any_io_executor executor,
    std::shared_ptr<observer> to,
    std::string endpoint
)
    : core_(std::move(core)),
      executor_(std::move(executor)),
      observer_(std::move(to)),
      endpoint_(std::move(endpoint)),
      over_(observer_ == nullptr) {}

// The time counts from the first call, because later calls may be refused and replaced again and again.
void endpoint_watch::begin() noexcept {
    if (over_) return;
    {
        const std::lock_guard lock(mutex_);
        const auto now = core_->now();
        if (!since_) since_ = now;
        const std::chrono::nanoseconds left = *since_ + patience - now;
        if (calls_++ != 0 || over_) return;
        if (left > std::chrono::nanoseconds::zero()) {
            try {
                timer_ = core_->set_timer(executor_, left, [weak = weak_from_this()] {
                    if (const auto alive = weak.lock()) alive->tell();
                });
            } catch (...) {
                // Without memory for the timer, a later call reports.
            }
            return;
        }
    }
    tell();
}

void endpoint_watch::answered() noexcept {
    if (answered_.exchange(true)) return;
    if (over_.exchange(true)) return;
    const std::lock_guard lock(mutex_);
    timer_.reset();
}

void endpoint_watch::end(const error_value& why) noexcept {
    if (answered_) return;
    // These statuses may be gRPC's own, without any answer from the endpoint.
    const error_class kind = why.kind();
    const error_code internal(status_number::internal, grpc_category());
    const bool ours = kind == error_class::none || kind == error_class::cancelled ||
                      (kind == error_class::transient && why.code() != internal);
    if (!ours) answered();
    if (over_) return;
    const std::lock_guard lock(mutex_);
    if (calls_ != 0 && --calls_ == 0) timer_.reset();
}

void endpoint_watch::tell() noexcept {
    if (over_.exchange(true)) return;
    const object_ref none;
    event what(event_kind::waiting_for_connection, none);
    what.time = patience;
    what.why = described(errc::timed_out, "{} has not answered yet", std::string_view(endpoint_));
    observer_->on_event(what);
}

}  // namespace rangeio::grpc_transport
