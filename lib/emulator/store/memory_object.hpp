#pragma once

#include "emulator/store/stored_object.hpp"

#include <cstdint>

namespace rangeio::emulator {

/// Objects that exist in memory only: faults put them in the place of a file. To make one takes as long as copying the
/// object. All functions throw call_error RESOURCE_EXHAUSTED.

/// A newer generation of the same size; every byte is the complement of the old one.
object_ptr complement_of(const stored_object& old);

/// The same generation with `bytes` more bytes; the appended byte at offset n is n modulo 251.
object_ptr grown(const stored_object& old, std::int64_t bytes);

}  // namespace rangeio::emulator
