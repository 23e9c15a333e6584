#pragma once

#include <rangeio/sim/explore.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace rangeio::sim {

/// Which allocations fail, and in which run. Checked where it is used.
class sweep_options {
public:
    sweep_options() = default;

    /// The run in which they fail, one after the other. Default: the plainest.
    sweep_options& run(run_name name) {
        run_ = std::move(name);
        return *this;
    }
    const run_name& run() const noexcept { return run_; }

    /// The most allocations that are tried, from 1. Default 100 000.
    sweep_options& most(std::uint64_t allocations) {
        most_ = allocations;
        return *this;
    }
    std::uint64_t most() const noexcept { return most_; }

    /// How many in a row fail, from 1. Default 1; more is an outage, which reaches what cleans up after the first, too.
    sweep_options& times(std::uint64_t in_a_row) {
        times_ = in_a_row;
        return *this;
    }
    std::uint64_t times() const noexcept { return times_; }

    sweep_options& world(world_options options) {
        world_ = options;
        return *this;
    }
    const world_options& world() const noexcept { return world_; }

private:
    run_name run_ = run_name::of({});
    std::uint64_t most_ = 100'000;
    std::uint64_t times_ = 1;
    world_options world_;
};

/// What a sweep tried, and what it found.
class sweep_result {
public:
    /// Allocations that were made to fail, one a run.
    std::uint64_t points = 0;
    /// There was no other: the last run made fewer.
    bool exhausted = false;
    /// The allocation whose failure something could not bear, and what that was.
    std::uint64_t failing = 0;
    std::optional<finding> found;

    explicit operator bool() const noexcept { return !found; }
    /// For people, one line, or several if there is a finding.
    std::string text() const;
};

/// Runs `p` again and again, and lets its first, its second, its third allocation fail, until there are no more. What the
/// kit asks for itself does not count; what `p` asks for does, and so does what `p` tests.
///
/// A failed allocation excuses a coroutine, or the program, that ends with std::bad_alloc or with a system_error of
/// errc::not_enough_memory, and nothing else: each run has to end, by the rules of `world::run`, with whatever `p`
/// checks, and with every block given back (see `live_allocations`; so `p` keeps nothing from one run to the next). A `p`
/// that asks for no memory is a violation, too: nothing was swept.
///
/// Requires:   as allocation_failures; and that memory is all that differs from run to run.
/// Throws:     std::invalid_argument for an unusable option; std::logic_error, as allocation_failures; std::bad_alloc, for
///             memory that really is not there.
sweep_result sweep(const program& p, const sweep_options& options = {});

/// The one run in which allocation `n` fails, traced. What was found is empty if nothing went wrong.
finding replay_failure(const program& p, std::uint64_t n, const sweep_options& options = {});

/// Whether this is how code reports that it has no memory.
bool is_out_of_memory(const std::exception_ptr& thrown) noexcept;

}  // namespace rangeio::sim
