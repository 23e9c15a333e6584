#pragma once

#include "emulator/store/unique_fd.hpp"

#include <string>
#include <vector>

namespace rangeio::emulator {

/// The sockets that listen on an address.
struct listening {
    std::vector<unique_fd> sockets;
    std::string address;  // with the port that was chosen
    std::string path;     // of a Unix socket; otherwise empty
};

/// Listens on HOST:PORT, on every address that HOST resolves to here, or on unix:PATH. The sockets are non-blocking.
///
/// Throws: rangeio::error that names the address and the reason why it cannot be listened on.
listening listen_on(const std::string& address);

}  // namespace rangeio::emulator
