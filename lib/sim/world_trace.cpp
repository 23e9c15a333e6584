#include <rangeio/sim/world.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <span>

namespace rangeio::sim {

// Only both ends of a long run are kept. Two rows make one line at most, see trace().
void world::record(actor_id who, std::string what, std::string where) {
    if (!options_.traced()) return;
    const allocation_exemption own;
    row r{steps_, now_, who, preempted_, std::move(what), std::move(where)};
    const std::size_t most = options_.max_trace_lines();
    if (most == 0 || rows_.size() < most) {
        rows_.push_back(std::move(r));
        return;
    }
    last_rows_.push_back(std::move(r));
    if (last_rows_.size() > 2 * most) last_rows_.pop_front();
}

std::string world::trace() const {
    std::vector<const row*> all;
    for (const row& r : rows_) all.push_back(&r);
    for (const row& r : last_rows_) all.push_back(&r);
    std::vector<const row*> lines;
    for (std::size_t i = 0; i < all.size(); ++i) {
        // A note in a step replaces the row of the step itself.
        const bool told =
            i + 1 < all.size() && all[i + 1]->step == all[i]->step && all[i + 1]->who == all[i]->who;
        if (!all[i]->where.empty() || !told) lines.push_back(all[i]);
    }
    const std::size_t most = options_.max_trace_lines();
    const bool cut = most != 0 && lines.size() > most;
    const auto first = std::span(lines).first(cut ? most / 2 : lines.size());
    const auto last = std::span(lines).last(cut ? most - most / 2 : 0);

    const auto who = [this](const row& r) -> std::string_view {
        return r.who < actors_.size() ? std::string_view(actors_[r.who].name) : "-";
    };
    std::size_t who_width = 3;
    std::size_t what_width = 4;
    const auto measure = [&](const row* r) {
        who_width = std::max(who_width, who(*r).size() + 2 * r->depth);
        what_width = std::max(what_width, r->what.size());
    };
    std::ranges::for_each(first, measure);
    std::ranges::for_each(last, measure);
    what_width = std::min<std::size_t>(what_width, 72);

    std::string out = fmt::format(
        "{:>5}  {:>10}  {:<{}}  {:<{}}  where\n", "step", "time", "who", who_width, "what", what_width
    );
    const auto write = [&](const row* r) {
        const std::chrono::duration<double, std::milli> time =
            r->when.time_since_epoch() - std::chrono::hours(1);
        out += fmt::format(
            "{:>5}  {:>7.3f} ms  {:<{}}  {:<{}}  {}",
            r->step,
            time.count(),
            std::string(2 * r->depth, ' ').append(who(*r)),
            who_width,
            r->what,
            what_width,
            r->where
        );
        while (out.back() == ' ') out.pop_back();
        out += '\n';
    };
    std::ranges::for_each(first, write);
    if (cut) {
        const std::size_t from = first.empty() ? 0 : first.back()->step;
        out += fmt::format(
            "  ...  the lines between step {} and step {} are left out\n", from, last.front()->step
        );
    }
    std::ranges::for_each(last, write);
    return out;
}

}  // namespace rangeio::sim
