#include <rangeio/sim/strategy.hpp>
#include <rangeio/testing/draw_faults.hpp>

#include "testing/faults/fault_fields.hpp"

#include <fmt/format.h>

#include <array>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace rangeio::testing {
namespace {

constexpr std::array<std::string_view, 6> statuses{
    "UNAVAILABLE", "ABORTED", "INTERNAL", "CANCELLED", "NOT_FOUND", "OUT_OF_RANGE"
};

// Rates have to let dozens of bytes pass within seconds. A link also has to carry the bytes around the payload.
std::string zeros_of(fault_kind kind) {
    if (kind == fault_kind::bandwidth) return "0";
    return kind == fault_kind::slow_link ? "0000" : "";
}

class drawer {
public:
    explicit drawer(std::uint64_t seed) : random_(seed) {}

    fault one() {
        const auto& kinds = fault_kinds();
        const fault_kind kind = kinds[random_.below(kinds.size())];
        fault_builder out("a drawn fault", to_string(kind));
        const auto number = [this](std::size_t most) { return fmt::format("{}", 1 + random_.below(most)); };
        set(out, "delay", fmt::format("{}ms", 1 + random_.below(50)));
        set(out, "bytes", number(4) + zeros_of(kind));
        const std::size_t token = random_.below(3);
        set(out, "token", token == 0 ? "no" : fmt::format("token-{}", token));
        set(out, "handle", random_.below(2) == 0 ? "yes" : "no");
        if (one_in(2)) set(out, "status", statuses[random_.below(statuses.size())]);
        if (one_in(2)) set(out, "call", number(3));
        if (one_in(3)) set(out, "range", number(4));
        if (one_in(3)) set(out, "byte", fmt::format("{}", random_.below(24)));
        if (one_in(3)) set(out, "times", number(3));
        if (one_in(3)) set(out, "chance", number(9) + "0%");
        return out.take();
    }

    std::size_t below(std::size_t n) { return random_.below(n); }

private:
    bool one_in(std::size_t n) { return random_.below(n) == 0; }

    // Each kind takes only the keys that it uses.
    static void set(fault_builder& out, std::string_view key, std::string_view value) {
        try {
            out.set(key, value);
        } catch (const std::invalid_argument&) {
        }
    }

    sim::random_numbers random_;
};

}  // namespace

fault_script draw_faults(std::uint64_t seed, std::size_t most) {
    drawer draw(seed);
    fault_script out;
    for (std::size_t n = 1 + draw.below(most); n != 0; --n) out.faults.push_back(draw.one());
    return out;
}

fault_script shrink_faults(fault_script failing, const std::function<bool(const fault_script&)>& fails) {
    for (std::size_t i = failing.faults.size(); i-- != 0;) {
        fault_script less = failing;
        less.faults.erase(less.faults.begin() + static_cast<std::ptrdiff_t>(i));
        if (!less.faults.empty() && fails(less)) failing = less;
    }
    for (fault& f : failing.faults) {
        const auto without = [&](auto member, auto usual) {
            const auto before = std::exchange(f.*member, usual);
            if (before != usual && !fails(failing)) f.*member = before;
        };
        without(&fault::percent, 100U);
        without(&fault::times, std::uint64_t{1});
        without(&fault::byte, std::uint64_t{0});
        without(&fault::range, std::uint64_t{0});
        without(&fault::call, std::uint64_t{0});
    }
    return failing;
}

}  // namespace rangeio::testing
