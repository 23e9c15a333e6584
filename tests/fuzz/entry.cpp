// One target as a program of libFuzzer's. What leaves it as an exception ends the process, and is found that way.

#include "fuzz/targets.hpp"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    rangeio::fuzz::RANGEIO_FUZZ_TARGET({reinterpret_cast<const char*>(data), size});
    return 0;
}
