// What the prefetch policies make of some traces on some links, simulated: docs/prefetch.md has the table.

#include "fsm/adaptive.hpp"
#include "fsm/linear_ramp.hpp"
#include "support/prefetch_link.hpp"
#include "support/prefetch_traces.hpp"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace support;

struct named_trace {
    std::string name;
    read_trace trace;
};

struct named_policy {
    std::string name;
    std::function<std::unique_ptr<fsm::prefetch_policy>()> make;  // null: reads are all there is
};

std::vector<named_trace> all_traces() {
    return {
        {"sequential, 4 KiB", sequential(256 * one_mib, 4 * one_kib)},
        {"sequential, 64 KiB", sequential(one_gib, 64 * one_kib)},
        {"sequential, 1 MiB", sequential(one_gib, one_mib)},
        {"sequential, 16 MiB", sequential(one_gib, 16 * one_mib)},
        {"4 KiB each 0.1 ms", sequential(32 * one_mib, 4 * one_kib, 100us)},
        {"64 KiB each 1.3 ms", sequential(256 * one_mib, 64 * one_kib, 1300us)},
        {"1 MiB each 20 ms", sequential(512 * one_mib, one_mib, 20ms)},
        {"16 MiB each 320 ms", sequential(one_gib, 16 * one_mib, 320ms)},
        {"backward, 64 KiB", backward(512 * one_mib, 64 * one_kib)},
        {"2 scans, 64 KiB", interleaved(2, one_gib, 64 * one_kib)},
        {"4 scans, 64 KiB", interleaved(4, one_gib, 64 * one_kib)},
        {"2 scans, 1 MiB", interleaved(2, one_gib, one_mib)},
        {"4 scans, 1 MiB", interleaved(4, one_gib, one_mib)},
        {"+1 MiB -512 KiB, 64 KiB", zigzag(256 * one_mib, one_mib, one_mib / 2, 64 * one_kib)},
        {"+8 MiB -4 MiB, 64 KiB", zigzag(256 * one_mib, 8 * one_mib, 4 * one_mib, 64 * one_kib)},
        {"64 of each 128 MiB, 1 MiB", strided(2 * one_gib, 64 * one_mib, 64 * one_mib, one_mib)},
        {"64 of each 128 MiB, 64 KiB", strided(2 * one_gib, 64 * one_mib, 64 * one_mib, 64 * one_kib)},
        {"Parquet, 3 of 12, 1 MiB", parquet(12, 12, 3, one_mib)},
        {"Parquet, 3 of 12, 64 KiB", parquet(12, 12, 3, 64 * one_kib)},
        {"shuffled 1 MiB, whole", shuffled(256 * one_mib, one_mib, one_mib)},
        {"shuffled 1 MiB, 64 KiB", shuffled(256 * one_mib, one_mib, 64 * one_kib)},
        {"random, 64 KiB", random_reads(8 * one_gib, 2000, 64 * one_kib)},
        {"64 KiB of each 1088 KiB", strided(one_gib, 64 * one_kib, one_mib, 64 * one_kib)},
        {"headers of an archive", tar_walk(2000)},
    };
}

std::vector<named_policy> all_policies() {
    return {
        {"off", {}},
        {"linear_ramp", [] { return std::make_unique<fsm::linear_ramp>(fsm::linear_ramp::options{}); }},
        {"adaptive",
         [] {
             return std::make_unique<fsm::adaptive>(
                 fsm::adaptive::options{}, std::make_shared<fsm::waste_account>()
             );
         }},
    };
}

constexpr double gib_per_second = static_cast<double>(one_gib);

}  // namespace

int main() {
    const std::array links{
        std::pair("100M/10", link_shape{1e8, 10ms}),
        std::pair("1G/1", link_shape{gib_per_second, 1ms}),
        std::pair("1G/10", link_shape{gib_per_second, 10ms}),
        std::pair("1G/50", link_shape{gib_per_second, 50ms}),
    };
    const auto policies = all_policies();
    fmt::print("MB/s");
    for (const named_policy& p : policies) fmt::print(" / {}", p.name);
    fmt::print(
        "; of the last one the waste in % of the bytes read, and the peak of its memory in MiB\n\n| trace "
    );
    for (const auto& link : links) fmt::print("| {} ", link.first);
    fmt::print("|\n|---|---|---|---|---|\n");
    for (const named_trace& t : all_traces()) {
        fmt::print("| {} ", t.name);
        for (const auto& link : links) {
            char separator = '|';
            played_trace played;
            for (const named_policy& p : policies) {
                const auto policy = p.make ? p.make() : nullptr;
                prefetch_reader reader(policy.get(), simulated_link(link.second), t.trace.size);
                played = play(reader, t.trace);
                fmt::print("{} {:.{}f} ", separator, played.rate() / 1e6, played.rate() < 1e7 ? 1 : 0);
                separator = '/';
            }
            fmt::print("; {:.0f} %, {} ", 100 * played.waste(), played.counts.peak / one_mib);
        }
        fmt::print("|\n");
    }
}
