#include <rangeio/preemption.hpp>
#include <rangeio/sim/world.hpp>

#include "sim/later.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <tuple>

namespace rangeio::sim {
namespace {

thread_local world* current_world = nullptr;

void interleaved(const char* where, preemption_point kind) noexcept {
    world* const w = current_world;
    if (w == nullptr || (kind == preemption_point::lock && !w->options().at_locks())) return;
    w->preemption_point(where);
}

std::string place_of(const std::source_location& where) {
    std::string_view file = where.file_name();
    if (const auto slash = file.rfind('/'); slash != std::string_view::npos) file.remove_prefix(slash + 1);
    return fmt::format("{}:{}", file, where.line());
}

// Also stands for the clock, where time passing is one more candidate of a choice.
constexpr actor_id nobody = ~actor_id{0};

constexpr world::time_point the_beginning{std::chrono::hours(1)};  // not zero, which may mean "no time"

const world_options& checked(const world_options& options) {
    if (options.max_steps() == 0) throw std::invalid_argument("max_steps: 0 is not at least 1");
    if (options.max_time() < std::chrono::nanoseconds(1)) {
        throw std::invalid_argument(
            fmt::format("max_time: {} ns is not at least 1 ns", options.max_time().count())
        );
    }
    if (options.at_locks() && !has_preemption_points) {
        throw std::invalid_argument("at_locks: no library of this program has preemption points");
    }
    return options;
}

}  // namespace

world::world(strategy& decides, world_options options)
    : strategy_(decides),
      options_(checked(options)),
      now_(the_beginning),
      end_of_time_(
          std::min(later(the_beginning, options.max_time()), time_point::max() - std::chrono::nanoseconds(1))
      ),
      early_left_(options.early_timers()) {
    preemption_hook = &interleaved;
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
    // A dropped task may drop others, and post.
    while (!actors_[who].queue.empty()) {
        const item dropped = std::move(actors_[who].queue.front());
        actors_[who].queue.pop_front();
    }
    std::vector<std::pair<actor_id, task>> dropped;
    const std::lock_guard lock(strays_mutex_);
    const auto theirs = std::ranges::partition(strays_, [who](const auto& s) { return s.first != who; });
    std::ranges::move(theirs, std::back_inserter(dropped));
    strays_.erase(theirs.begin(), theirs.end());
}

void world::post(actor_id who, task t, const char* what) {
    if (std::this_thread::get_id() != own_thread_) {
        const std::lock_guard lock(strays_mutex_);
        strays_.emplace_back(who, std::move(t));
        has_strays_ = true;
        return;
    }
    if (actors_[who].removed) return;
    const bool exempt = allocation_exemption::active();
    enqueue(who, {std::move(t), what, exempt});
}

void world::enqueue(actor_id who, item i) {
    const allocation_exemption own;
    started_ = true;
    actor& a = actors_[who];
    if (a.queue.empty()) a.ready_since = ++wakings_;
    a.queue.push_back(std::move(i));
}

world::timer_id world::call_after(actor_id who, std::chrono::nanoseconds delay, task t, const char* what) {
    return call_at(who, later(now_, delay), std::move(t), what);
}

world::timer_id world::call_at(actor_id who, time_point when, task t, const char* what) {
    const timer_id id = ++last_timer_;
    if (actors_[who].removed) return id;
    const bool exempt = allocation_exemption::active();
    const allocation_exemption own;
    started_ = true;
    when = std::max(when, now_);
    timers_.emplace(std::pair(when, id), timer{who, {std::move(t), what, exempt}});
    due_.emplace(id, when);
    return id;
}

bool world::cancel_timer(timer_id id) noexcept {
    const auto it = due_.find(id);
    if (it == due_.end()) return false;
    // Dropped last: its destructor may call the world again.
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

bool world::is_due_some_time() const noexcept {
    return !timers_.empty() && timers_.begin()->first.first <= end_of_time_;
}

// No actor can continue; operations that have not ended by now end later or never.
void world::check_in_time() {
    if (!is_due_some_time()) return;
    for (const auto& [id, e] : expected_) {
        if (e.by >= timers_.begin()->first.first) continue;
        const std::chrono::duration<double, std::milli> within = e.within;
        return violate(fmt::format("does not end in time: {}; within {} ms", e.operation, within.count()));
    }
}

bool world::let_time_pass() {
    if (!is_due_some_time()) return false;
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
    for (const actor_id id : ready_) mix(id);
    decisions_.push_back(static_cast<std::uint32_t>(taken));
    return taken;
}

bool world::step() {
    const allocation_exemption own;
    run_ = true;
    last_seen_operation_ = last_operation_;
    look_for_strays();
    for (;;) {
        if (over()) return false;
        list_ready(false);
        if (ready_.empty()) {
            check_in_time();
            if (over() || !let_time_pass()) return false;
            continue;
        }
        if (early_left_ != 0 && is_due_some_time()) ready_.push_back(nobody);
        const actor_id taken = ready_[pick()];
        if (taken != nobody) {
            run_one(taken);
            last_seen_operation_ = last_operation_;
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
    mix(who);
    mix(static_cast<std::uint64_t>(now_.time_since_epoch().count()));
    record(who, next.what, "");
    const auto before = std::tuple(running_, current_world);
    a.busy = true;
    running_ = who;
    current_world = this;
    try {
        const allocation_exemption::lift for_the_task;
        detail::exempt_from_here(next.exempt);
        next.run();
        next.run = task();  // destroys its objects while the actor is the running one
    } catch (const std::bad_alloc&) {
        // An injected one, and not for the caller to handle: it would leave the run() of an io_context.
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
    look_for_strays();
    if (over() || expected_.empty()) return;
    const allocation_exemption own;
    const std::string& operation = expected_.begin()->second.operation;
    if (const std::string real = strangers(); !real.empty()) {
        has_strangers_ = true;
        violate(fmt::format("{} waits for something that is not in this world: {}", operation, real));
    } else {
        violate(fmt::format("never ends: {}; nothing is left to wake it", operation));
    }
}

void world::check_was_run() noexcept {
    look_for_strays();
    if (started_ && !run_) violate("nothing ran: the program does not call world.run()");
    if (last_seen_operation_ != last_operation_) {
        violate("an operation never ran: the program does not call world.run() after it was spawned");
    }
}

std::uint64_t world::suspect(std::function<std::string()> real) {
    const allocation_exemption own;
    suspects_.emplace(++last_suspicion_, std::move(real));
    return last_suspicion_;
}

void world::look_for_strays() noexcept {
    if (!has_strays_ || over()) return;
    const allocation_exemption own;
    const std::string real = strangers();
    has_strangers_ = true;
    violate(
        "a task arrives from another thread: " + (real.empty() ? "no strategy decides its arrival" : real)
    );
}

std::string world::strangers() const {
    std::string out;
    for (const auto& [id, real] : suspects_) {
        const std::string one = real();
        if (!one.empty() && !out.empty()) out += "; ";
        out += one;
    }
    return out;
}

// FNV-1a, a word at a time.
void world::mix(std::uint64_t what) noexcept {
    fingerprint_ = (fingerprint_ ^ what) * 0x100000001b3;
    fingerprint_ ^= fingerprint_ >> 29;
}

std::size_t world::choose(std::size_t n) {
    if (n < 2 || over()) return 0;
    const allocation_exemption own;
    const std::size_t taken = strategy_.choose(n);
    mix(n);
    mix(taken);
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
        if (!std::exchange(told, true)) record(me, "is interrupted", where);
        ++preempted_;
        run_one(taken);
        --preempted_;
    }
}

void world::violate(std::string what) noexcept {
    if (!violation_.empty()) return;
    const allocation_exemption own;
    violation_ = std::move(what);
    record(running_.value_or(nobody), violation_, "");
}

std::uint64_t world::expect_end(std::string operation, std::chrono::nanoseconds within) {
    const allocation_exemption own;
    expected_.emplace(++last_operation_, expectation{std::move(operation), within, later(now_, within)});
    return last_operation_;
}

void world::note(std::string what, std::source_location where) {
    if (!options_.traced()) return;
    const allocation_exemption own;
    record(running_.value_or(nobody), std::move(what), place_of(where));
}

}  // namespace rangeio::sim
