#include <rangeio/sim/allocation_failures.hpp>

#include "testing/service/scripted_service.hpp"
#include "text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace rangeio::testing {

call_player::call_player(
    std::shared_ptr<scripted_service::shared> service, std::shared_ptr<scripted_connection> connection
)
    : service_(std::move(service)), connection_(std::move(connection)) {}

call_player::~call_player() {
    connection_->forget(*this);
}

void call_player::begin(bool has_handle, std::string_view token, std::int64_t pinned_generation) {
    begun_ = true;
    ++service_->calls_open;
    actor_ = in().add_actor(fmt::format("call {}", ++service_->calls_made), true);
    opening_ = {has_handle, std::string(token), pinned_generation};
    if (const std::string wrong = service_->state.complaint_of(token); !wrong.empty()) in().violate(wrong);
    if (!connection_->unconnected() || service_->connect_time.count() == 0) {
        enter();
        return;
    }
    in().call_after(
        actor_,
        service_->connect_time,
        sim::task([self = shared_from_this()] { self->enter(); }),
        "has connected"
    );
}

void call_player::enter() {
    if (!ending_) connection_->enter(*this, in().now());
}

void call_player::admitted() {
    script_.emplace(service_->state, ++service_->calls, opening_.has_handle, opening_.pinned_generation);
    for (const asked& a : std::exchange(asked_early_, {})) ask(a.read_id, a.offset, a.length);
    wake();
}

void call_player::lost(const call_script::ending& how) {
    if (!ending_) ending_ = how;
    lost_ = true;
    wake();
}

void call_player::ask(std::int64_t read_id, std::uint64_t offset, std::uint64_t length) {
    if (!script_) {
        asked_early_.push_back({read_id, offset, length});
        return;
    }
    if (connection_->silent()) return;
    script_->ask(read_id, offset, length);
    if (!script_->complaint().empty()) in().violate(script_->complaint());
    wake();
}

void call_player::stop() noexcept {
    const sim::allocation_exemption own;
    if (!ending_) ending_ = call_script::ending{1, "the call was cancelled", {}, {}};
    wake();
}

void call_player::resume_end() {
    const sim::allocation_exemption own;
    --holds_;
    wake();
}

void call_player::wake() {
    if (ended_ || !begun_) return;
    if (timer_ != 0 && (idle_ || lost_)) {
        in().cancel_timer(std::exchange(timer_, 0));
        scheduled_ = false;
    }
    if (passing_ != 0 && ending_) {
        service_->link->drop(std::exchange(passing_, 0));
        scheduled_ = false;
    }
    if (std::exchange(scheduled_, true)) return;
    in().post(actor_, sim::task([self = shared_from_this()] { self->step(); }), "serves");
}

void call_player::step() {
    scheduled_ = false;
    if (delivering_ || ended_) return;  // the delivery calls this again when it is complete
    if (ending_) {
        finish();
        return;
    }
    if (!script_ || cut_off()) return;
    const call_script::step next = script_->next();
    if (next.connection != nullptr) {
        if (in().traced()) in().note(fmt::format("strikes: {}", to_string(next.connection->kind)));
        connection_->strike(*next.connection, in().now());
    } else if (next.delay.count() != 0) {
        wait(next);
    } else if (next.send || next.end) {
        perform(next);
    }
}

void call_player::wait(const call_script::step& next) {
    scheduled_ = true;
    idle_ = !next.send && !next.end;
    timer_ = in().call_after(
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
}

void call_player::perform(const call_script::step& what) {
    if (cut_off()) return;
    if (what.end && !ending_) ending_ = what.end;
    std::uint64_t bytes = 0;
    if (what.send && !ending_) {
        for (const call_script::chunk& c : what.send->chunks) bytes += c.size;
    }
    const std::uint64_t rate = service_->state.link_bytes_per_second;
    if (bytes == 0 || rate == 0) {
        if (what.send) hand_on(*what.send);
        wake();
        return;
    }
    scheduled_ = true;
    passing_ = service_->link->send(bytes, rate, [weak = weak_from_this(), response = *what.send] {
        const auto self = weak.lock();
        if (self == nullptr) return;
        self->passing_ = 0;
        self->in().post(
            self->actor_,
            sim::task([self, response] {
                self->scheduled_ = false;
                self->hand_on(response);
                self->wake();
            }),
            "has passed the link"
        );
    });
}

void call_player::hand_on(const call_script::response& response) {
    if (ending_ || cut_off()) return;
    delivering_ = true;
    deliver(response);
    delivering_ = false;
}

void call_player::finish() {
    if (holds_ != 0) return;
    ended_ = true;
    --service_->calls_open;
    service_state& state = service_->state;
    const bool told =
        ending_->redirect && !ending_->redirect->token.empty() && fits_header(ending_->redirect->token);
    std::string before;
    if (told) {
        before = std::exchange(state.expected_token, ending_->redirect->token);
        state.outgoing_tokens.push_back(before);
    }
    connection_->leave(*this);
    deliver_end(*ending_);
    // Other calls may have received tokens meanwhile.
    auto& outgoing = state.outgoing_tokens;
    if (told) outgoing.erase(std::ranges::find(outgoing, before));
}

}  // namespace rangeio::testing
