#include <rangeio/sim/allocation_failures.hpp>

#include "grpc/connections.hpp"
#include "grpc/mrd_maker.hpp"
#include "testing/service/scripted_message.hpp"
#include "testing/service/scripted_service.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace rangeio::testing {
namespace {

using namespace rangeio::grpc_transport;

/// A call's parameters with the tokens that were due when it was made. The call may be interrupted before it is begun,
/// and a redirect of another call may arrive in between: it then carries a token that was due before.
struct noted_spec : call_spec {
    std::vector<std::string> due;
};

class scripted_call final : public call_player, public bidi_call {
public:
    scripted_call(
        std::shared_ptr<scripted_service::shared> service,
        std::shared_ptr<scripted_connection> connection,
        std::shared_ptr<bidi_call_events> events
    )
        : call_player(std::move(service), std::move(connection)), events_(std::move(events)) {}

    void start(const call_spec& spec, std::span<const fsm::wire_range> ranges) override {
        sim::allocation_point();
        const sim::allocation_exemption own;
        const auto& noted = static_cast<const noted_spec&>(spec);
        const std::string& brought = spec.routing_token;
        const bool was_due = std::ranges::find(noted.due, brought) != noted.due.end();
        begin(
            !spec.read_handle.empty(),
            was_due ? service().state.expected_token : brought,
            spec.object.generation()
        );
        writer_ = in().add_actor(fmt::format("call {} writes", service().calls_made), true);
        send(ranges);
    }

    void write(std::span<const fsm::wire_range> ranges) override {
        sim::allocation_point();
        const sim::allocation_exemption own;
        send(ranges);
    }

    void cancel() noexcept override { stop(); }

private:
    void send(std::span<const fsm::wire_range> ranges) {
        if (ended()) return;
        if (std::exchange(writing_, true)) in().violate("a message is written while one is pending");
        if (ranges.size() > fsm::max_ranges_per_message)
            in().violate("a message contains more than 100 ranges");
        for (const fsm::wire_range& r : ranges) {
            ask(r.read_id, static_cast<std::uint64_t>(r.offset), static_cast<std::uint64_t>(r.length));
        }
        hold_end();
        auto self = std::static_pointer_cast<scripted_call>(shared_from_this());
        in().post(writer_, sim::task([self] { self->confirm(); }), "has written");
    }

    void confirm() {
        writing_ = false;
        {
            const sim::allocation_exemption::lift out_of_here;
            events_->on_write_done();
        }
        resume_end();
    }

    void deliver(const call_script::response& response) override {
        const scripted_message message(
            response, info(), service().content_of(generation()), service().state.handles
        );
        if (in().traced()) {
            for (const call_script::chunk& c : response.chunks) {
                in().note(fmt::format(
                    "sends {} bytes at {} of range {}{}{}",
                    c.size,
                    c.offset,
                    c.read_id,
                    c.range_end ? ", its end" : "",
                    c.damaged ? ", damaged" : ""
                ));
            }
        }
        const sim::allocation_exemption::lift out_of_here;
        events_->on_response(message.view());
    }

    void deliver_end(const call_script::ending& how) override {
        if (in().traced()) in().note(fmt::format("ends the call: {}", how.status == 0 ? "OK" : how.text));
        const auto events = std::move(events_);
        const call_end end = to_call_end(how);
        const sim::allocation_exemption::lift out_of_here;
        events->on_done(end);
    }

    std::shared_ptr<bidi_call_events> events_;
    sim::actor_id writer_ = 0;
    bool writing_ = false;
};

class scripted_channel final : public connection {
public:
    explicit scripted_channel(std::shared_ptr<scripted_service::shared> service)
        : service_(std::move(service)) {}

    std::shared_ptr<bidi_call> create(std::shared_ptr<bidi_call_events> events) override {
        sim::allocation_point();
        const sim::allocation_exemption own;
        return std::make_shared<scripted_call>(service_, connection_, std::move(events));
    }

    bool probe(std::function<void()> answered) override {
        const sim::allocation_exemption own;
        if (!connection_->answers(service_->in.now())) return true;
        if (!prober_) prober_ = service_->in.add_actor("a connection", true);
        service_->in.call_after(
            *prober_,
            connection_->unconnected() ? service_->connect_time : std::chrono::nanoseconds(0),
            sim::task(
                [weak = std::weak_ptr(connection_), service = service_, answered = std::move(answered)] {
                    const auto still = weak.lock();
                    if (still != nullptr && still->answers(service->in.now())) answered();
                }
            ),
            "answers a probe"
        );
        return true;
    }

private:
    const std::shared_ptr<scripted_service::shared> service_;
    const std::shared_ptr<scripted_connection> connection_ =
        std::make_shared<scripted_connection>(service_->network);
    std::optional<sim::actor_id> prober_;
};

class scripted_maker final : public connection_maker {
public:
    explicit scripted_maker(std::shared_ptr<scripted_service::shared> service)
        : service_(std::move(service)) {}

    std::shared_ptr<connection> connect() override {
        sim::allocation_point();
        const sim::allocation_exemption own;
        return std::make_shared<scripted_channel>(service_);
    }

private:
    const std::shared_ptr<scripted_service::shared> service_;
};

/// A call before it is placed on a connection.
class noted_call final : public bidi_call {
public:
    noted_call(const service_state& service, std::shared_ptr<bidi_call> to) : to_(std::move(to)) {
        noted_.due = service.outgoing_tokens;
        noted_.due.push_back(service.expected_token);
    }

    void start(const call_spec& spec, std::span<const fsm::wire_range> ranges) override {
        {
            const sim::allocation_exemption own;
            static_cast<call_spec&>(noted_) = spec;
        }
        to_->start(noted_, ranges);
    }
    void write(std::span<const fsm::wire_range> ranges) override { to_->write(ranges); }
    void cancel() noexcept override { to_->cancel(); }
    fsm::silence classify_silence(unsigned checks, unsigned excused) noexcept override {
        return to_->classify_silence(checks, excused);
    }

private:
    const std::shared_ptr<bidi_call> to_;
    noted_spec noted_;
};

/// Makes calls on the connections of the library.
class scripted_connector final : public bidi_connector {
public:
    scripted_connector(std::shared_ptr<scripted_service::shared> service, connections::environment lines)
        : service_(std::move(service)), to_(std::make_shared<connections>(std::move(lines))) {}

    std::shared_ptr<bidi_call> create(std::shared_ptr<bidi_call_events> events) override {
        auto made = to_->create(std::move(events));
        const sim::allocation_exemption own;
        return std::make_shared<noted_call>(service_->state, std::move(made));
    }

private:
    const std::shared_ptr<scripted_service::shared> service_;
    const std::shared_ptr<connections> to_;
};

}  // namespace

std::shared_ptr<mrd_factory> make_scripted_transport(
    std::shared_ptr<scripted_service::shared> service,
    const sim::executor& executor,
    std::chrono::nanoseconds open_timeout,
    bool multi_request,
    std::int64_t generation
) {
    mrd::environment out;
    out.source = std::make_shared<object_source>(object_ref(service->state.object).generation(generation));
    out.reports = std::make_shared<transport::stream_reports>(service->observed_by);
    out.core = runtime::core_of(executor);
    connections::environment lines;
    lines.maker = std::make_shared<scripted_maker>(service);
    lines.core = out.core;
    lines.limits.stall_timeout = out.retry.stall_timeout();
    out.connector = std::make_shared<scripted_connector>(service, std::move(lines));
    out.executor = executor;
    out.open_timeout = open_timeout;
    out.seed = [service = std::move(service)]() -> std::uint64_t {
        if (service->seed == 0) return 1;  // waits have equal lengths in every run
        return 1 + sim::random_numbers(service->seed + (++service->streams << 32)).below(1'000'000'000);
    };
    return std::make_shared<mrd_maker>(std::move(out), multi_request);
}

}  // namespace rangeio::testing
