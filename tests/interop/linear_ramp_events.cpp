// Feeds `linear_ramp` with events, one to a line of the input, and prints what it plans on each: OFFSET:SIZE:PARTS ...

#include "fsm/linear_ramp.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <iostream>
#include <optional>
#include <string>

namespace {

using rangeio::byte_range;
using rangeio::fsm::linear_ramp;
using rangeio::fsm::prefetch_plan;
using rangeio::fsm::prefetch_unit;

bool feed(
    std::optional<linear_ramp>& policy, const std::string& event, std::istream& in, prefetch_plan& out
) {
    std::uint64_t a = 0, b = 0, c = 0;
    if (event == "object" && in >> a >> b >> c) {  // size, concurrency, the user's limit or 0
        linear_ramp::options options;
        options.concurrency = static_cast<std::uint32_t>(b);
        if (c > 0) options.max_prefetch_bytes = c;
        policy.emplace(options).resize(a);
        return true;
    }
    if (!policy) return false;
    if (event == "reset") {
        policy->reset();
        return true;
    }
    if (!(in >> a >> b)) return false;
    const byte_range range(a, b);
    if (event == "read") {
        policy->read_begins({range, {}, 0, {}}, out);
    } else if (event == "arrived") {
        policy->arrived({range, 0, {}, {}, {}}, out);
    } else if (event == "lost") {
        policy->lost(range, out);
    } else if (event == "delivered" || event == "failed") {
        policy->read_ended(range, event == "delivered", {}, out);
    } else {
        return false;
    }
    return true;
}

}  // namespace

int main() {
    std::optional<linear_ramp> policy;
    std::string event;
    while (std::cin >> event) {
        prefetch_plan plan;
        if (!feed(policy, event, std::cin, plan)) {
            fmt::print(stderr, "linear_ramp_events: not an event ({})\n", event);
            return 1;
        }
        std::string line;
        for (const prefetch_unit& u : plan.fetch) {
            line += fmt::format(
                "{}{}:{}:{}", line.empty() ? "" : " ", u.range.offset(), u.range.length(), u.parts
            );
        }
        fmt::print("{}\n", line);
    }
    return 0;
}
