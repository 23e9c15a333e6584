#pragma once

namespace rangeio {

/// Sets the process's glibc allocator up for gRPC's way of reading, which takes and gives back memory by the
/// megabyte.
///
/// Untouched, glibc returns the top of its heap to the kernel each time and faults it in again: about half of
/// the CPU time of a client that reads at line rate. This keeps up to 256 MiB of freed heap instead, takes
/// memory from the kernel 64 MiB at a time, serves blocks of up to 32 MiB from the heap, and uses one arena.
///
/// Not done unless called: a library must not take over its host's allocator. The `rangeio` command calls it.
/// Call it once, early in main(); without effect, and false, where the allocator is not glibc's.
bool tune_malloc() noexcept;

}  // namespace rangeio
