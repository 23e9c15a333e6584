#pragma once

#include <rangeio/client.hpp>

#include "gcs/service.hpp"

#include <memory>
#include <utility>

namespace rangeio::gcs {

/// The state that a client and its operations share.
class client_core {
public:
    client_core(asio::any_io_executor executor, std::shared_ptr<gcs::service> service, memory_budget memory)
        : executor_(std::move(executor)), service_(std::move(service)), memory_(std::move(memory)) {}

    const asio::any_io_executor& executor() const noexcept { return executor_; }
    gcs::service& service() const noexcept { return *service_; }
    const memory_budget& memory() const noexcept { return memory_; }

private:
    const asio::any_io_executor executor_;
    const std::shared_ptr<gcs::service> service_;
    const memory_budget memory_;
};

/// Throws the failure of every operation on a client that was moved from, if `core` is null.
void require_client(const std::shared_ptr<client_core>& core);
/// The executor of the client, for handlers without one; for a client that was moved from Asio's system executor.
asio::any_io_executor executor_of(const std::shared_ptr<client_core>& core);

}  // namespace rangeio::gcs
