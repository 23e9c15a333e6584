#include <rangeio/sim/allocation_failures.hpp>
#include <rangeio/sim/allocation_sweep.hpp>

#include "sim/run_once.hpp"

#include <boost/system/errc.hpp>
#include <boost/system/system_error.hpp>

#include <fmt/format.h>

#include <cstdint>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

namespace rangeio::sim {
namespace {

struct attempt {
    std::string violation;
    std::string where;
    std::string trace;
    std::uint64_t fingerprint = 0;
    bool injected = false;
    std::int64_t blocks = 0;  // owned by this object itself
};

void run_once(const program& p, std::uint64_t n, const sweep_options& options, bool traced, attempt& out) {
    const auto decides = options.run().make_strategy();
    world_options how = options.world();
    world w(*decides, how.traced(traced));
    const allocation_failures failures(n, options.times());
    std::exception_ptr thrown;
    try {
        p(w);
    } catch (...) {
        thrown = std::current_exception();
    }
    if (!thrown && failures.injected() == 0) w.check_was_run();
    // Work that the program did not wait for has to end nevertheless.
    while (w.step()) {
    }
    const allocation_exemption from_here;
    out.injected = failures.injected() != 0;
    if (thrown && !(out.injected && is_out_of_memory(thrown))) {
        try {
            std::rethrow_exception(thrown);
        } catch (const std::exception& e) {
            w.violate(fmt::format("an exception leaves the program: {}", e.what()));
        } catch (...) {
            w.violate("an exception leaves the program");
        }
    }
    const std::int64_t before = live_allocations();
    out.violation = w.violation();
    out.fingerprint = w.fingerprint();
    out.where = out.injected ? failures.where() : "not reached";
    if (traced) out.trace = w.trace();
    out.blocks = live_allocations() - before;
}

attempt run_checked(const program& p, std::uint64_t n, const sweep_options& options, bool traced) {
    // An object that is made once and kept looks like a leak in the first run.
    for (bool again = false;; again = true) {
        const std::int64_t before = live_allocations();
        attempt out;
        run_once(p, n, options, traced, out);
        const std::int64_t left = live_allocations() - before - out.blocks;
        if (left == 0 || !out.violation.empty()) return out;
        if (!again) continue;
        out.violation = fmt::format("{} blocks of memory are not freed", left);
        return out;
    }
}

finding shown(attempt a, std::uint64_t n, const sweep_options& options) {
    finding out;
    out.what = std::move(a.violation);
    out.found_as = fmt::format("allocation {} of {}", n, options.run().text());
    out.shrunk_to = out.found_as;
    out.trace = fmt::format("the allocation: {}\n{}", a.where, a.trace);
    return out;
}

}  // namespace

bool is_out_of_memory(const std::exception_ptr& thrown) noexcept {
    const allocation_exemption own;
    try {
        std::rethrow_exception(thrown);
    } catch (const std::bad_alloc&) {
        return true;
    } catch (const boost::system::system_error& e) {
        return e.code() == boost::system::errc::not_enough_memory;
    } catch (...) {
        return false;
    }
}

sweep_result sweep(const program& p, const sweep_options& options) {
    if (options.most() == 0) throw std::invalid_argument("most: 0 is not at least 1");
    if (options.times() == 0) throw std::invalid_argument("times: 0 is not at least 1");
    sweep_result out;
    std::uint64_t without_failure = 0;
    // First without a failure: a program that fails then needs no sweep. Objects that are made once are also made here.
    for (std::uint64_t n = 0; out.points < options.most(); ++n) {
        attempt result = run_checked(p, n, options, false);
        std::string all;  // the violation of the runs as a whole
        if (n == 0) without_failure = result.fingerprint;
        if (n != 0 && !result.injected && result.violation.empty()) {
            // The second run without a failure.
            if (result.fingerprint != without_failure) {
                all = not_deterministic("");
            } else if (out.points == 0) {
                all = "nothing was swept: the program allocates no memory";
            } else {
                out.exhausted = true;
                return out;
            }
        }
        if (result.injected) ++out.points;
        if (all.empty() && result.violation.empty()) continue;
        out.failing = n;
        finding again = replay_failure(p, n, options);
        if (!all.empty()) {
            again.what = std::move(all);
        } else if (kind_of(again.what) != kind_of(result.violation)) {
            again.what = not_deterministic(result.violation);
        }
        out.found = std::move(again);
        return out;
    }
    return out;
}

finding replay_failure(const program& p, std::uint64_t n, const sweep_options& options) {
    return shown(run_checked(p, n, options, true), n, options);
}

std::string sweep_result::text() const {
    std::string out = fmt::format("{} allocations failed, one a run", points);
    if (exhausted) out += "; there are no others";
    out += '\n';
    if (found)
        out += fmt::format("violated: {}\nfound as {}\n{}", found->what, found->found_as, found->trace);
    return out;
}

}  // namespace rangeio::sim
