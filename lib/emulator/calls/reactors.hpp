#pragma once

#include "emulator/calls/open_calls.hpp"
#include "emulator/service.hpp"

#include <grpcpp/generic/async_generic_service.h>

namespace rangeio::emulator {

/// Gives every call the reactor for its method. The only gRPC headers are included by this file, its two
/// users and no other.
class dispatcher final : public grpc::CallbackGenericService {
public:
    /// `calls` is entered by each call until it has ended.
    dispatcher(service& shared, open_calls& calls) : service_(shared), calls_(calls) {}

    grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override;

private:
    service& service_;
    open_calls& calls_;
};

}  // namespace rangeio::emulator
