#include "emulator/calls/sequential_reactor.hpp"

#include <chrono>

namespace rangeio::emulator {

void sequential_reactor::OnCancel() noexcept {
    cancelled_ = true;
    end_wait();
}

void sequential_reactor::due() noexcept {
    if (waiting_.exchange(false)) proceed();
}

void sequential_reactor::proceed_at(call_timer::time_point at) noexcept {
    if (at <= std::chrono::steady_clock::now()) {
        proceed();
        return;
    }
    waiting_ = true;
    timer_.set(weak_from_this(), at);
    if (cancelled_) end_wait();
}

void sequential_reactor::wait() noexcept {
    waiting_ = true;
    if (cancelled_) end_wait();
}

void sequential_reactor::end_wait() noexcept {
    if (waiting_.exchange(false)) finish({status_code::cancelled, "the call was cancelled", {}});
}

}  // namespace rangeio::emulator
