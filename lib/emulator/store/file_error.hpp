#pragma once

#include <string>
#include <string_view>

namespace rangeio::emulator {

/// Throws the call_error that stands for an errno: `name` is what was looked for, `kind` what it should be.
[[noreturn]] void throw_errno(int code, const std::string& name, std::string_view kind);

}  // namespace rangeio::emulator
