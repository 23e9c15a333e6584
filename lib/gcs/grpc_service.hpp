#pragma once

#include "gcs/service.hpp"

#include <memory>

namespace rangeio::gcs {

/// The service over gRPC. Throws what client's constructor throws.
std::shared_ptr<service> make_grpc_service(
    const asio::any_io_executor& executor, const client_options& options
);

}  // namespace rangeio::gcs
