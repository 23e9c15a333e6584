#pragma once

namespace rangeio::tool {

/// Turns off a check that Debian compiles into Abseil: each of gRPC's mutexes searches for deadlocks when it is locked,
/// which costs up to 8 % of the CPU time of a client.
void ignore_mutex_deadlocks() noexcept;

}  // namespace rangeio::tool
