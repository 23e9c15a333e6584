#pragma once

#include <rangeio/detail/visibility.hpp>

namespace rangeio {

/// Configures the glibc allocator of the process for gRPC's reads, which allocate and free memory by the megabyte.
///
/// By default, glibc returns the top of its heap to the kernel each time and faults it in again: about half of the CPU
/// time of a client that reads at line rate. This function keeps up to 256 MiB of freed heap instead, requests memory
/// from the kernel 64 MiB at a time, serves blocks of up to 32 MiB from the heap, and uses one arena.
///
/// The library does not call it, because a library must not configure the allocator of its host; the `rangeio` command
/// does. Call it once, early in main().
///
/// Returns:  false, without effect, if the allocator is not glibc's.
RANGEIO_API bool tune_malloc() noexcept;

}  // namespace rangeio
