#pragma once

#include <rangeio/testing/fault_script.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>

namespace rangeio::testing {

/// A script that chance makes: one to `most` faults, of any kind, anywhere in the first calls, ranges and bytes, so that
/// objects of some dozen bytes meet them. Delays are up to 50 ms.
///
/// Equal seeds, equal scripts, on any machine.
fault_script draw_faults(std::uint64_t seed, std::size_t most = 4);

/// The script with all left out that need not be there for `fails` to hold of it: faults first, then what they say of
/// where, how often and how likely.
///
/// Requires: `fails(failing)`, and that `fails` answers the same each time.
fault_script shrink_faults(fault_script failing, const std::function<bool(const fault_script&)>& fails);

}  // namespace rangeio::testing
