#pragma once

#include <rangeio/byte_range.hpp>
#include <rangeio/mrd_pool_cache.hpp>
#include <rangeio/sim/explore.hpp>
#include <rangeio/testing/fault_script.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rangeio::testing {

/// A small program against a pool, or a cache of pools: some tasks, a service, and its faults. Run in a world, it
/// checks the invariants of every pool: bytes are right or the program explains the error, each operation ends once, no
/// destination is written after its operation has ended, nothing waits without a pending wake-up, a cancelled task ends
/// before any time passes, an operation with a timeout ends by then, no operation leaves a lease behind, and the
/// counters balance at all times; when everything has ended they are zero, and so are the calls of the service. When
/// nothing can happen any more, each stream of the service is that of one pool, or idle in the cache.
///
/// For a cache it also checks: the cache keeps no more than its limits; an object that is opened is as new as the
/// service has it; after the begin of its end nothing is taken, kept or opened; and when async_close() completes no
/// call is open.
///
/// As text, one directive a line, `#` begins a comment:
///
///     object 24                  # bytes; optionally followed by: unfinalized chunk 4                    # the most
///     bytes of a response; default 8 streams shared             # or exclusive; scripted streams. Or: transport, the
///     library's own over scripted calls pool 2                     # its size; default 1 cache idle-pools=1
///     idle-streams=2 idle-timeout=5ms
///                                # each task has a pool of its own, from a cache; as pool_cache_options, but for the
///                                # timeout: default none
///     open-timeout 5ms           # default: none
///     early-timers 1             # how often a timer may be due although others could continue; default 0
///     faults reset byte=4 chance=50%
///     errors none                # no operation may fail, whatever the faults; default allowed: if a fault explains it
///     within 10s                 # the most virtual time that the tasks may take; default: any
///     calls 4                    # the most calls that may be begun; default: any
///     end close                  # or destroy, or any of these, or abandon: context, cache, pools and leases are
///                                # destroyed in any order, at any moments
///     task a: read 0-16 concurrency=2 timeout=5ms; wait 1ms; read 16-24
///     task b: acquire; read-leased 0-4; release
///     task c: initialize; cancel a; close deadline=1ms
///
/// Operations: initialize, acquire [timeout=T], release, read A-B [concurrency=N] [timeout=T], read-leased A-B
/// [timeout=T], split A-B,N (N blocks), close [deadline=T], destroy (the pool's handle), cancel TASK, wait T. With a
/// cache: open [object=N] (names the live generation; replaces the task's pool, whose lease is kept), open-latest
/// [object=N] (names none), close-cache [deadline=T], destroy-cache; closed pools are destroyed. A task ends with its
/// first operation that is cancelled or meets a closed pool; other errors end the operation only.
class pool_program {
public:
    /// Throws: std::invalid_argument that names the error, and its line, except where the program has no task.
    static pool_program parse(std::string_view text);

    /// Runs the program in `w`.
    void operator()(sim::world& w) const;
    /// The world options that the program requires.
    sim::world_options world_options() const;

    enum class action {
        initialize,
        acquire,
        release,
        read,
        read_leased,
        split,
        close,
        destroy,
        cancel,
        wait,
        open,
        open_latest,
        close_cache,
        destroy_cache
    };
    struct operation {
        action what = action::wait;
        byte_range range;
        std::size_t parts = 1;  // concurrency, or blocks
        std::chrono::nanoseconds time{0};
        std::size_t task = 0;    // the task to cancel
        std::size_t object = 0;  // the object to open
        std::string text;
    };
    struct task {
        std::string name;
        std::vector<operation> operations;
    };
    enum class kind { shared, exclusive, transport };
    enum class finish { close, destroy, abandon, any };

    std::uint64_t object_bytes = 64;
    bool finalized = true;
    std::uint64_t max_chunk_bytes = 8;
    std::size_t pool_size = 1;
    std::optional<pool_cache_options> cache;
    kind streams = kind::shared;
    std::chrono::nanoseconds open_timeout{0};
    std::size_t early_timers = 0;
    std::chrono::nanoseconds within{0};
    std::optional<std::uint64_t> max_calls;
    bool errors_allowed = true;
    finish end = finish::close;
    fault_script faults;
    std::vector<task> tasks;
};

/// A program that is part of the library.
struct shipped_program {
    std::string_view name;
    std::string_view text;
};
const std::vector<shipped_program>& shipped_programs();

}  // namespace rangeio::testing
