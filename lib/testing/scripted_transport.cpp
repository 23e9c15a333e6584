#include <rangeio/testing/allocation_failures.hpp>

#include "grpc/mrd.hpp"
#include "testing/scripted_message.hpp"
#include "testing/scripted_service.hpp"

#include <fmt/format.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>

namespace rangeio::testing {
namespace {

using namespace rangeio::grpc_transport;

class scripted_call final : public call_player, public bidi_call {
public:
    scripted_call(
        std::shared_ptr<scripted_service::shared> service,
        std::shared_ptr<scripted_connection> connection,
        std::shared_ptr<bidi_call_events> events
    )
        : call_player(std::move(service), std::move(connection)), events_(std::move(events)) {}

    void start(const call_spec& spec, std::span<const fsm::wire_range> ranges) override {
        allocation_point();
        const allocation_exemption own;
        begin(!spec.read_handle.empty(), spec.routing_token, spec.object.generation());
        writer_ = in().add_actor(fmt::format("call {} writes", service().calls_made), true);
        send(ranges);
    }

    void write(std::span<const fsm::wire_range> ranges) override {
        allocation_point();
        const allocation_exemption own;
        send(ranges);
    }

    void cancel() noexcept override { stop(); }

private:
    void send(std::span<const fsm::wire_range> ranges) {
        if (ended()) return;
        if (std::exchange(writing_, true)) in().violate("a message is written while another one is");
        if (ranges.size() > fsm::max_ranges_per_message)
            in().violate("more than 100 ranges are in one message");
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
            const allocation_exemption::lift out_of_here;
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
        const allocation_exemption::lift out_of_here;
        events_->on_response(message.view());
    }

    void deliver_end(const call_script::ending& how) override {
        if (in().traced()) in().note(fmt::format("ends the call: {}", how.status == 0 ? "OK" : how.text));
        const auto events = std::move(events_);
        const call_end end = to_call_end(how);
        const allocation_exemption::lift out_of_here;
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
        allocation_point();
        const allocation_exemption own;
        return std::make_shared<scripted_call>(service_, connection_, std::move(events));
    }

    bool probe(std::function<void()> answered) override {
        const allocation_exemption own;
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
        allocation_point();
        const allocation_exemption own;
        return std::make_shared<scripted_channel>(service_);
    }

private:
    const std::shared_ptr<scripted_service::shared> service_;
};

/// All calls on one connection.
class scripted_connector final : public bidi_connector {
public:
    explicit scripted_connector(std::shared_ptr<connection> only) : only_(std::move(only)) {}
    std::shared_ptr<bidi_call> create(std::shared_ptr<bidi_call_events> events) override {
        return only_->create(std::move(events));
    }

private:
    const std::shared_ptr<connection> only_;
};

class transport_factory final : public mrd_factory {
public:
    transport_factory(mrd::environment environment, bool multi_request)
        : environment_(std::move(environment)), multi_request_(multi_request) {}
    std::shared_ptr<multi_range_downloader> create() override { return std::make_shared<mrd>(environment_); }
    bool supports_multi_request() const noexcept override { return multi_request_; }
    const object_ref& object() const noexcept override { return environment_.source->object(); }
    stream_stats stats() const noexcept override { return environment_.reports->counted(); }
    std::shared_ptr<observer> observed_by() const noexcept override { return environment_.reports->to(); }

private:
    const mrd::environment environment_;
    const bool multi_request_;
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
    out.reports = std::make_shared<stream_reports>(service->observed_by);
    out.connector = std::make_shared<scripted_connector>(scripted_maker(service).connect());
    out.core = runtime::core_of(executor);
    out.executor = executor;
    out.open_timeout = open_timeout;
    out.seed = [service = std::move(service)]() -> std::uint64_t {
        if (service->seed == 0) return 1;  // waits are as long in every run
        return 1 + sim::random_numbers(service->seed + (++service->streams << 32)).below(1'000'000'000);
    };
    return std::make_shared<transport_factory>(std::move(out), multi_request);
}

}  // namespace rangeio::testing
