#include "testing/service/threaded_service.hpp"

#include "testing/service/object_content.hpp"

#include <algorithm>
#include <random>

namespace rangeio::testing {

threaded_service::shared::shared(const threaded_service_options& options)
    : observed_by(options.observed_by()),
      state(
          {"bucket", "object"},
          options,
          [random = std::mt19937_64(options.seed()
           )](const fault& what, std::size_t, const armed_faults::place&) mutable {
              return random() % 100 < what.percent;
          }
      ),
      network(std::make_shared<scripted_network>(state)),
      first_generation(state.generation),
      threads(std::max<std::size_t>(options.threads(), 1)) {}

void threaded_service::shared::complain(std::string_view what) {
    if (complaint.empty()) complaint = what;
}

std::chrono::nanoseconds threaded_service::shared::pass_link(std::uint64_t bytes) {
    if (state.link_bytes_per_second == 0) return {};
    const auto now = std::chrono::steady_clock::now();
    return state.reserve_link(now, bytes, state.link_bytes_per_second) - now;
}

threaded_service::threaded_service(const threaded_service_options& options)
    : shared_(std::make_shared<shared>(options)) {}

threaded_service::~threaded_service() {
    {
        std::unique_lock lock(shared_->mutex);
        shared_->call_ended.wait(lock, [this] { return shared_->calls_open == 0; });
    }
    // The last calls may still deliver and release objects.
    shared_->threads.join();
}

std::shared_ptr<mrd_factory> threaded_service::transport(
    const asio::any_io_executor& executor,
    std::chrono::nanoseconds open_timeout,
    const retry_policy& retry,
    bool multi_request
) const {
    return make_threaded_transport(shared_, executor, open_timeout, retry, multi_request);
}

std::byte threaded_service::content(std::int64_t generation, std::uint64_t offset) noexcept {
    return object_content(generation, offset);
}

std::pair<std::int64_t, std::int64_t> threaded_service::generations() const {
    const std::lock_guard lock(shared_->mutex);
    return {shared_->first_generation, shared_->state.generation};
}

std::uint64_t threaded_service::calls() const {
    const std::lock_guard lock(shared_->mutex);
    return shared_->calls;
}

std::uint64_t threaded_service::calls_resumed() const {
    const std::lock_guard lock(shared_->mutex);
    return shared_->calls_resumed;
}

std::uint64_t threaded_service::calls_open() const {
    const std::lock_guard lock(shared_->mutex);
    return shared_->calls_open;
}

std::string threaded_service::complaint() const {
    const std::lock_guard lock(shared_->mutex);
    return shared_->complaint;
}

}  // namespace rangeio::testing
