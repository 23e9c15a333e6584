#include "grpc/connections.hpp"

#include "runtime/interleave.hpp"

#include <algorithm>
#include <utility>

namespace rangeio::grpc_transport {

/// A connection, and the time of its last sign of life.
struct connections::line {
    line(fsm::connection_id number, std::shared_ptr<connection> made, fsm::time_point now)
        : id(number), to(std::move(made)), heard(now) {}

    const fsm::connection_id id;
    const std::shared_ptr<connection> to;
    std::atomic<fsm::time_point> heard;
};

class connections::call final : public bidi_call,
                                public std::enable_shared_from_this<call>,
                                private bidi_call_events {
public:
    call(std::shared_ptr<connections> owner, std::shared_ptr<bidi_call_events> events)
        : owner_(std::move(owner)), events_(std::move(events)) {}

    void start(const call_spec& spec, std::span<const fsm::wire_range> ranges) override {
        line_ = owner_->place(*this);
        try {
            const auto inner = line_->to->create(std::shared_ptr<bidi_call_events>(shared_from_this(), this));
            owner_->expect(*this, ranges);
            inner_ = inner;
            inner->start(spec, ranges);
        } catch (...) {
            inner_.reset();  // it owns this call, and will not report an end
            owner_->leave(*this);
            if (owner_->env_.watch != nullptr) owner_->env_.watch->end({});
            throw;
        }
        bool late = false;
        {
            const std::lock_guard lock(mutex_);
            started_ = true;
            late = abandoned_;
        }
        if (late) inner_->cancel();
    }

    void write(std::span<const fsm::wire_range> ranges) override {
        owner_->expect(*this, ranges);
        inner_->write(ranges);
    }

    void cancel() noexcept override { inner_->cancel(); }

    fsm::silence classify_silence(unsigned checks, unsigned excused) noexcept override {
        return owner_->classify(*this, checks, excused);
    }

    /// The connection of this call is dead. The call may not have been started yet, or may have ended.
    void abandon() noexcept {
        {
            const std::lock_guard lock(mutex_);
            abandoned_ = true;
            if (!started_) return;
        }
        inner_->cancel();
    }

    // State of the owner, under its lock.
    std::shared_ptr<line> line_;  // set by start()
    fsm::time_point began_{};
    bool counted_ = false;   // among the calls in flight
    bool answered_ = false;  // counted as answered
    // Read while messages arrive.
    std::atomic<std::int64_t> due_{0};           // bytes; negative if the service sent more than requested
    std::atomic<std::uint64_t> came_before_{0};  // on all calls, up to the last byte of this one

private:
    void on_response(const incoming& response) noexcept override {
        const auto now = owner_->env_.core->now();
        line_->heard = now;
        if (!std::exchange(responded_, true)) owner_->answered(*this);
        std::uint64_t bytes = 0;
        for (const wire::data_chunk& chunk : response.chunks) bytes += chunk.payload.size;
        if (bytes != 0) {
            due_ -= static_cast<std::int64_t>(bytes);
            owner_->came(bytes, now);
            came_before_ = owner_->came_.load();
        }
        events_->on_response(response);
    }

    void on_write_done() noexcept override { events_->on_write_done(); }

    void on_done(const call_end& end) noexcept override {
        owner_->leave(*this);
        if (owner_->env_.watch != nullptr) owner_->env_.watch->end(end.why);
        const auto events = std::move(events_);
        bool abandoned = false;
        {
            const std::lock_guard lock(mutex_);
            abandoned = abandoned_;
        }
        if (!abandoned || end.why.kind() != error_class::cancelled) return events->on_done(end);
        events->on_done(error_value(errc::stalled, "the connection gave no sign of life"));
    }

    const std::shared_ptr<connections> owner_;
    std::shared_ptr<bidi_call_events> events_;
    std::shared_ptr<bidi_call> inner_;  // set by start()
    bool responded_ = false;            // used by on_response() only, which runs once at a time
    std::mutex mutex_;
    bool started_ = false;
    bool abandoned_ = false;
};

connections::connections(environment env) : env_(std::move(env)), machine_(env_.limits) {}

connections::~connections() = default;

std::shared_ptr<bidi_call> connections::create(std::shared_ptr<bidi_call_events> events) {
    return std::make_shared<call>(shared_from_this(), std::move(events));
}

std::shared_ptr<connections::line> connections::place(call& which) {
    runtime::interleave("before a call is placed");
    std::shared_ptr<line> on;
    {
        const std::lock_guard lock(mutex_);
        if (calls_.size() == calls_.capacity()) calls_.reserve(2 * calls_.size() + 8);
        const fsm::connection_id id = machine_.place();
        try {
            auto& there = lines_[id];
            if (there == nullptr) there = std::make_shared<line>(id, env_.maker->connect(), env_.core->now());
            on = there;
        } catch (...) {
            if (machine_.ended(id, false)) lines_.erase(id);
            throw;
        }
        calls_.push_back(&which);
        which.counted_ = true;
        which.line_ = on;
        which.began_ = env_.core->now();
        which.came_before_ = came_.load();
    }
    if (env_.watch != nullptr) env_.watch->begin();
    return on;
}

void connections::answered(call& which) noexcept {
    if (env_.watch != nullptr) env_.watch->answered();
    const std::lock_guard lock(mutex_);
    which.answered_ = true;
    machine_.answered(which.line_->id);
}

void connections::leave(call& which) noexcept {
    runtime::interleave("before a call leaves its connection");
    std::shared_ptr<line> dropped;  // destroyed after the lock is released
    const std::lock_guard lock(mutex_);
    if (!std::exchange(which.counted_, false)) return;
    std::erase(calls_, &which);
    due_ -= which.due_;
    if (!machine_.ended(which.line_->id, which.answered_)) return;
    const auto it = lines_.find(which.line_->id);
    dropped = std::move(it->second);
    lines_.erase(it);
}

void connections::expect(call& which, std::span<const fsm::wire_range> ranges) noexcept {
    std::int64_t bytes = 0;
    for (const fsm::wire_range& r : ranges) bytes += r.length;
    const std::lock_guard lock(mutex_);
    if (!which.counted_) return;  // the call has ended
    which.due_ += bytes;
    if (due_.fetch_add(bytes) <= 0 && bytes > 0) machine_.busy(env_.core->now(), came_);
}

void connections::came(std::uint64_t bytes, fsm::time_point now) noexcept {
    came_ += bytes;
    const auto size = static_cast<std::int64_t>(bytes);
    const bool drained = due_.fetch_sub(size) <= size;
    // Deliveries do not wait for each other: bytes that are left out here are part of the next report.
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (lock.owns_lock()) machine_.moved(now, came_, drained);
}

// One message of each call, this one included, may have to arrive first.
fsm::connections_fsm::silent_call connections::look_at(const call& which, unsigned checks, unsigned excused)
    const {
    fsm::connections_fsm::silent_call out;
    out.on = which.line_->id;
    out.answered = which.answered_;
    out.checks = checks;
    out.excused = excused;
    out.now = env_.core->now();
    out.began = which.began_;
    out.heard = which.line_->heard;
    out.came = came_ - which.came_before_;
    for (const call* other : calls_) {
        const auto due = static_cast<std::uint64_t>(std::max<std::int64_t>(other->due_, 0));
        out.due += std::min(due, fsm::connections_fsm::message_bytes);
    }
    return out;
}

fsm::silence connections::classify(call& which, unsigned checks, unsigned excused) noexcept {
    runtime::interleave("before a silence is classified");
    fsm::connections_fsm::verdict said;
    std::vector<std::shared_ptr<call>> others;
    {
        const std::lock_guard lock(mutex_);
        if (!which.counted_) return fsm::silence::borne;  // its end is being reported
        said = machine_.silent(look_at(which, checks, excused));
        if (said.dead) {
            try {
                for (call* other : calls_) {
                    if (other != &which && other->line_ == which.line_)
                        others.push_back(other->shared_from_this());
                }
            } catch (...) {
                // The calls that are left out stall by themselves.
            }
        }
    }
    if (said.ask) ask(which.line_);
    runtime::interleave("before the calls of a dead connection are ended");
    for (const auto& other : others) other->abandon();
    return said.how;
}

void connections::ask(const std::shared_ptr<line>& whom) noexcept {
    bool possible = false;
    try {
        possible = whom->to->probe([weak = std::weak_ptr<line>(whom), core = env_.core] {
            if (const auto alive = weak.lock()) alive->heard = core->now();
        });
    } catch (...) {
        possible = false;
    }
    if (possible) return;
    const std::lock_guard lock(mutex_);
    machine_.unaskable(whom->id);
}

}  // namespace rangeio::grpc_transport
