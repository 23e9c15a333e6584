#include "engine/read_operation.hpp"

#include "error_text.hpp"

#include <utility>

namespace rangeio::engine {

/// A transfer that belongs to a read. The read releases it after its own end: a part that has just ended may still be
/// returning from its call.
class read_operation::running_round final : public transfer,
                                            public std::enable_shared_from_this<running_round> {
public:
    explicit running_round(std::shared_ptr<read_operation> of) noexcept : of_(std::move(of)) {}

    using transfer::abort;
    using transfer::prepare;
    using transfer::run;
    using transfer::use_units;

private:
    void transferred() noexcept override {
        const auto of = std::move(of_);
        of->round_over();
    }
    bool touch() noexcept override { return of_->touch(); }
    std::shared_ptr<transfer> self() noexcept override { return shared_from_this(); }

    std::shared_ptr<read_operation> of_;
};

read_operation::read_operation(std::shared_ptr<pool_core> pool) : pool_(std::move(pool)) {}

read_operation::read_operation(
    std::shared_ptr<pool_core> pool, std::shared_ptr<multi_range_downloader> stream
)
    : pool_(std::move(pool)), stream_(std::move(stream)) {}

read_operation::~read_operation() = default;

void read_operation::use(
    std::shared_ptr<multi_range_downloader> stream, std::shared_ptr<stream_listener> owner
) noexcept {
    stream_ = std::move(stream);
    owner_ = std::move(owner);
}

void read_operation::start() noexcept {
    if (const error_value why = guarded([this] { return check(); })) return refuse(why);
    if (stream_ == nullptr && pool_ == nullptr) return refuse(no_pool());
    if (pool_ != nullptr) object_ = pool_->info();
    if (stream_ != nullptr || object_ != nullptr) return next_round();
    if (const error_value why = guarded([this] { return plan_opening(round_); })) return refuse(why);
    if (round_.parts.size() > 1 && !pool_->shares_streams()) round_.parts.clear();
    round_.opening = !round_.parts.empty();
    wait_for_pool([this](std::shared_ptr<pool_waiter> who) {
        round_.opening ? pool_->ride(std::move(who)) : pool_->initialize(std::move(who));
    });
}

// A cancellation before the pool had the wait has had no effect there.
template <class Ask>
void read_operation::wait_for_pool(Ask ask) noexcept {
    const auto alive = std::static_pointer_cast<read_operation>(shared_from_this());
    try {
        ask(std::shared_ptr<pool_waiter>(alive, this));
    } catch (...) {
        return refuse(current_error());
    }
    error_value why;
    {
        const std::lock_guard lock(mutex_);
        why = stop_;
    }
    if (why) pool_->cancel(*this, why);
}

void read_operation::answered(const error_value& why) noexcept {
    if (why) return refuse(why);
    if (ended_ != nullptr) return opening_over();
    object_ = pool_->info();
    next_round();
}

void read_operation::granted(lease granted) noexcept {
    held_ = std::move(granted);
    const auto stream = pool_access::stream(held_);
    if (!round_.opening) stream->reopen();
    run(stream);
}

void read_operation::next_round() noexcept {
    const error_value why = guarded([this] {
        round_ = read_round();
        begun_ = false;
        return plan(round_);
    });
    if (why || round_.parts.empty()) return refuse(why);
    if (round_.after > std::chrono::nanoseconds::zero()) return wait_for_round();
    begin_round();
}

void read_operation::begin_round() noexcept {
    if (!round_.anew) return run(stream_);
    wait_for_pool([this](std::shared_ptr<pool_waiter> who) { pool_->acquire(std::move(who)); });
}

// The timer, or the cancellation, continues: whichever takes the timer away.
void read_operation::wait_for_round() noexcept {
    error_value why;
    try {
        const std::weak_ptr<tracked_operation> weak = weak_from_this();
        const auto core = runtime::core_of(pool_->executor());
        const std::lock_guard lock(mutex_);
        why = stop_;
        if (!why) {
            timer_ = core->set_timer(pool_->executor(), round_.after, [weak] {
                const auto self = std::static_pointer_cast<read_operation>(weak.lock());
                if (self != nullptr && self->end_wait()) self->begin_round();
            });
        }
    } catch (...) {
        why = current_error();
    }
    if (why) refuse(why);
}

bool read_operation::end_wait() noexcept {
    const std::lock_guard lock(mutex_);
    return std::exchange(timer_, nullptr) != nullptr;
}

void read_operation::run(const std::shared_ptr<multi_range_downloader>& stream) noexcept {
    const auto self = std::static_pointer_cast<read_operation>(shared_from_this());
    std::shared_ptr<running_round> round;
    error_value why;
    try {
        round = std::make_shared<running_round>(self);
        if (auto* const source = units()) round->use_units(*source);
        if (stream != nullptr) {
            round->prepare(stream, owner_, std::move(round_.parts));
        } else {
            round->prepare(pool_, std::move(round_.parts));
        }
    } catch (...) {
        why = current_error();
    }
    if (!why) {
        const std::lock_guard lock(mutex_);
        why = stop_;
        if (!why) running_ = round;
        begun_ = !why;
    }
    if (why) return refuse(why);
    round->run();
    requested();
}

void read_operation::round_over() noexcept {
    std::shared_ptr<running_round>
        before;  // dropped without a lock held: it may have the last reference to a stream
    {
        const std::lock_guard lock(mutex_);
        before = std::exchange(ended_, std::move(running_));
        running_ = nullptr;
    }
    if (held_ && !round_.opening) pool_->update(*pool_access::stream(held_));
    held_.release();
    if (round_.opening) return opening_over();
    if (round_.last || ended_->why()) return end_work();
    next_if_valid();
}

// A range that was refused has ended before the stream has opened: its error can be explained, or is none, once the
// object is known. Such a read costs another round trip.
void read_operation::opening_over() noexcept {
    const error_code code = ended_->why().code();
    const bool refused = code == errc::range_not_satisfiable;
    if (code == errc::stream_closed && pool_->closing()) return refuse(errc::pool_closed);
    // Bytes that arrived after a cancellation by `total` are not in the memory: nothing of them counts.
    if (code ? !refused : dropped_.load()) return end_work();
    object_ = pool_->info();
    if (object_ == nullptr) {
        return wait_for_pool([this](std::shared_ptr<pool_waiter> who) { pool_->initialize(std::move(who)); });
    }
    if (!refused) return next_if_valid();
    ended_.reset();
    next_round();
}

void read_operation::next_if_valid() noexcept {
    if (const error_value why = guarded([this] { return validate(); })) return refuse(why);
    if (round_.opening) ended_.reset();  // its parts are not those of the next plan
    if (pool_ != nullptr) object_ = pool_->info();
    next_round();
}

void read_operation::refuse(const error_value& why) noexcept {
    refused_ = why;
    round_.last = false;  // so that end() does not validate
    held_.release();
    end_work();
}

void read_operation::end_work() noexcept {
    over();
    complete();
}

void read_operation::stop(const error_value& why) noexcept {
    std::shared_ptr<running_round> round;
    std::shared_ptr<runtime::timer> timer;
    {
        const std::lock_guard lock(mutex_);
        stop_ = why;
        round = running_;
        timer = std::exchange(timer_, nullptr);
    }
    if (timer != nullptr) {
        timer->cancel();
        refuse(why);
    } else if (round != nullptr) {
        round->abort(why);
    } else if (pool_ != nullptr) {
        pool_->cancel(*this, why);
    }
}

bool read_operation::touch() noexcept {
    if (!writes_to_caller() || round_.own_memory) return true;
    auto expected = memory_state::untouched;
    if (memory_.compare_exchange_strong(expected, memory_state::touched)) return true;
    if (expected == memory_state::touched) return true;
    dropped_ = true;
    return false;
}

bool read_operation::untouched() noexcept {
    if (!writes_to_caller()) return true;
    auto expected = memory_state::untouched;
    return memory_.compare_exchange_strong(expected, memory_state::forgone) ||
           expected == memory_state::forgone;
}

std::uint64_t read_operation::received(std::size_t index) const noexcept {
    return ended_->received(index);
}

std::uint64_t read_operation::offset(std::size_t index) const noexcept {
    return ended_->offset(index);
}

bool read_operation::stopped() const noexcept {
    const std::lock_guard lock(mutex_);
    return static_cast<bool>(stop_);
}

std::shared_ptr<prefetch_unit> read_operation::fetched(std::size_t index) const noexcept {
    return ended_ == nullptr ? nullptr : ended_->fetched(index);
}

void read_operation::ask_size(read_round& round) {
    round.parts.emplace_back().range = byte_range(0, 1);
    round.parts.back().memory = &probe_;
    round.anew = true;
    round.own_memory = true;
    round.last = false;
}

error_value read_operation::validate_parts(
    byte_range asked, const range_list& parts, const object_info& object, bool allow_short, std::size_t& total
) const {
    const auto got = [this](std::size_t i) { return received(i); };
    const auto out = validate_fetch(asked, parts, got, object, allow_short);
    if (!out) return out.error();
    total = *out;
    return {};
}

std::uint64_t read_operation::prefix(const range_list& parts) const noexcept {
    if (ended_ == nullptr || !begun_ || dropped_) return 0;
    std::uint64_t out = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        out += received(i);
        if (received(i) < parts[i].length()) break;
    }
    return out;
}

std::string read_operation::subject() const {
    return pool_ == nullptr ? std::string() : pool_->object().to_string();
}

error_value read_operation::how_it_ended() noexcept {
    if (refused_) return refused_;
    if (ended_ != nullptr && ended_->why()) return ended_->why();
    if (dropped_) return make_error_code(asio::error::operation_aborted);
    if (!round_.last || ended_ == nullptr) return {};
    return guarded([this] { return validate(); });
}

error_value read_operation::end() noexcept {
    const error_value why = how_it_ended();
    if (!why) return why;
    try {
        const std::string who = subject();
        return who.empty() ? why : why.with_context(who + doing());
    } catch (...) {
        return why;
    }
}

}  // namespace rangeio::engine
