#include "emulator/unary_reactor.hpp"

#include "emulator/grpc_bytes.hpp"

namespace rangeio::emulator {

void unary_reactor::OnReadDone(bool ok) noexcept {
    if (!ok) {
        finish({status_code::invalid_argument, "the call came without a request", {}});
        return;
    }
    ++counters().requests;
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

void unknown_reactor::start() {
    finish({status_code::unimplemented, "the emulator does not serve " + method_, {}});
}

}  // namespace rangeio::emulator
