#include <rangeio/sim/explore.hpp>
#include <rangeio/testing/draw_faults.hpp>

#include "support/fault_cells.hpp"
#include "support/schedules.hpp"
#include "testing/programs/pool_program.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

using namespace rangeio::testing;
namespace sim = rangeio::sim;

// Scripts of faults that chance makes, against the library's own streams. What an operation may end with is judged as
// for every program: right bytes, or an error that faults account for; it ends in virtual time; nothing is left.

namespace {

pool_program program_with(const fault_script& faults) {
    auto out = pool_program::parse(
        "object 24\n"
        "chunk 4\n"
        "transport\n"
        "pool 2\n"
        "open-timeout 30s\n"
        "within 600s\n"
        "task one: read 0-16 concurrency=2; wait 5ms; read 8-24\n"
        "task two: acquire; read-leased 4-20 timeout=100s; release; split 0-24,3\n"
    );
    out.faults = faults;
    out.finalized = std::ranges::none_of(faults.faults, support::needs_growth, &fault::kind);
    return out;
}

std::optional<sim::finding> explore_with(const fault_script& faults, std::uint64_t schedules) {
    const auto program = program_with(faults);
    sim::explore_options options;
    options.schedules(schedules).world(program.world_options());
    return sim::explore(program, options).found;
}

std::string text_of(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace

TEST_CASE("faults: scripts drawn at random cost only time or an error that they explain") {
    for (std::uint64_t seed = 1; seed <= support::schedule_budget(); ++seed) {
        const fault_script drawn = draw_faults(seed);
        const auto found = explore_with(drawn, 3);
        if (!found) continue;
        const auto fails = [](const fault_script& script) { return explore_with(script, 20).has_value(); };
        const fault_script least = fails(drawn) ? shrink_faults(drawn, fails) : drawn;
        const auto shown = explore_with(least, 20);
        INFO(
            "seed ",
            seed,
            ", a file for tests/simulation/faults:\n",
            least.text(),
            '\n',
            (shown ? *shown : *found).text()
        );
        CHECK(found->what == "");
    }
}

TEST_CASE("faults: scripts of past failures pass") {
    std::size_t scripts = 0;
    const char* const given = std::getenv("RANGEIO_FAULT_SCRIPTS");
    const std::filesystem::path folder = given != nullptr ? given : "tests/simulation/faults";
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        const auto found = explore_with(fault_script::parse(text_of(entry.path())), 100);
        INFO(entry.path().filename().string(), '\n', found ? found->text() : "");
        CHECK_FALSE(found);
        ++scripts;
    }
    CHECK(scripts > 0);
}

TEST_CASE("faults: equal seeds draw equal scripts, and a failing script is shrunk") {
    CHECK(draw_faults(7).faults == draw_faults(7).faults);
    CHECK(fault_script::parse(draw_faults(7).text()).faults == draw_faults(7).faults);
    const auto script =
        fault_script::parse("latency delay=1ms; reset call=2 byte=4 times=3; mute range=1 chance=10%");
    const auto has_reset_in_call_2 = [](const fault_script& s) {
        return std::ranges::any_of(s.faults, [](const fault& f) {
            return f.kind == fault_kind::reset && f.call == 2;
        });
    };
    CHECK(shrink_faults(script, has_reset_in_call_2).text() == "reset call=2 status=UNAVAILABLE");
}
