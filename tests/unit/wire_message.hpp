#pragma once

#include "unit/wire_fields.hpp"

#include <string>
#include <string_view>

namespace rangeio::test {

/// What protobuf and our decoder think differently of a message; empty if nothing. Sets `accepted` to
/// protobuf's opinion.
std::string disagreement(std::string_view message, const sliced& as_slices, bool* accepted = nullptr);

}  // namespace rangeio::test
