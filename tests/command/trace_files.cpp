#include "common/process.hpp"
#include "common/read_trace.hpp"
#include "support/mib.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

// The traces in examples/traces/: their totals, and what each has to have.

namespace rangeio::tool {
namespace {

constexpr std::uint64_t kib = 1024;
constexpr std::uint64_t mib = support::mib;
constexpr std::uint64_t gib = kib * mib;

std::filesystem::path directory() {
    const char* const given = std::getenv("RANGEIO_TRACES");
    if (given == nullptr) throw std::runtime_error("RANGEIO_TRACES is not set: run this by `meson test`");
    return given;
}

read_trace shipped(const std::string& name) {
    const std::string path = (directory() / (name + ".trace")).string();
    return read_trace::parse(read_file(path, mib, path), path);
}

std::vector<byte_range> ranges_of(const std::string& name) {
    const read_trace trace = shipped(name);
    std::vector<byte_range> out;
    trace_cursor reads(trace);
    while (const auto next = reads.next()) out.push_back(next->range);
    return out;
}

std::set<std::uint64_t> offsets_of(const std::vector<byte_range>& ranges) {
    std::set<std::uint64_t> out;
    for (const byte_range& range : ranges) out.insert(range.offset());
    return out;
}

TEST_SUITE_BEGIN("trace files");

TEST_CASE("trace files: each has the stated totals") {
    struct totals {
        const char* name;
        std::uint64_t object_bytes;
        std::uint64_t reads;
        std::uint64_t bytes;
        std::uint64_t longest;
    };
    const std::vector<totals> all{
        {"interleaved-2", gib, 16384, gib, 64 * kib},
        {"interleaved-4", gib, 16384, gib, 64 * kib},
        {"parquet", 288 * mib + 64 * kib, 2 + 12 * 6, 72 * mib + 64 * kib, mib},
        {"random-64k", gib, 2000, 125 * mib, 64 * kib},
        {"seq-16m", gib, 64, gib, 16 * mib},
        {"seq-1m", gib, 1024, gib, mib},
        {"seq-4k", 256 * mib, 65536, 256 * mib, 4 * kib},
        {"seq-64k", gib, 16384, gib, 64 * kib},
        {"shuffled-1m", gib, 1024, gib, mib},
        {"tar", 18 * mib + kib, 32 * 64 + 1, 32 * 64 * 512 + kib, kib},
        {"three-phases", gib, 1024 + 256 + 512, 64 * mib + 16 * mib + 512 * mib, mib},
        {"video", 256 * mib, 2 + 95 + 3 * 64, 37 * mib, mib},
        {"zigzag-1m", 256 * mib, 511 * 16, 511 * mib, 64 * kib},
        {"zigzag-8m", 256 * mib, 63 * 128, 504 * mib, 64 * kib},
    };
    std::set<std::string> names;
    for (const totals& stated : all) {
        CAPTURE(stated.name);
        const read_trace trace = shipped(stated.name);
        CHECK(trace.object_bytes() == stated.object_bytes);
        CHECK(trace.reads() == stated.reads);
        CHECK(trace.bytes() == stated.bytes);
        CHECK(trace.longest() == stated.longest);
        names.insert(stated.name + std::string(".trace"));
    }
    std::set<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(directory())) {
        files.insert(entry.path().filename().string());
    }
    CHECK((files == names));
}

TEST_CASE("trace files: scans read each byte once, from the first to the last") {
    for (const char* name : {"seq-4k", "seq-64k", "seq-1m", "seq-16m"}) {
        CAPTURE(name);
        std::uint64_t at = 0;
        bool in_order = true;
        for (const byte_range& range : ranges_of(name)) {
            in_order = in_order && range.offset() == at;
            at = range.end();
        }
        CHECK(in_order);
        CHECK(at == shipped(name).object_bytes());
    }
}

TEST_CASE("trace files: interleaved scans alternate") {
    for (const std::uint64_t scans : {2U, 4U}) {
        const auto ranges = ranges_of("interleaved-" + std::to_string(scans));
        bool in_turn = true;
        for (std::uint64_t i = 0; i < ranges.size(); ++i) {
            const std::uint64_t expected = i % scans * (gib / scans) + i / scans * 64 * kib;
            in_turn = in_turn && ranges[i] == byte_range(expected, 64 * kib);
        }
        CHECK(in_turn);
    }
}

TEST_CASE("trace files: a zigzag goes back half of its way, and covers the object") {
    for (const std::uint64_t way : {mib, 8 * mib}) {
        const auto ranges = ranges_of("zigzag-" + std::to_string(way / mib) + "m");
        const std::uint64_t reads = way / (64 * kib);
        CHECK(ranges[reads - 1].end() == way);
        CHECK(ranges[reads].offset() == way / 2);
        CHECK(ranges.back().end() == 256 * mib);
        CHECK(offsets_of(ranges).size() == 4096);
    }
}

TEST_CASE("trace files: the Parquet scan reads the footer first, then three column chunks of each row group"
) {
    const auto ranges = ranges_of("parquet");
    const std::uint64_t size = shipped("parquet").object_bytes();
    CHECK(ranges[0] == byte_range(size - 8, 8));
    CHECK(ranges[1] == byte_range::from_to(288 * mib, size - 8));
    for (std::uint64_t group = 0; group < 12; ++group) {
        std::size_t chunks = 0;
        for (std::uint64_t i = 0; i < 6; ++i) {
            const byte_range& range = ranges[2 + group * 6 + i];
            CHECK(byte_range(group * 24 * mib, 24 * mib).contains(range));
            if (i == 0 || range.offset() != ranges[1 + group * 6 + i].end()) ++chunks;
        }
        CHECK(chunks == 3);
    }
}

TEST_CASE("trace files: the training loader reads each record once, and not in order") {
    const auto ranges = ranges_of("shuffled-1m");
    CHECK(offsets_of(ranges).size() == 1024);
    std::size_t neighbors = 0;
    for (std::size_t i = 1; i < ranges.size(); ++i)
        neighbors += ranges[i].offset() == ranges[i - 1].end() ? 1 : 0;
    CHECK(neighbors < 10);
}

TEST_CASE("trace files: the tar walk skips at least a block after each header") {
    const auto ranges = ranges_of("tar");
    bool skips = true;
    for (std::size_t i = 1; i < ranges.size(); ++i) {
        const std::uint64_t skipped = ranges[i].offset() - ranges[i - 1].end();
        skips = skips && ranges[i].offset() % 512 == 0 && skipped >= 512 && skipped <= 32 * 512;
    }
    CHECK(skips);
    CHECK(ranges.back().end() == shipped("tar").object_bytes());
}

TEST_CASE("trace files: the film's index is read before the film, which is not read faster than it is watched"
) {
    const read_trace trace = shipped("video");
    trace_cursor reads(trace);
    CHECK(reads.next()->range == byte_range(0, 128 * kib));
    const auto index = reads.next();
    CHECK(index->range == byte_range(255 * mib, mib));
    CHECK(index->think.count() == 0);
    std::size_t jumps = 0;
    bool watched = true;
    std::uint64_t at = 128 * kib;
    while (const auto next = reads.next()) {
        watched = watched && next->think == std::chrono::milliseconds(20);
        if (next->range.offset() != at) ++jumps;
        at = next->range.end();
    }
    CHECK(watched);
    CHECK(jumps == 3);
}

TEST_CASE("trace files: the three phases are a scan, random blocks, and a scan with larger reads") {
    const auto ranges = ranges_of("three-phases");
    std::size_t jumps = 0;
    for (std::size_t i = 1; i < ranges.size(); ++i) {
        const bool jump = ranges[i].offset() != ranges[i - 1].end();
        CHECK(jump == (i >= 1024 && i <= 1024 + 256));
        if (jump) ++jumps;
    }
    CHECK(jumps == 257);
    CHECK(ranges.back() == byte_range(gib - mib, mib));
}

TEST_SUITE_END();

}  // namespace
}  // namespace rangeio::tool
