#include "sim/run_once.hpp"

#include <fmt/format.h>

#include <exception>
#include <new>

namespace rangeio::sim {

run_result run_once(const program& p, strategy& decides, const world_options& options) {
    run_result out;
    world w(decides, options);
    try {
        p(w);
    } catch (const std::bad_alloc&) {
        throw;
    } catch (const std::exception& e) {
        w.violate(fmt::format("an exception leaves the program: {}", e.what()));
    }
    w.check_was_run();
    if (w.steps() == 0 && w.decisions().empty()) {
        w.violate("nothing was explored: the program takes no step and leaves nothing to decide");
    }
    out.violation = w.violation();
    out.decisions = w.decisions();
    out.fingerprint = w.fingerprint();
    out.has_strangers = w.has_strangers();
    out.steps = w.steps();
    if (options.traced()) out.trace = w.trace();
    return out;
}

std::string_view kind_of(std::string_view violation) {
    return violation.substr(0, violation.find_first_of("0123456789:"));
}

bool is_same(const run_result& a, const run_result& b) {
    if (a.has_strangers || b.has_strangers) return true;
    return a.fingerprint == b.fingerprint && a.decisions == b.decisions &&
           kind_of(a.violation) == kind_of(b.violation);
}

bool repeats(const program& p, const world_options& options, const run_result& run) {
    replay_strategy decides(run.decisions);
    return is_same(run, run_once(p, decides, options));
}

std::string not_deterministic(std::string_view seen) {
    std::string out = "the program is not deterministic: equal decisions led to different ones";
    if (!seen.empty()) out += fmt::format("; one run violated: {}", seen);
    return out;
}

}  // namespace rangeio::sim
