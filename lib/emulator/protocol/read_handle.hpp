#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace rangeio::emulator {

/// A read handle: opaque to clients; here the object's name and generation with a checksum. It refers to no state of
/// the server, so it stays valid after a restart, as a client may expect after a reconnect.
///
/// `number` distinguishes the handles of one generation; 0 is the one that streams begin with.
std::string make_read_handle(
    std::string_view bucket, std::string_view object, std::int64_t generation, std::uint64_t number = 0
);

/// The generation that a handle pins.
///
/// Throws: call_error INVALID_ARGUMENT when the handle is not one of this server, or is for another object.
std::int64_t generation_of_handle(std::string_view handle, std::string_view bucket, std::string_view object);

}  // namespace rangeio::emulator
