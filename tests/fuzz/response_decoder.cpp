#include "fuzz/targets.hpp"
#include "unit/wire_message.hpp"

namespace rangeio::fuzz {

void response_decoder(std::string_view input) {
    const std::size_t slice_bytes = take_byte(input);
    const std::string difference =
        test::disagreement(input, slice_bytes == 0 ? test::sliced(input) : test::sliced(input, slice_bytes));
    if (!difference.empty()) throw wrong(difference);
}

}  // namespace rangeio::fuzz
