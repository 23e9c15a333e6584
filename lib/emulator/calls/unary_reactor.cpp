#include "emulator/calls/unary_reactor.hpp"

#include "emulator/protocol/grpc_bytes.hpp"

#include <chrono>

namespace rangeio::emulator {

void unary_reactor::OnReadDone(bool ok) noexcept {
    if (!ok) {
        finish({status_code::invalid_argument, "the call has no request", {}});
        return;
    }
    ++counters().requests;
    proceed_at(shared().link().due(std::chrono::steady_clock::now()));
}

void unary_reactor::proceed() noexcept {
    if (shared().faults() != nullptr && strike()) return;
    const status queued =
        outcome_of([&] { shared().workers().run([this, self = shared_from_this()] { handle(); }); });
    if (!queued.ok()) {
        finish(queued);
    }
}

void unary_reactor::handle() noexcept {
    const status how = outcome_of([&] {
        const contiguous_message request(request_);
        response_ = to_byte_buffer((shared().*handler_)(request.view(), info()));
    });
    if (how.ok()) {
        ++counters().responses;
        StartWriteAndFinish(&response_, {}, grpc::Status::OK);
    } else {
        finish(how);
    }
}

bool unary_reactor::strike() {
    fault_state& faults = *shared().faults();
    info().metadata_call(faults.begin_metadata_call());
    const fault_state::place here{info().metadata_call()};
    using testing::fault_kind;
    if (const auto* f = faults.strike(fault_kind::fail_metadata, here)) {
        finish(status_of(*f, "the request was rejected"));
        return true;
    }
    if (faults.strike(fault_kind::hang_metadata, here) == nullptr) return false;
    hung_ = true;
    wait();
    if (shut_down_) end_wait();
    return true;
}

// A call that is delayed by the link has the time that the listener gives to other calls.
void unary_reactor::shut_down() noexcept {
    shut_down_ = true;
    if (hung_) end_wait();
}

void unknown_reactor::start() {
    finish({status_code::unimplemented, "the emulator does not serve " + method_, {}});
}

}  // namespace rangeio::emulator
