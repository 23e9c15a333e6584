#pragma once

#include <rangeio/testing/scripted_service.hpp>

#include "testing/service/call_script.hpp"
#include "testing/service/object_content.hpp"
#include "testing/service/scripted_connection.hpp"
#include "testing/service/scripted_link.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace rangeio::testing {

class scripted_service::shared {
public:
    shared(sim::world& in, const scripted_service_options& options);

    sim::world& in;
    service_state state;
    const std::int64_t first_generation;
    const unsigned number;
    const std::shared_ptr<rangeio::observer> observed_by;
    const std::chrono::nanoseconds connect_time;
    const link_options link;
    const std::uint64_t seed;
    const std::shared_ptr<scripted_network> network;
    const std::shared_ptr<scripted_link> slow_link;
    std::uint64_t streams = 0;     // of transport()
    std::uint64_t calls_made = 0;  // by clients
    std::uint64_t calls = 0;       // those of them that have reached the service
    std::uint64_t calls_open = 0;  // made, and not ended
    std::uint64_t ranges_requested = 0;
    std::uint64_t bytes_sent = 0;

    /// Selects the bytes of a generation, for `object_content`. No other object has these: generations remain far
    /// below.
    std::int64_t content_of(std::int64_t generation) const noexcept {
        return generation + (std::int64_t{number} << 32);
    }
};

/// Performs one call in its world: takes the next step of the script, waits for its delay, and delivers it.
///
/// Derived classes deliver. One step at a time, on an actor of the call's own. All of it is exempt from
/// `allocation_failures`: a derived class sets an exemption where it is called from outside, and lifts it for its own
/// calls to the outside.
class call_player : public std::enable_shared_from_this<call_player>, private connection_user {
public:
    virtual ~call_player();
    call_player(const call_player&) = delete;
    call_player& operator=(const call_player&) = delete;

protected:
    call_player(
        std::shared_ptr<scripted_service::shared> service, std::shared_ptr<scripted_connection> connection
    );

    void begin(bool has_handle, std::string_view token, std::int64_t pinned_generation = 0);
    void ask(std::int64_t read_id, std::uint64_t offset, std::uint64_t length);
    /// Ends the call with CANCELLED, soon.
    void stop() noexcept;
    bool ended() const noexcept { return ended_; }
    object_info info() const { return script_->info(); }
    /// For a stream that cannot be reopened: makes bytes that were appended since the call began visible.
    void catch_up() noexcept {
        if (script_) script_->catch_up();
    }
    std::int64_t generation() const noexcept { return script_->generation(); }
    std::byte content(std::uint64_t offset) const noexcept {
        return object_content(service_->content_of(generation()), offset);
    }
    sim::world& in() const noexcept { return service_->in; }
    sim::actor_id actor() const noexcept { return actor_; }
    scripted_service::shared& service() const noexcept { return *service_; }
    /// Delays the end of the call until as many calls of `resume_end()`.
    void hold_end() noexcept { ++holds_; }
    void resume_end();

    virtual void deliver(const call_script::response& response) = 0;
    virtual void deliver_end(const call_script::ending& how) = 0;

private:
    struct opening {
        bool has_handle = false;
        std::string token;
        std::int64_t pinned_generation = 0;
    };
    struct request {
        std::int64_t read_id = 0;
        std::uint64_t offset = 0;
        std::uint64_t length = 0;
        sim::world::time_point due{};
    };

    void admitted() override;
    void lost(const call_script::ending& how) override;
    void enter();
    void take_due();
    void wake();
    void step();
    void wait(const call_script::step& next);
    void perform(const call_script::step& what);
    void put_on_link(const call_script::response& response);
    sim::task hand_on_later(const call_script::response& response);
    void hand_on(const call_script::response& response);
    void finish();
    bool cut_off() const noexcept { return connection_->silent() && !ending_; }

    const std::shared_ptr<scripted_service::shared> service_;
    const std::shared_ptr<scripted_connection> connection_;
    opening opening_;
    std::optional<sim::world::time_point> opening_due_;  // none: the call has not reached the service
    std::deque<request> requests_;                       // that the script does not have yet
    sim::world::timer_id request_timer_ = 0;             // until the next one of these is due
    std::optional<call_script> script_;
    bool begun_ = false;
    bool lost_ = false;
    sim::actor_id actor_ = 0;
    sim::world::timer_id timer_ = 0;  // of a wait
    bool idle_ = false;               // that wait precedes no response and no end
    bool on_link_ = false;            // that wait is for a response on the link
    scripted_link::id passing_ = 0;   // a response on the slow link
    bool scheduled_ = false;          // a step is queued or pending
    bool delivering_ = false;
    bool ended_ = false;
    std::optional<call_script::ending> ending_;
    std::size_t holds_ = 0;
};

std::shared_ptr<mrd_factory> make_scripted_streams(
    std::shared_ptr<scripted_service::shared> service, bool multi_request
);
std::shared_ptr<mrd_factory> make_scripted_transport(
    std::shared_ptr<scripted_service::shared> service,
    const sim::executor& executor,
    std::chrono::nanoseconds open_timeout,
    bool multi_request,
    std::int64_t generation
);

}  // namespace rangeio::testing
