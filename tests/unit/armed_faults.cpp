#include "testing/faults/armed_faults.hpp"

#include "testing/service/call_script.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

using rangeio::testing::armed_faults;
using rangeio::testing::call_script;
using rangeio::testing::fault;
using rangeio::testing::fault_kind;
using rangeio::testing::fault_script;
using rangeio::testing::service_state;

namespace {

bool always(const fault&, std::size_t, const armed_faults::place&) {
    return true;
}

armed_faults armed(const char* script, armed_faults::chance decide = always) {
    return {fault_script::parse(script), std::move(decide)};
}

constexpr std::uint64_t no_limit = std::numeric_limits<std::uint64_t>::max();

// The chunks of one call that asks for each of `sizes` bytes, as `SIZE`, or `SIZE!` where the checksum is wrong.
std::string played(const char* script, const std::vector<std::uint64_t>& sizes) {
    service_state service(fault_script::parse(script), always);
    service.size = 1000;
    call_script call(service, 1, false);
    std::int64_t id = 0;
    for (const std::uint64_t size : sizes) call.ask(++id, 0, size);
    std::string out;
    for (call_script::step step = call.next(); step.send; step = call.next()) {
        for (const call_script::chunk& c : step.send->chunks) {
            out += std::to_string(c.size) + (c.damaged ? "! " : " ");
        }
    }
    return out;
}

}  // namespace

TEST_CASE("armed_faults: a fault strikes at its call and range, at most as often as allowed") {
    armed_faults faults = armed("reset call=2 times=2; latency range=3 delay=1s");
    CHECK(faults.strike(fault_kind::reset, {1}) == nullptr);
    CHECK(faults.strike(fault_kind::latency, {1, 2}) == nullptr);
    CHECK(faults.strike(fault_kind::latency, {1, 3}) != nullptr);
    CHECK(faults.strike(fault_kind::latency, {7, 3}) != nullptr);
    CHECK(faults.strike(fault_kind::reset, {2}) != nullptr);
    CHECK(faults.strike(fault_kind::reset, {2}) != nullptr);
    CHECK(faults.strike(fault_kind::reset, {2}) == nullptr);
}

TEST_CASE("armed_faults: a byte is counted in the range if one is named, otherwise in the call") {
    armed_faults faults = armed("reset byte=10; goaway range=2 byte=10");
    CHECK(faults.room_before_fault({1, 1, 4, 4}) == 6);
    CHECK(faults.room_before_fault({1, 2, 8, 4}) == 2);
    CHECK(faults.room_before_fault({1, 2, 12, 4}) == 6);
    CHECK(faults.strike(fault_kind::reset, {1, 2, 9, 20}) == nullptr);
    CHECK(faults.strike(fault_kind::goaway, {1, 2, 20, 9}) == nullptr);
    CHECK(faults.strike(fault_kind::goaway, {1, 2, 0, 10}) != nullptr);
    CHECK(faults.strike(fault_kind::reset, {1, 2, 10, 0}) != nullptr);
    // What has struck often enough is no place any more.
    CHECK(faults.room_before_fault({1, 2, 0, 0}) == no_limit);
}

TEST_CASE("armed_faults: a chance that fails leaves the fault armed, and is drawn at its place") {
    std::vector<std::uint64_t> asked;
    armed_faults faults = armed(
        "latency delay=1s; reset chance=20%",
        [&](const fault& f, std::size_t line, const armed_faults::place& here) {
            CHECK(f.percent == 20);
            CHECK(line == 1);
            asked.push_back(here.at_call);
            return here.at_call == 30;
        }
    );
    CHECK(faults.strike(fault_kind::reset, {1, 0, 10}) == nullptr);
    CHECK(faults.strike(fault_kind::reset, {1, 0, 30}) != nullptr);
    CHECK(faults.strike(fault_kind::reset, {1, 0, 30}) == nullptr);
    CHECK(asked == std::vector<std::uint64_t>{10, 30});
}

TEST_CASE("call_script: a fault at a byte of a call or range strikes the chunk that begins there") {
    CHECK(played("bad-checksum byte=40", {100}) == "40 60! ");
    CHECK(played("bad-checksum range=1 byte=40", {100}) == "40 60! ");
    CHECK(played("bad-checksum byte=70", {50, 50}) == "50 20 30! ");
}
