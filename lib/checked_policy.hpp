#pragma once

#include <rangeio/retry_policy.hpp>

namespace rangeio {

/// Returns the policy itself.
///
/// Throws: rangeio::error with errc::invalid_argument for a value out of its range.
const retry_policy& checked(const retry_policy& policy);

}  // namespace rangeio
