#pragma once

#include <rangeio/error.hpp>

#include <string>

namespace rangeio::emulator {

/// `address` with the port replaced.
std::string with_port(const std::string& address, int port);

/// Why one cannot listen there, found by trying: gRPC writes the reason to its log only. Success when this
/// finds nothing wrong, or cannot tell.
error_code why_not_listening(const std::string& address);

}  // namespace rangeio::emulator
