#pragma once

#include "grpc/channels.hpp"
#include "runtime/operation.hpp"

#include <memory>
#include <string>

namespace rangeio::grpc_transport {

/// One unary call: serialized messages in and out, so that gRPC is compiled here only.
class unary_call final : public runtime::operation {
public:
    /// `method`: `/package.Service/Method`. `bucket`: what the routing header names.
    unary_call(std::shared_ptr<channels> on, std::string method, std::string bucket, std::string request);
    ~unary_call() override;

    void cancel(const failure& why) noexcept override;

    // The result, once complete.
    const failure& why() const noexcept { return why_; }
    std::string response() const;

private:
    struct state;

    void start() noexcept override;
    void reject(const failure& why) noexcept override { why_ = why; }

    std::unique_ptr<state> state_;
    failure why_;
};

}  // namespace rangeio::grpc_transport
