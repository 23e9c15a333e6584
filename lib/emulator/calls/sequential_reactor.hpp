#pragma once

#include "emulator/calls/call_reactor.hpp"
#include "emulator/calls/timers.hpp"

#include <atomic>

namespace rangeio::emulator {

/// A call whose operations follow one another, so it needs no lock. Only a wait may end in two ways: at its time, or
/// because the client cancels the call or the server shuts down.
class sequential_reactor : public call_reactor {
public:
    sequential_reactor(
        service& shared,
        open_calls& calls,
        rpc_counters& counters,
        grpc::GenericCallbackServerContext& context
    )
        : call_reactor(shared, calls, counters, context), timer_(shared.timers()) {}

    void OnCancel() noexcept final;
    void due() noexcept final;

protected:
    /// What is to be done after a wait.
    virtual void proceed() noexcept = 0;
    /// Calls proceed() at this time; at once if it is past.
    void proceed_at(call_timer::time_point at) noexcept;
    /// Waits until end_wait() or the end of the call.
    void wait() noexcept;
    /// Ends the call, if it waits.
    void end_wait() noexcept;

private:
    // Of the threads that end a wait, the one that resets this continues.
    std::atomic<bool> waiting_ = false;
    std::atomic<bool> cancelled_ = false;
    call_timer timer_;
};

}  // namespace rangeio::emulator
