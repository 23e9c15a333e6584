#include "meter.hpp"

#include <sys/resource.h>

#include <cstdint>

namespace rangeio::tool {
namespace {

rusage used_so_far() {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    return used;
}

double cpu_seconds(const rusage& used) {
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
    };
    return seconds(used.ru_utime) + seconds(used.ru_stime);
}

}  // namespace

meter::meter() : began_(clock::now()), cpu_at_begin_(cpu_seconds(used_so_far())) {}

void meter::stop(measurement& into, const mrd_pool& pool) const {
    const rusage used = used_so_far();
    into.seconds = std::chrono::duration<double>(clock::now() - began_).count();
    into.cpu_seconds = cpu_seconds(used) - cpu_at_begin_;
    into.peak_memory_bytes = static_cast<std::uint64_t>(used.ru_maxrss) * 1024;
    into.pool = pool.stats();
}

prefetch_result prefetch_meter::stop(
    std::string_view how, const object_reader& reader, const memory_budget& memory
) const {
    prefetch_result out;
    out.how = how;
    out.counts = reader.stats();
    out.counts.hits -= before_.hits;
    out.counts.partial_hits -= before_.partial_hits;
    out.counts.misses -= before_.misses;
    out.counts.stalls -= before_.stalls;
    out.counts.stall_time -= before_.stall_time;
    out.counts.prefetched_bytes -= before_.prefetched_bytes;
    out.counts.wasted_bytes -= before_.wasted_bytes;
    out.budget_bytes = memory.limit_bytes();
    out.peak_bytes = memory.stats().peak_bytes;
    return out;
}

}  // namespace rangeio::tool
