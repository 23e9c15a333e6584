#pragma once

#include <rangeio/testing/fault_script.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>

namespace rangeio::testing {

/// A random script: one to `most` faults, of any kind, anywhere in the first calls, ranges and bytes, so that objects
/// of some dozen bytes meet them. Delays are up to 50 ms.
///
/// Equal seeds make equal scripts, on any machine.
fault_script draw_faults(std::uint64_t seed, std::size_t most = 4);

/// Removes from the script everything that is not needed for `fails` to hold: first faults, then their keys for place,
/// number and chance.
///
/// Requires: `fails(failing)`, and that `fails` returns the same each time.
fault_script shrink_faults(fault_script failing, const std::function<bool(const fault_script&)>& fails);

}  // namespace rangeio::testing
