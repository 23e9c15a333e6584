#pragma once

#include <cstddef>
#include <cstdint>

namespace rangeio::fsm {

/// What a request is for, in the order in which requests are served.
enum class request_class : std::uint8_t {
    demand,       // a caller waits for the bytes
    hinted,       // a caller has announced that it will read them
    speculative,  // nobody has asked for them
};

inline constexpr std::size_t request_classes = 3;

}  // namespace rangeio::fsm
