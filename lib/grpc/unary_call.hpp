#pragma once

#include <rangeio/retry_policy.hpp>

#include "fsm/unary_fsm.hpp"
#include "grpc/endpoint_watch.hpp"
#include "grpc/unary_attempt.hpp"
#include "runtime/machine_host.hpp"
#include "runtime/operation.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace rangeio::grpc_transport {

/// A metadata request, sent until there is an answer: the shell of unary_fsm. A derived class decodes the answer.
class unary_call : public runtime::operation, private unary_attempt_events {
public:
    struct environment {
        std::shared_ptr<unary_connector> connector;
        std::shared_ptr<runtime::context_core> core;
        asio::any_io_executor executor;
        retry_policy retry;
        std::shared_ptr<endpoint_watch> watch;     // null: none
        std::chrono::nanoseconds open_timeout{0};  // for an endpoint that has never answered; 0: none
        std::function<std::uint32_t()> seed;       // of the random waits; empty: std::random_device
    };

    unary_call(environment env, unary_request request);
    ~unary_call() override;

    // The result, once complete.
    const error_value& why() const noexcept { return why_; }
    const std::string& response() const noexcept { return response_; }

private:
    class guest;

    void start() noexcept override;
    void stop(const error_value& why) noexcept override;
    void reject(const error_value& why) noexcept override { why_ = why; }
    void on_done(unary_end end) noexcept override;

    template <class Event>
    void act(Event&& event) noexcept;
    void perform(fsm::unary_action& action) noexcept;
    void make_call() noexcept;
    bool limit_opening() noexcept;
    template <class Event>
    bool set_timer(
        std::shared_ptr<runtime::timer>& timer, std::chrono::nanoseconds delay, Event event
    ) noexcept;
    std::chrono::nanoseconds jittered(std::chrono::nanoseconds bound) const noexcept;

    const environment env_;
    const std::shared_ptr<const unary_request> request_;
    runtime::machine_host<fsm::unary_fsm, fsm::unary_action> machine_;
    std::shared_ptr<guest> guest_;
    // Used only by the thread that performs actions.
    std::shared_ptr<unary_attempt> attempt_;
    std::shared_ptr<runtime::timer> timer_;
    std::shared_ptr<runtime::timer> open_timer_;

    std::string response_;
    error_value why_;
};

}  // namespace rangeio::grpc_transport
