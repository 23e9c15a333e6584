#include "testing/service/scripted_service.hpp"

#include <rangeio/sim/allocation_failures.hpp>

#include "testing/service/object_content.hpp"

#include <fmt/format.h>

#include <utility>

namespace rangeio::testing {

scripted_service::shared::shared(sim::world& w, const scripted_service_options& options)
    : in(w),
      state(
          {"bucket", options.object() == 0 ? "object" : fmt::format("object-{}", options.object())},
          options,
          [&w](const fault& what, std::size_t, const armed_faults::place&) {
              // One of so many outcomes, and not the plainest.
              const std::size_t n = std::max<std::size_t>(2, 100 / what.percent);
              return w.choose(n) == n - 1;
          }
      ),
      first_generation(state.generation),
      number(options.object()),
      observed_by(options.observed_by()),
      connect_time(options.connect_time()),
      link(options.link()),
      seed(options.seed()),
      network(std::make_shared<scripted_network>(state)),
      slow_link(std::make_shared<scripted_link>(w)) {}

scripted_service::scripted_service(sim::world& in, scripted_service_options options) {
    const sim::allocation_exemption own;
    shared_ = std::make_shared<shared>(in, options);
}

std::shared_ptr<mrd_factory> scripted_service::streams(bool multi_request) const {
    const sim::allocation_exemption own;
    return make_scripted_streams(shared_, multi_request);
}

std::shared_ptr<mrd_factory> scripted_service::transport(
    const sim::executor& executor,
    std::chrono::nanoseconds open_timeout,
    bool multi_request,
    std::int64_t generation
) const {
    const sim::allocation_exemption own;
    return make_scripted_transport(shared_, executor, open_timeout, multi_request, generation);
}

std::byte scripted_service::content(std::int64_t generation, std::uint64_t offset) noexcept {
    return object_content(generation, offset);
}

bool scripted_service::holds(std::span<const std::byte> bytes, std::uint64_t offset) const noexcept {
    for (std::int64_t g = shared_->first_generation; g <= shared_->state.generation; ++g) {
        bool same = true;
        for (std::size_t i = 0; i < bytes.size() && same; ++i) {
            same = bytes[i] == object_content(shared_->content_of(g), offset + i);
        }
        if (same) return true;
    }
    return false;
}

object_ref scripted_service::object() const {
    return object_ref(shared_->state.object).generation(shared_->state.generation);
}

std::uint64_t scripted_service::object_bytes() const noexcept {
    return shared_->state.size;
}

std::uint64_t scripted_service::calls() const noexcept {
    return shared_->calls;
}

std::uint64_t scripted_service::calls_open() const noexcept {
    return shared_->calls_open;
}

std::uint64_t scripted_service::ranges_requested() const noexcept {
    return shared_->ranges_requested;
}

std::uint64_t scripted_service::bytes_sent() const noexcept {
    return shared_->bytes_sent;
}

std::uint64_t scripted_service::connections() const noexcept {
    return shared_->network->connected();
}

std::vector<std::uint64_t> scripted_service::faults_struck() const {
    return shared_->state.faults.struck();
}

}  // namespace rangeio::testing
