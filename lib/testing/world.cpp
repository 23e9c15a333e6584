#include <rangeio/testing/world.hpp>

#include "runtime/interleave.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace rangeio::testing::sim {
namespace {

thread_local world* current_world = nullptr;

void interleaved(const char* where) noexcept {
    if (current_world != nullptr) current_world->preemption_point(where);
}

std::string place_of(const std::source_location& where) {
    std::string_view file = where.file_name();
    if (const auto slash = file.rfind('/'); slash != std::string_view::npos) file.remove_prefix(slash + 1);
    return fmt::format("{}:{}", file, where.line());
}

// The clock stands for one more candidate of a choice.
constexpr actor_id the_clock = ~actor_id{0};

}  // namespace

world::world(strategy& decides, world_options options)
    : strategy_(decides),
      options_(options),
      now_(std::chrono::hours(1)),  // not zero, which some take for "no time"
      early_left_(options.early_timers()) {
    runtime::interleave_hook = &interleaved;
}

world::~world() = default;

world* world::current() noexcept {
    return current_world;
}

actor_id world::add_actor(std::string name, bool outside) {
    const allocation_exemption own;
    actors_.emplace_back();
    actors_.back().name = std::move(name);
    actors_.back().outside = outside;
    return static_cast<actor_id>(actors_.size() - 1);
}

void world::remove_actor(actor_id who) noexcept {
    // A coroutine whose handler is dropped here is unwound by a post, in a destructor.
    const allocation_exemption for_unwinding(allocation_exemption::of::asio);
    actors_[who].removed = true;
    for (auto it = timers_.begin(); it != timers_.end();) {
        const auto dropped =
            it->second.who == who ? timers_.extract(it++) : (++it, decltype(timers_)::node_type());
        if (dropped) due_.erase(dropped.key().second);
    }
    // What is dropped may drop more, and post.
    while (!actors_[who].queue.empty()) {
        const item dropped = std::move(actors_[who].queue.front());
        actors_[who].queue.pop_front();
    }
}

void world::post(actor_id who, task t, const char* what) {
    if (actors_[who].removed) return;
    const bool exempt = allocation_exemption::active();
    enqueue(who, {std::move(t), what, exempt});
}

void world::enqueue(actor_id who, item i) {
    const allocation_exemption own;
    actor& a = actors_[who];
    if (a.queue.empty()) a.ready_since = ++wakings_;
    a.queue.push_back(std::move(i));
}

world::timer_id world::call_after(actor_id who, std::chrono::nanoseconds delay, task t, const char* what) {
    const timer_id id = ++last_timer_;
    if (actors_[who].removed) return id;
    const bool exempt = allocation_exemption::active();
    const allocation_exemption own;
    const time_point when = now_ + std::max(delay, std::chrono::nanoseconds::zero());
    timers_.emplace(std::pair(when, id), timer{who, {std::move(t), what, exempt}});
    due_.emplace(id, when);
    return id;
}

bool world::cancel_timer(timer_id id) noexcept {
    const auto it = due_.find(id);
    if (it == due_.end()) return false;
    // Dropped last: what it holds may come back here.
    const auto dropped = timers_.extract(std::pair(it->second, id));
    due_.erase(it);
    return true;
}

void world::list_ready(bool outside_only) {
    ready_.clear();
    for (actor_id id = 0; id < actors_.size(); ++id) {
        const actor& a = actors_[id];
        if (!a.queue.empty() && !a.busy && (a.outside || !outside_only)) ready_.push_back(id);
    }
    std::ranges::sort(ready_, {}, [this](actor_id id) {
        return std::pair(id != last_ran_, actors_[id].ready_since);
    });
}

bool world::let_time_pass() {
    if (timers_.empty()) return false;
    now_ = std::max(now_, timers_.begin()->first.first);
    while (!timers_.empty() && timers_.begin()->first.first <= now_) {
        auto due = timers_.extract(timers_.begin());
        due_.erase(due.key().second);
        enqueue(due.mapped().who, std::move(due.mapped().then));
    }
    return true;
}

std::size_t world::pick() {
    if (ready_.size() < 2 || over()) return 0;
    const std::size_t taken = strategy_.pick(ready_);
    decisions_.push_back(static_cast<std::uint32_t>(taken));
    return taken;
}

bool world::step() {
    const allocation_exemption own;
    for (;;) {
        if (over()) return false;
        list_ready(false);
        if (ready_.empty()) {
            if (!let_time_pass()) return false;
            continue;
        }
        if (early_left_ != 0 && !timers_.empty()) ready_.push_back(the_clock);
        const actor_id taken = ready_[pick()];
        if (taken != the_clock) {
            run_one(taken);
            return true;
        }
        --early_left_;
        let_time_pass();
    }
}

bool world::step_outside() {
    const allocation_exemption own;
    for (;;) {
        list_ready(true);
        if (!ready_.empty()) {
            run_one(ready_[pick()]);
            return true;
        }
        if (!let_time_pass()) return false;
    }
}

void world::run_one(actor_id who) {
    if (++steps_ > options_.max_steps()) {
        violate(fmt::format("no end: {} steps were taken", options_.max_steps()));
    }
    actor& a = actors_[who];
    item next = std::move(a.queue.front());
    a.queue.pop_front();
    a.ready_since = ++wakings_;
    if (options_.traced()) rows_.push_back({steps_, now_, who, preempted_, next.what, ""});
    const auto before = std::tuple(running_, current_world);
    a.busy = true;
    running_ = who;
    current_world = this;
    try {
        const allocation_exemption::lift for_the_task;
        detail::exempt_from_here(next.exempt);
        next.run();
        next.run = task();  // what it holds goes while it is still known who drops it
    } catch (const std::bad_alloc&) {
        // One that was injected, and not the caller's to handle: it would leave the run() of an io_context.
        if (allocation_failures::any_injected())
            violate("std::bad_alloc leaves a task instead of reaching its coroutine");
        if (thrown_ == nullptr) thrown_ = std::current_exception();
    } catch (...) {
        if (thrown_ == nullptr) thrown_ = std::current_exception();
    }
    std::tie(running_, current_world) = before;
    actors_[who].busy = false;
    last_ran_ = who;
}

void world::run() {
    while (step()) {
    }
    if (thrown_ != nullptr) std::rethrow_exception(std::exchange(thrown_, nullptr));
    if (!over() && !expected_.empty()) {
        const allocation_exemption own;
        violate(fmt::format("never ends: {}; nobody is left to wake it", expected_.begin()->second));
    }
}

std::size_t world::choose(std::size_t n) {
    if (n < 2 || over()) return 0;
    const allocation_exemption own;
    const std::size_t taken = strategy_.choose(n);
    decisions_.push_back(static_cast<std::uint32_t>(taken));
    return taken;
}

void world::preemption_point(const char* where) noexcept {
    if (!running_ || preempted_ >= options_.max_preempted()) return;
    const allocation_exemption own;
    const actor_id me = *running_;
    for (bool told = false; !over();) {
        list_ready(false);
        if (ready_.empty()) return;
        ready_.insert(ready_.begin(), me);
        const actor_id taken = ready_[pick()];
        if (taken == me) return;
        if (options_.traced() && !std::exchange(told, true)) {
            rows_.push_back({steps_, now_, me, preempted_, "is interrupted", where});
        }
        ++preempted_;
        run_one(taken);
        --preempted_;
    }
}

void world::violate(std::string what) noexcept {
    if (!violation_.empty()) return;
    const allocation_exemption own;
    violation_ = std::move(what);
    if (options_.traced())
        rows_.push_back({steps_, now_, running_.value_or(the_clock), preempted_, violation_, ""});
}

std::uint64_t world::expect_end(std::string operation) {
    const allocation_exemption own;
    expected_.emplace(++last_operation_, std::move(operation));
    return last_operation_;
}

void world::note(std::string what, std::source_location where) {
    if (!options_.traced()) return;
    const allocation_exemption own;
    rows_.push_back({steps_, now_, running_.value_or(the_clock), preempted_, std::move(what), place_of(where)}
    );
}

std::string world::trace() const {
    const auto who = [this](const row& r) -> std::string_view {
        return r.who == the_clock ? std::string_view("-") : actors_[r.who].name;
    };
    std::size_t who_width = 3;
    std::size_t what_width = 4;
    for (const row& r : rows_) {
        who_width = std::max(who_width, who(r).size() + 2 * r.depth);
        what_width = std::max(what_width, r.what.size());
    }
    what_width = std::min<std::size_t>(what_width, 72);
    std::string out = fmt::format(
        "{:>5}  {:>10}  {:<{}}  {:<{}}  where\n", "step", "time", "who", who_width, "what", what_width
    );
    for (std::size_t i = 0; i < rows_.size(); ++i) {
        const row& r = rows_[i];
        // What is said in a step tells more than that there was one.
        const bool told = i + 1 < rows_.size() && rows_[i + 1].step == r.step && rows_[i + 1].who == r.who;
        if (r.where.empty() && told) continue;
        const std::chrono::duration<double, std::milli> time =
            r.when.time_since_epoch() - std::chrono::hours(1);
        out += fmt::format(
            "{:>5}  {:>7.3f} ms  {:<{}}  {:<{}}  {}",
            r.step,
            time.count(),
            std::string(2 * r.depth, ' ').append(who(r)),
            who_width,
            r.what,
            what_width,
            r.where
        );
        while (out.back() == ' ') out.pop_back();
        out += '\n';
    }
    return out;
}

}  // namespace rangeio::testing::sim
