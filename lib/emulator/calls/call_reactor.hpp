#pragma once

#include "emulator/calls/call_counters.hpp"
#include "emulator/calls/call_info.hpp"
#include "emulator/calls/open_calls.hpp"
#include "emulator/protocol/status.hpp"
#include "emulator/service.hpp"

#include <grpcpp/generic/async_generic_service.h>

#include <exception>
#include <memory>
#include <new>
#include <utility>

namespace rangeio::emulator {

/// The common part of all calls: counting, ownership, and keeping exceptions inside a reaction (gRPC would swallow an
/// exception together with the end of the call).
///
/// A reactor is owned by itself until OnDone, and by each task that a worker runs for it: gRPC may be done with a call
/// while the worker that ended it still holds its lock.
class call_reactor : public grpc::ServerGenericBidiReactor,
                     public std::enable_shared_from_this<call_reactor> {
public:
    call_reactor(
        service& shared,
        open_calls& calls,
        rpc_counters& counters,
        grpc::GenericCallbackServerContext& context
    );
    ~call_reactor() override;
    call_reactor(const call_reactor&) = delete;
    call_reactor& operator=(const call_reactor&) = delete;

    virtual void start() = 0;
    void OnDone() final {
        ended();
        own_.reset();
    }
    void keep(std::shared_ptr<call_reactor> self) noexcept { own_ = std::move(self); }
    /// The server shuts down: ends the call, if it could otherwise last for long.
    virtual void shut_down() noexcept {}
    /// The time that a call_timer was set to has come. It may have been changed meanwhile.
    virtual void due() noexcept {}

protected:
    /// The status has been delivered to the client, or the client has disconnected.
    virtual void ended() noexcept {}
    service& shared() noexcept { return service_; }
    rpc_counters& counters() noexcept { return counters_; }
    call_info& info() noexcept { return info_; }
    void finish(const status& how);
    /// The status with which the call ends when `action` throws.
    template <class Action>
    static status outcome_of(Action action) noexcept;

private:
    service& service_;
    open_calls& calls_;
    rpc_counters& counters_;
    call_info info_;
    std::shared_ptr<call_reactor> own_;
};

template <class Action>
status call_reactor::outcome_of(Action action) noexcept {
    // std::string may have to allocate for a message; when that fails, the status has no message.
    try {
        try {
            action();
            return {};
        } catch (const call_error& e) {
            return e.why();
        } catch (const std::bad_alloc&) {
            return {status_code::resource_exhausted, "out of memory", {}};
        } catch (const std::exception& e) {
            return {status_code::internal, e.what(), {}};
        }
    } catch (...) {
        return {status_code::internal, {}, {}};
    }
}

template <class Reactor, class... Arguments>
grpc::ServerGenericBidiReactor* start_call(
    service& shared,
    open_calls& calls,
    rpc_counters& counters,
    grpc::GenericCallbackServerContext& context,
    Arguments... arguments
) {
    auto reactor = std::make_shared<Reactor>(shared, calls, counters, context, arguments...);
    const bool too_late = calls.add(reactor);
    reactor->keep(reactor);
    reactor->start();
    if (too_late) reactor->shut_down();
    return reactor.get();
}

}  // namespace rangeio::emulator
