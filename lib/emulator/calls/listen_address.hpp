#pragma once

#include "emulator/store/unique_fd.hpp"

#include <string>
#include <vector>

namespace rangeio::emulator {

/// Where an address is listened on.
struct listening {
    std::vector<unique_fd> sockets;
    std::string address;  // with the port that was chosen
    std::string path;     // of a Unix socket; else empty
};

/// Listens on HOST:PORT, on every address that the host has here, or on unix:PATH. The sockets do not block.
/// Throws rangeio::error that names the address and says why it cannot be listened on.
listening listen_on(const std::string& address);

}  // namespace rangeio::emulator
