#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace rangeio::emulator {

/// A read handle: opaque to clients, here the object's name and generation under a checksum. It holds no
/// state of the server, so it outlives a restart, as a client may expect after a reconnect.
///
/// `number` tells handles to one generation apart; 0 is the one that streams begin with.
std::string make_read_handle(
    std::string_view bucket, std::string_view object, std::int64_t generation, std::uint64_t number = 0
);

/// The generation that a handle pins.
/// Throws call_error INVALID_ARGUMENT when it is not one of ours, or one for another object.
std::int64_t generation_of_handle(std::string_view handle, std::string_view bucket, std::string_view object);

}  // namespace rangeio::emulator
