#pragma once

#include "emulator/store/stored_object.hpp"

#include <cstdint>

namespace rangeio::emulator {

/// Objects that no file of the directory has: those that faults put in its place. Each has its bytes in memory, and takes
/// as long to make as copying them. All throw call_error RESOURCE_EXHAUSTED.

/// A newer generation, as large, every byte the complement of the old one.
object_ptr complement_of(const stored_object& old);

/// The same generation with `bytes` more, that at offset n being n modulo 251.
object_ptr grown(const stored_object& old, std::int64_t bytes);

}  // namespace rangeio::emulator
