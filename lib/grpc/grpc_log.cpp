#include <rangeio/grpc_log.hpp>

#include <grpc/support/log.h>

#include <cstdlib>

namespace rangeio {

void quiet_grpc_log() noexcept {
    if (std::getenv("GRPC_VERBOSITY") != nullptr || std::getenv("GRPC_TRACE") != nullptr) return;
    gpr_set_log_function([](gpr_log_func_args*) {});
}

}  // namespace rangeio
