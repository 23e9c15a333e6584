#pragma once

#include <rangeio/detail/visibility.hpp>

namespace rangeio {

/// Suppresses gRPC's own lines on standard error, such as those about failed connections; the errors of this library
/// have their content. For the whole process, from now on. The library never calls this and sets no log function: both
/// belong to the host program.
///
/// Without effect if the environment has GRPC_VERBOSITY or GRPC_TRACE, which request the lines.
///
/// Requires:  no other thread uses gRPC yet.
RANGEIO_API void quiet_grpc_log() noexcept;

}  // namespace rangeio
