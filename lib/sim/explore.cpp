#include <rangeio/sim/explore.hpp>

#include "sim/run_once.hpp"
#include "text_fields.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <stdexcept>

namespace rangeio::sim {

run_name run_name::random(std::uint64_t seed) {
    run_name out;
    out.seed_ = seed;
    return out;
}

run_name run_name::pct(std::size_t depth, std::uint64_t seed) {
    if (depth < 1 || depth > 16)
        throw std::invalid_argument(fmt::format("PCT depth: {} is not in 1..16", depth));
    run_name out;
    out.kind_ = kind::pct;
    out.depth_ = depth;
    out.seed_ = seed;
    return out;
}

run_name run_name::of(std::vector<std::uint32_t> decisions) {
    run_name out;
    out.kind_ = kind::decisions;
    out.decisions_ = std::move(decisions);
    return out;
}

namespace {

std::uint64_t read_number(std::string_view text, std::string_view whole) {
    const auto out = whole_number(text);
    if (!out)
        throw std::invalid_argument(fmt::format("run \"{}\": \"{}\" is not a whole number", whole, text));
    return *out;
}

}  // namespace

run_name run_name::parse(std::string_view text) {
    const auto colon = text.find(':');
    const std::string_view how = text.substr(0, colon);
    const std::string_view rest = colon == text.npos ? std::string_view() : text.substr(colon + 1);
    if (colon != text.npos && how == "run") return of(read_decisions(rest));
    if (colon != text.npos && how == "random") return random(read_number(rest, text));
    if (colon != text.npos && how.starts_with("pct"))
        return pct(read_number(how.substr(3), text), read_number(rest, text));
    throw std::invalid_argument(
        fmt::format("run \"{}\": not random:SEED, pctDEPTH:SEED or run:DECISIONS", text)
    );
}

std::string run_name::text() const {
    switch (kind_) {
        case kind::random: return fmt::format("random:{}", seed_);
        case kind::pct: return fmt::format("pct{}:{}", depth_, seed_);
        case kind::decisions: break;
    }
    return "run:" + decisions_text(decisions_);
}

std::unique_ptr<strategy> run_name::make_strategy() const {
    switch (kind_) {
        case kind::random: return std::make_unique<random_strategy>(seed_);
        case kind::pct: return std::make_unique<pct_strategy>(seed_, depth_);
        case kind::decisions: break;
    }
    return std::make_unique<replay_strategy>(decisions_);
}

namespace {

/// Makes the list of decisions of a failing run plainer and shorter, as long as it fails in the same way.
class shrinker {
public:
    shrinker(const program& p, const world_options& options, std::size_t budget, run_result failing)
        : program_(p), options_(options), budget_(budget), best_(std::move(failing)) {}

    /// The decisions of the result omit the plainest ones at their end, which are implied.
    const run_result& run() {
        trim();
        for (bool better = true; better && budget_ != 0;) {
            better = false;
            for (std::size_t size = std::max<std::size_t>(best_.decisions.size() / 2, 1); size != 0;
                 size /= 2) {
                better |= try_chunks(size, true);
                better |= try_chunks(size, false);
            }
        }
        return best_;
    }

private:
    void trim() {
        while (!best_.decisions.empty() && best_.decisions.back() == 0) best_.decisions.pop_back();
    }

    // Tries to erase each chunk, or to replace it by plainest decisions.
    bool try_chunks(std::size_t size, bool erase) {
        bool better = false;
        for (std::size_t at = 0; at < best_.decisions.size();) {
            auto candidate = best_.decisions;
            const auto first = candidate.begin() + static_cast<std::ptrdiff_t>(at);
            const auto last =
                candidate.begin() + static_cast<std::ptrdiff_t>(std::min(at + size, candidate.size()));
            const bool plain = std::all_of(first, last, [](std::uint32_t d) { return d == 0; });
            if (erase) {
                candidate.erase(first, last);
            } else {
                std::fill(first, last, 0U);
            }
            if ((erase || !plain) && attempt(std::move(candidate))) {
                better = true;
            } else {
                at += size;
            }
        }
        return better;
    }

    bool attempt(std::vector<std::uint32_t> candidate) {
        if (budget_ == 0) return false;
        --budget_;
        replay_strategy decides(candidate);
        run_result result = run_once(program_, decides, options_);
        if (kind_of(result.violation) != kind_of(best_.violation) || result.violation.empty()) return false;
        // The decisions taken count, not those requested: they differ where the run took another way.
        const std::size_t before = weight(best_.decisions);
        run_result old = std::exchange(best_, std::move(result));
        trim();
        if (weight(best_.decisions) < before) return true;
        best_ = std::move(old);
        return false;
    }

    // Deviations weigh more than length.
    static std::size_t weight(const std::vector<std::uint32_t>& decisions) {
        const auto deviations = std::ranges::count_if(decisions, [](std::uint32_t d) { return d != 0; });
        return decisions.size() + 16 * static_cast<std::size_t>(deviations);
    }

    const program& program_;
    const world_options& options_;
    std::size_t budget_;
    run_result best_;
};

}  // namespace

finding replay(const program& p, const run_name& name, world_options options) {
    const auto decides = name.make_strategy();
    run_result result = run_once(p, *decides, options.traced(true));
    finding out;
    out.what = repeats(p, options, result) ? result.violation : not_deterministic(result.violation);
    out.found_as = out.shrunk_to = name.text();
    out.decisions = result.decisions.size();
    out.trace = std::move(result.trace);
    return out;
}

namespace {

/// A failing run for display: shrunk if it repeats itself, because otherwise the shrinker could not compare runs.
finding found(
    const program& p,
    const explore_options& options,
    const run_name& run,
    const run_result& failing,
    bool steady
) {
    world_options traced = options.world();
    traced.traced(true);
    finding out;
    out.found_as = out.shrunk_to = run.text();
    out.decisions = failing.decisions.size();
    run_result best = failing;
    auto decides = run.make_strategy();
    if (steady && !failing.has_strangers) {
        best = shrinker(p, options.world(), options.shrink_runs(), failing).run();
        const run_name shrunk = run_name::of(best.decisions);
        out.shrunk_to = shrunk.text();
        decides = shrunk.make_strategy();
    }
    run_result shown = run_once(p, *decides, traced);
    // Of the two, the shrunk run lacks the plainest decisions at its end.
    best.decisions = shown.decisions;
    steady = steady && is_same(best, shown);
    out.what = steady ? shown.violation : not_deterministic(failing.violation);
    if (failing.has_strangers) out.what = failing.violation;
    out.trace = std::move(shown.trace);
    return out;
}

}  // namespace

exploration explore(const program& p, const explore_options& options) {
    if (options.schedules() == 0) throw std::invalid_argument("schedules: 0 is not at least 1");
    exploration out;
    dfs_strategy depth_first(options.deviations());
    explore_options untraced = options;
    untraced.world(world_options(options.world()).traced(false));
    run_result first;
    while (out.schedules < options.schedules()) {
        const std::uint64_t seed = options.seed() + out.schedules;
        std::optional<run_name> run;
        if (options.by() == search::random) run = run_name::random(seed);
        if (options.by() == search::pct) run = run_name::pct(options.depth(), seed);
        const auto owned = run ? run->make_strategy() : nullptr;
        strategy& decides = owned != nullptr ? *owned : depth_first;
        run_result result = run_once(p, decides, untraced.world());
        ++out.schedules;
        out.steps += result.steps;
        out.longest = std::max(out.longest, result.decisions.size());
        const bool wrong = !result.violation.empty();
        // A few runs are repeated in any case. After a failing run the first one, which did not fail, is repeated, too:
        // state that one run leaves to the next causes a violation that looks the same each time.
        bool steady = !depth_first.diverged();
        if (steady && (wrong || std::has_single_bit(out.schedules))) {
            steady = repeats(p, untraced.world(), result);
        }
        if (steady && wrong && out.schedules > 1) steady = repeats(p, untraced.world(), first);
        if (wrong || !steady) {
            const run_name name = run ? *run : run_name::of(result.decisions);
            out.found = found(p, untraced, name, result, steady);
            return out;
        }
        if (out.schedules == 1) first = std::move(result);
        if (options.progress() && !options.progress()(out.schedules)) return out;
        if (options.by() == search::dfs && !depth_first.advance()) {
            out.exhausted = true;
            return out;
        }
    }
    out.cut_off = options.by() == search::dfs;
    return out;
}

std::string finding::text() const {
    if (what.empty()) {
        return fmt::format("nothing was violated\nran as {} ({} decisions)\n{}", found_as, decisions, trace);
    }
    return fmt::format(
        "violated: {}\nfound as {} ({} decisions)\nshrunk to {}\n{}",
        what,
        found_as,
        decisions,
        shrunk_to,
        trace
    );
}

std::string exploration::text() const {
    std::string out =
        fmt::format("{} schedules, {} steps, at most {} decisions each", schedules, steps, longest);
    if (exhausted) out += "; there are no others with so few deviations";
    if (cut_off) out += "; there are others with so few deviations, which the limit cut off";
    out += '\n';
    if (found) out += found->text();
    return out;
}

}  // namespace rangeio::sim
