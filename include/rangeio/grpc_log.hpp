#pragma once

namespace rangeio {

/// Keeps gRPC from printing its own lines on standard error, such as those on connections that fail; nothing of them is
/// missing from the errors of this library. For the whole process, from now on; to be called before other threads use
/// gRPC.
///
/// Without effect if the environment has GRPC_VERBOSITY or GRPC_TRACE: then the lines are wanted. The library never calls
/// this by itself, and sets no log function: both belong to the host program.
void quiet_grpc_log() noexcept;

}  // namespace rangeio
