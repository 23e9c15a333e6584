// Each fault at each stage of a read, in simulation, and what the reader sees: the table of docs/reliability.md.
//
// usage: fault_table            prints the table
//        fault_table --check F  compares it with the one in the file F
//
// Fails if in any cell bytes are wrong, an operation never ends, a destination is written after the end of its
// operation, a call outlives the pool, or the fault did not strike.

#include <rangeio/sim/explore.hpp>

#include "support/simulated_cell.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <string_view>

namespace {

using rangeio::testing::fault_kind;
namespace sim = rangeio::sim;

// A random schedule may meet what the plainest does not. More of them change no cell any more.
constexpr std::uint64_t random_schedules = 60;

int complaints = 0;

void complain(fault_kind kind, const support::stage_row& when, std::string_view run, std::string_view what) {
    fmt::print(stderr, "{}, {}, {}: {}\n", to_string(kind), when.title, run, what);
    ++complaints;
}

std::string cell_of(fault_kind kind, const support::stage_row& when) {
    if (!support::script_of(kind, when.what)) return "";
    std::string plain;
    std::set<std::string> others;
    for (std::uint64_t seed = 0; seed <= random_schedules; ++seed) {
        const auto name = seed == 0 ? sim::run_name::of({}) : sim::run_name::random(seed);
        const auto decides = name.make_strategy();
        sim::world w(*decides);
        const auto [seen, all_struck] = support::simulate_cell(w, kind, when.what);
        if (seed == 0 && !all_struck) complain(kind, when, name.text(), "a fault does not strike");
        if (!w.violation().empty()) complain(kind, when, name.text(), w.violation());
        if (seed == 0) plain = seen;
        others.insert(seen);
    }
    others.erase(plain);
    for (const auto& other : others) plain += " / " + other;
    return plain;
}

std::string table() {
    std::string out = "| fault |";
    std::string line = "|---|";
    for (const auto& s : support::stages) {
        out += fmt::format(" {} |", s.title);
        line += "---|";
    }
    out += '\n' + line + '\n';
    for (const fault_kind kind : rangeio::testing::fault_kinds()) {
        out += fmt::format("| {} |", to_string(kind));
        for (const auto& s : support::stages) {
            const std::string text = cell_of(kind, s);
            out += text.empty() ? " |" : fmt::format(" {} |", text);
        }
        out += '\n';
    }
    return out;
}

bool stands_in(const std::string& text, const char* path) {
    std::ifstream file(path, std::ios::binary);
    const std::string all{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    return all.find(text) != std::string::npos;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string printed = table();
    fmt::print("{}", printed);
    if (argc == 3 && std::string_view(argv[1]) == "--check" && !stands_in(printed, argv[2])) {
        fmt::print(stderr, "{} has another table, or none\n", argv[2]);
        ++complaints;
    }
    return complaints == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
