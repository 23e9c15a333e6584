#include "emulator/calls/request_log.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <exception>
#include <iterator>

namespace rangeio::emulator {
namespace {

constexpr std::size_t max_text = 1500;

}  // namespace

void request_log::write(std::uint64_t call, std::string_view text) noexcept {
    if (!write_) return;
    try {
        std::string line = fmt::format("#{} ", call);
        for (const char c : text.substr(0, max_text)) {
            if (c >= ' ' && c <= '~') {
                line += c;
            } else {
                fmt::format_to(std::back_inserter(line), "\\x{:02x}", static_cast<unsigned char>(c));
            }
        }
        const std::lock_guard lock(mutex_);
        write_(line);
    } catch (const std::exception&) {
        // Out of memory, or the log cannot be written.
    }
}

}  // namespace rangeio::emulator
