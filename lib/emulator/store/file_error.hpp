#pragma once

#include <string>
#include <string_view>

namespace rangeio::emulator {

/// Throws the call_error that corresponds to an errno: `name` is the name of the file, `kind` the expected type.
[[noreturn]] void throw_errno(int code, const std::string& name, std::string_view kind);

}  // namespace rangeio::emulator
