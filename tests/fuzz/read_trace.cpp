#include "common/read_trace.hpp"

#include "fuzz/targets.hpp"

#include <cstdint>
#include <optional>
#include <stdexcept>

namespace rangeio::fuzz {

void read_trace(std::string_view input) {
    std::optional<tool::read_trace> trace;
    try {
        trace = tool::read_trace::parse(input, "trace");
    } catch (const std::invalid_argument& e) {
        check(std::string_view(e.what()).starts_with("trace:"), "a trace is refused without a place");
        return;
    }
    check(
        trace->reads() > 0 && trace->reads() <= tool::read_trace::max_reads,
        "the number of reads is not limited"
    );
    constexpr std::uint64_t most = 10'000;
    std::uint64_t reads = 0;
    std::uint64_t bytes = 0;
    tool::trace_cursor cursor(*trace);
    for (auto next = cursor.next(); next && reads <= most; next = cursor.next()) {
        ++reads;
        bytes += next->range.length();
        check(
            !next->range.empty() && next->range.length() <= trace->longest(), "the length of a read is wrong"
        );
        check(next->range.end() <= trace->object_bytes(), "a read is not within the object");
    }
    if (reads > most) return;
    check(reads == trace->reads() && bytes == trace->bytes(), "the totals are not those of the reads");
}

}  // namespace rangeio::fuzz
