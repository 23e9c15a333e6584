#pragma once

#include <rangeio/byte_range.hpp>

#include "support/prefetch_link.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

namespace support {

inline constexpr std::uint64_t one_kib = 1024, one_mib = 1024 * one_kib, one_gib = 1024 * one_mib;

/// The reads of a program, in order.
struct read_trace {
    std::uint64_t size = 0;  // of the object
    std::vector<byte_range> reads;
    std::chrono::nanoseconds think{0};

    void add(std::uint64_t offset, std::uint64_t bytes, std::uint64_t each) {
        for (std::uint64_t at = 0; at < bytes; at += each)
            reads.push_back({offset + at, std::min(each, bytes - at)});
    }
    std::uint64_t bytes() const {
        std::uint64_t sum = 0;
        for (const byte_range& r : reads) sum += r.length();
        return sum;
    }
};

inline read_trace sequential(std::uint64_t bytes, std::uint64_t each, std::chrono::nanoseconds think = {}) {
    read_trace t{bytes, {}, think};
    t.add(0, bytes, each);
    return t;
}

inline read_trace backward(std::uint64_t bytes, std::uint64_t each) {
    read_trace t = sequential(bytes, each);
    std::ranges::reverse(t.reads);
    return t;
}

/// `scans` in turns, each of its part of the object.
inline read_trace interleaved(std::uint64_t scans, std::uint64_t bytes, std::uint64_t each) {
    read_trace t{bytes, {}};
    const std::uint64_t part = bytes / scans;
    for (std::uint64_t at = 0; at < part; at += each) {
        for (std::uint64_t scan = 0; scan < scans; ++scan) t.reads.push_back({scan * part + at, each});
    }
    return t;
}

inline read_trace random_reads(std::uint64_t size, std::size_t count, std::uint64_t each) {
    read_trace t{size, {}};
    std::mt19937_64 draw(1);
    for (std::size_t i = 0; i < count; ++i) t.reads.push_back({draw() % (size / each) * each, each});
    return t;
}

/// All records of an object, each as a run of reads, in any order.
inline read_trace shuffled(std::uint64_t size, std::uint64_t record, std::uint64_t each) {
    std::vector<std::uint64_t> order;
    for (std::uint64_t at = 0; at < size; at += record) order.push_back(at);
    std::ranges::shuffle(order, std::mt19937_64(2));
    read_trace t{size, {}};
    for (const std::uint64_t at : order) t.add(at, record, each);
    return t;
}

/// Forward and partly back again, over and over.
inline read_trace zigzag(std::uint64_t size, std::uint64_t forward, std::uint64_t back, std::uint64_t each) {
    read_trace t{size, {}};
    for (std::uint64_t at = 0; at + forward <= size; at += forward - back) t.add(at, forward, each);
    return t;
}

/// Runs of `run`, with `skip` between them.
inline read_trace strided(std::uint64_t size, std::uint64_t run, std::uint64_t skip, std::uint64_t each) {
    read_trace t{size, {}};
    for (std::uint64_t at = 0; at + run <= size; at += run + skip) t.add(at, run, each);
    return t;
}

/// The headers of an archive, whose members have about 8 KiB.
inline read_trace tar_walk(std::size_t members) {
    read_trace t{};
    std::mt19937_64 draw(3);
    for (std::size_t i = 0; i < members; ++i) {
        t.reads.push_back({t.size, 512});
        t.size += 512 + (1 + draw() % 32) * 512;
    }
    return t;
}

/// The footer, then some columns of each row group.
inline read_trace parquet(
    std::uint64_t groups, std::uint64_t columns, std::uint64_t wanted, std::uint64_t each
) {
    read_trace t{};
    std::mt19937_64 draw(4);
    std::vector<byte_range> chunks;
    for (std::uint64_t i = 0; i < groups * columns; ++i) {
        const std::uint64_t bytes = one_mib + draw() % (2 * one_mib);
        if (i % columns % (columns / wanted) == 1) chunks.push_back({t.size, bytes});
        t.size += bytes;
    }
    t.reads.push_back({t.size - 64 * one_kib, 64 * one_kib});
    for (const byte_range& c : chunks) t.add(c.offset(), c.length(), each);
    return t;
}

/// A loop of a few random operations: what nobody has thought of.
inline read_trace attack(std::uint64_t seed, std::uint64_t size, std::uint64_t bytes, std::size_t max_reads) {
    std::mt19937_64 draw(seed);
    const auto upto = [&](std::uint64_t n) { return draw() % n; };
    const auto length = [&] { return (std::uint64_t{512} << upto(13)) + upto(4096); };
    struct operation {
        std::uint64_t kind, count, length;
    };
    std::vector<operation> loop(1 + upto(8));
    for (operation& o : loop) o = {upto(5), 1 + upto(40), length()};
    loop[0].kind = 3;  // some reads
    read_trace t{size, {}};
    std::uint64_t at = 0, sum = 0;
    while (sum < bytes && t.reads.size() < max_reads) {
        for (const operation& o : loop) {
            if (o.kind == 0) at = upto(size);
            if (o.kind == 1) at = (at + o.length) % size;
            if (o.kind == 2) at -= std::min(at, o.length);
            for (std::uint64_t i = 0; o.kind >= 3 && i < o.count; ++i) {
                at = at % (size - 8 * one_mib);
                if (o.kind == 4) at -= std::min(at, 2 * o.length);
                t.reads.push_back({at, o.length});
                at += o.length;
                sum += o.length;
            }
        }
    }
    return t;
}

/// How a trace went: when how much had been read.
struct played_trace {
    std::vector<std::pair<std::uint64_t, std::chrono::nanoseconds>> progress;  // bytes, at a time
    prefetch_reader::counts counts;

    double seconds() const { return std::chrono::duration<double>(progress.back().second).count(); }
    double rate() const { return static_cast<double>(counts.read) / seconds(); }
    /// Bytes per second in the `span` bytes after `from`.
    double rate_after(std::uint64_t from, std::uint64_t span) const {
        const auto at = [&](std::uint64_t bytes) {
            return *std::ranges::lower_bound(progress, std::min(bytes, counts.read), {}, [](const auto& p) {
                return p.first;
            });
        };
        const auto begin = at(from), end = at(from + span);
        return static_cast<double>(end.first - begin.first) /
               std::chrono::duration<double>(end.second - begin.second).count();
    }
    /// The bytes after which each later span has a part of the link.
    std::uint64_t reaches(double bytes_per_second, std::uint64_t span) const {
        for (std::uint64_t from = counts.read - std::min(span, counts.read);;
             from -= std::min(from, one_mib)) {
            if (rate_after(from, span) < bytes_per_second) return from + one_mib;
            if (from == 0) return 0;
        }
    }
    double waste() const { return static_cast<double>(counts.wasted) / static_cast<double>(counts.read); }
};

inline played_trace play(prefetch_reader& reader, const read_trace& trace) {
    played_trace done;
    done.progress.reserve(trace.reads.size() + 1);
    done.progress.push_back({0, reader.now()});
    for (const byte_range& range : trace.reads) {
        reader.read(range, trace.think);
        done.progress.push_back({reader.totals().read, reader.now()});
    }
    done.counts = reader.totals();
    return done;
}

}  // namespace support
