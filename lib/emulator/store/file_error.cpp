#include "emulator/store/file_error.hpp"

#include "emulator/protocol/status.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

namespace rangeio::emulator {

void throw_errno(int code, const std::string& name, std::string_view kind) {
    switch (code) {
        case ENOENT:
        case ENOTDIR:
        case ELOOP:
        case ENAMETOOLONG:
        case ENXIO: throw call_error(status_code::not_found, fmt::format("{}: no such {}", name, kind));
        case EACCES:
        case EPERM:
            throw call_error(
                status_code::permission_denied, fmt::format("{}: {}", name, std::strerror(code))
            );
        case EMFILE:
        case ENFILE:
        case ENOMEM:
            throw call_error(
                status_code::resource_exhausted, fmt::format("{}: {}", name, std::strerror(code))
            );
        default: throw call_error(status_code::internal, fmt::format("{}: {}", name, std::strerror(code)));
    }
}

}  // namespace rangeio::emulator
