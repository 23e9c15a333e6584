#include "testing/scripted_service.hpp"

#include <rangeio/testing/allocation_failures.hpp>

#include "testing/object_content.hpp"

#include <fmt/format.h>

#include <utility>

namespace rangeio::testing {

scripted_service::shared::shared(sim::world& w, const scripted_service_options& options)
    : in(w),
      state(
          {"bucket", options.object() == 0 ? "object" : fmt::format("object-{}", options.object())},
          options,
          [&w](const fault& what, std::size_t, const armed_faults::place&) {
              // One of so many chances, and not the plainest.
              const std::size_t n = std::max<std::size_t>(2, 100 / what.percent);
              return w.choose(n) == n - 1;
          }
      ),
      first_generation(state.generation),
      number(options.object()),
      observed_by(options.observed_by()) {}

scripted_service::scripted_service(sim::world& in, scripted_service_options options) {
    const allocation_exemption own;
    shared_ = std::make_shared<shared>(in, options);
}

std::shared_ptr<mrd_factory> scripted_service::streams(bool multi_request) const {
    const allocation_exemption own;
    return make_scripted_streams(shared_, multi_request);
}

std::shared_ptr<mrd_factory> scripted_service::transport(
    const sim::executor& executor,
    std::chrono::nanoseconds open_timeout,
    bool multi_request,
    std::int64_t generation
) const {
    const allocation_exemption own;
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

std::vector<std::uint64_t> scripted_service::faults_struck() const {
    return shared_->state.faults.struck();
}

call_player::call_player(std::shared_ptr<scripted_service::shared> service) : service_(std::move(service)) {}

void call_player::begin(bool has_handle, std::string_view token, std::int64_t pinned_generation) {
    const std::uint64_t number = ++service_->calls;
    ++service_->calls_open;
    actor_ = in().add_actor(fmt::format("call {}", number), true);
    script_.emplace(service_->state, number, has_handle, token, pinned_generation);
    if (!script_->complaint().empty()) in().violate(script_->complaint());
    wake();
}

void call_player::ask(std::int64_t read_id, std::uint64_t offset, std::uint64_t length) {
    script_->ask(read_id, offset, length);
    if (!script_->complaint().empty()) in().violate(script_->complaint());
    wake();
}

void call_player::stop() noexcept {
    const allocation_exemption own;
    if (!ending_) ending_ = call_script::ending{1, "the call was cancelled", {}, {}};
    wake();
}

void call_player::resume_end() {
    const allocation_exemption own;
    --holds_;
    wake();
}

void call_player::wake() {
    if (ended_ || !script_) return;
    if (timer_ != 0) {
        in().cancel_timer(std::exchange(timer_, 0));
        scheduled_ = false;
    }
    if (std::exchange(scheduled_, true)) return;
    in().post(actor_, sim::task([self = shared_from_this()] { self->step(); }), "serves");
}

void call_player::step() {
    scheduled_ = false;
    if (delivering_ || ended_) return;  // whoever delivers looks again when it is through
    if (!ending_) {
        call_script::step next = script_->next();
        if (next.delay.count() != 0) {
            scheduled_ = true;
            const bool idle = !next.send && !next.end;
            const auto id = in().call_after(
                actor_,
                next.delay,
                sim::task([self = shared_from_this(), next] {
                    self->scheduled_ = false;
                    self->timer_ = 0;
                    if (!next.send && !next.end) self->script_->waited();
                    self->perform(next);
                }),
                "has waited"
            );
            if (idle) timer_ = id;
            return;
        }
        if (!next.send && !next.end) return;
        perform(next);
        return;
    }
    finish();
}

void call_player::perform(const call_script::step& what) {
    if (what.end && !ending_) ending_ = what.end;
    if (what.send && !ending_) {
        delivering_ = true;
        deliver(*what.send);
        delivering_ = false;
    }
    wake();
}

void call_player::finish() {
    if (holds_ != 0) return;
    ended_ = true;
    --service_->calls_open;
    service_state& state = service_->state;
    state.outgoing_token = state.expected_token;
    if (ending_->redirect && !ending_->redirect->token.empty())
        state.expected_token = ending_->redirect->token;
    deliver_end(*ending_);
    state.outgoing_token = state.expected_token;
}

}  // namespace rangeio::testing
