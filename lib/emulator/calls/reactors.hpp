#pragma once

#include "emulator/calls/open_calls.hpp"
#include "emulator/service.hpp"

#include <grpcpp/generic/async_generic_service.h>

namespace rangeio::emulator {

/// Makes the reactor for the method of each call. gRPC headers are included only here, by the listener, by the reactors
/// and by protocol/grpc_bytes.hpp.
class dispatcher final : public grpc::CallbackGenericService {
public:
    /// Each call is registered in `calls` until it has ended.
    dispatcher(service& shared, open_calls& calls) : service_(shared), calls_(calls) {}

    grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override;

private:
    service& service_;
    open_calls& calls_;
};

}  // namespace rangeio::emulator
