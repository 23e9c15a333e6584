#include <rangeio/sim/allocation_failures.hpp>

#include "sim/later.hpp"
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
    opening_due_ = sim::later(in().now(), service_->link.latency());
    take_due();
}

void call_player::lost(const call_script::ending& how) {
    if (!ending_) ending_ = how;
    lost_ = true;
    wake();
}

void call_player::ask(std::int64_t read_id, std::uint64_t offset, std::uint64_t length) {
    ++service_->ranges_requested;
    if (opening_due_ && connection_->silent()) return;
    requests_.push_back({read_id, offset, length, sim::later(in().now(), service_->link.latency())});
    if (opening_due_) take_due();
}

// The opening and the requests reach the script when their latency has passed.
void call_player::take_due() {
    if (ended_) return;
    const auto now = in().now();
    if (!script_ && now >= *opening_due_) {
        script_.emplace(service_->state, ++service_->calls, opening_.has_handle, opening_.pinned_generation);
    }
    while (script_ && !requests_.empty() && now >= requests_.front().due) {
        const request r = requests_.front();
        requests_.pop_front();
        script_->ask(r.read_id, r.offset, r.length);
        if (!script_->complaint().empty()) in().violate(script_->complaint());
    }
    wake();
    if (request_timer_ != 0 || (script_ && requests_.empty())) return;
    request_timer_ = in().call_at(
        actor_,
        script_ ? requests_.front().due : *opening_due_,
        sim::task([self = shared_from_this()] {
            self->request_timer_ = 0;
            self->take_due();
        }),
        "receives a request"
    );
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
    if (timer_ != 0 && (idle_ || lost_ || (on_link_ && ending_))) {
        in().cancel_timer(std::exchange(timer_, 0));
        scheduled_ = false;
    }
    if (passing_ != 0 && ending_) {
        service_->slow_link->drop(std::exchange(passing_, 0));
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
    on_link_ = false;
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
    if (what.send && !ending_) {
        put_on_link(*what.send);
    } else {
        wake();
    }
}

// A step is taken when it is due, so the response is ready now.
void call_player::put_on_link(const call_script::response& response) {
    service_state& state = service_->state;
    const std::uint64_t slow_rate = state.link_bytes_per_second;
    std::uint64_t bytes = 0;
    for (const call_script::chunk& c : response.chunks) bytes += c.size;
    service_->bytes_sent += bytes;
    const auto now = in().now();
    const auto passed = slow_rate != 0 ? now : state.reserve_link(now, bytes, service_->link.bandwidth());
    if (passed == now && (slow_rate == 0 || bytes == 0)) {
        hand_on(response);
        wake();
        return;
    }
    scheduled_ = true;
    if (slow_rate != 0) {
        passing_ = service_->slow_link->send(bytes, slow_rate, [weak = weak_from_this(), response] {
            const auto self = weak.lock();
            if (self == nullptr) return;
            self->passing_ = 0;
            self->in().post(self->actor_, self->hand_on_later(response), "has passed the link");
        });
        return;
    }
    idle_ = false;
    on_link_ = true;
    timer_ = in().call_at(actor_, passed, hand_on_later(response), "has passed the link");
}

sim::task call_player::hand_on_later(const call_script::response& response) {
    return sim::task([self = shared_from_this(), response] {
        self->scheduled_ = false;
        self->timer_ = 0;
        self->hand_on(response);
        self->wake();
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
    if (request_timer_ != 0) in().cancel_timer(request_timer_);
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
