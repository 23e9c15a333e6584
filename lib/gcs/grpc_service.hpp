#pragma once

#include "gcs/service.hpp"

#include <memory>

namespace rangeio::gcs {

/// The service over gRPC.
///
/// Throws: the exceptions of client's constructor.
std::shared_ptr<service> make_grpc_service(
    const asio::any_io_executor& executor, const client_options& options
);

}  // namespace rangeio::gcs
