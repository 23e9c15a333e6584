#include "grpc/mrd.hpp"

#include "checked_policy.hpp"
#include "error_text.hpp"
#include "runtime/interleave.hpp"
#include "runtime/operation.hpp"

#include <limits>
#include <optional>
#include <utility>

namespace rangeio::grpc_transport {
namespace {

using fsm::mrd_action;
using fsm::mrd_action_kind;
using fsm::mrd_actions;
using fsm::mrd_fsm;

mrd_fsm::options machine_options(const retry_policy& retry) {
    mrd_fsm::options out;
    out.retry = checked(retry);
    return out;
}

}  // namespace

mrd::mrd(environment env)
    : env_(std::move(env)),
      number_(env_.reports->number_stream()),
      machine_(machine_options(env_.retry)),
      chance_(static_cast<std::minstd_rand::result_type>(env_.seed ? env_.seed() : std::random_device()())) {}

mrd::~mrd() = default;

void mrd::open(std::shared_ptr<stream_listener> owner) {
    owner_ = std::move(owner);
    self_ = self();
    open_since_ = env_.core->now();
    if (!env_.core->enter(*this)) close(errc::shut_down);
    try {
        act_reserving([this](mrd_fsm& m, mrd_actions& out) { m.open(out, env_.source->known()); });
    } catch (...) {
        env_.core->leave(*this);
        owner_.reset();
        self_.reset();
        throw;
    }
}

std::int64_t mrd::read(std::shared_ptr<range_sink> sink) {
    const byte_range range = sink->range();
    const bool tail = sink->tail();
    std::int64_t id = 0;
    act_reserving([&, now = env_.core->now()](mrd_fsm& m, mrd_actions& out) {
        id = m.add_range(sink, range.offset(), range.length(), now, out, tail);
    });
    return id;
}

void mrd::cancel(std::int64_t read_id, const error_value& why) noexcept {
    act([&](mrd_fsm& m, mrd_actions& out) { m.cancel_range(read_id, why, out); });
}

void mrd::close(const error_value& why) noexcept {
    close_with(why ? why : error_value(errc::stream_closed), why);
}

std::uint64_t mrd::outstanding_bytes() const noexcept {
    return machine_.peek([](const mrd_fsm& m) { return m.outstanding_bytes(); });
}

bool mrd::idle() const noexcept {
    return machine_.peek([](const mrd_fsm& m) { return m.idle(); });
}

void mrd::reopen() noexcept {
    act([](mrd_fsm& m, mrd_actions& out) { m.reopen(out); });
}

void mrd::require(std::uint64_t size) noexcept {
    act([size](mrd_fsm& m, mrd_actions& out) { m.require(size, out); });
}

void mrd::on_shutdown() noexcept {
    close(errc::shut_down);
}

// The first of `rest` that names a range; the ones before it are skipped.
mrd_fsm::verdict mrd::begin_next(
    mrd_fsm& m, std::span<const wire::data_chunk>& rest, mrd_actions& out
) noexcept {
    while (!rest.empty() && !rest.front().has_read_range) rest = rest.subspan(1);
    if (rest.empty()) return {};
    const wire::data_chunk& chunk = rest.front();
    return m.begin_chunk(chunk.read_id, chunk.read_offset, chunk.payload.size, chunk.range_end, out);
}

// The end of one chunk and the begin of the next share a lock operation: these are most of the locks of a small read.
void mrd::on_response(const incoming& response) noexcept {
    // As a rule, only the first response of a call has more than chunks.
    const bool plain = response.metadata == nullptr && response.read_handle == nullptr;
    std::span<const wire::data_chunk> rest = response.chunks;
    mrd_fsm::verdict verdict;
    const bool first = machine_.feed([&](mrd_fsm& m, mrd_actions& out) {
        const bool awaited = m.awaits_response();
        if (plain && !awaited) {
            m.response(std::nullopt, out);
            verdict = begin_next(m, rest, out);
        }
        return awaited;
    });
    if (!plain || first) {
        const bool must_tell = first && !brought_handle_;
        if (const error_value unfit =
                env_.source->update(response.metadata, response.read_handle, must_tell)) {
            close_with(unfit, unfit);
            return;
        }
        take_report(response);
        machine_.feed([&](mrd_fsm& m, mrd_actions& out) { verdict = begin_next(m, rest, out); });
    }
    while (!rest.empty()) {
        const wire::data_chunk& chunk = rest.front();
        rest = rest.subspan(1);
        const mrd_fsm::verdict said = std::move(verdict);
        const error_value damage = said.accept ? copy(response, chunk, said) : said.why;
        const auto proceed = [&](mrd_fsm& m, mrd_actions& out) {
            if (said.accept) m.end_chunk(chunk.read_id, damage, out);
            verdict = begin_next(m, rest, out);
        };
        const bool unchecked = said.accept && !chunk.crc32c && chunk.payload.size != 0;
        if (rest.empty() && said.accept && !damage && !unchecked) {
            act(proceed);
            return;
        }
        machine_.feed(proceed);
        if (!said.accept || damage) report_rejected(said, chunk.payload.size, damage);
        if (unchecked && !damage) report_unchecked(said, chunk.payload.size);
    }
    drain();
}

void mrd::take_report(const incoming& response) noexcept {
    std::optional<std::uint64_t> size;
    if (const object_info* const told = response.metadata) {
        size = told->finalized ? std::numeric_limits<std::uint64_t>::max() : told->size;
    }
    const bool resumed = machine_.feed([size](mrd_fsm& m, mrd_actions& out) {
        const bool awaited = m.state() == fsm::mrd_state::reopening;
        m.response(size, out);
        return awaited;
    });
    if (resumed) {
        event what = about(event_kind::stream_resumed);
        what.time = since(call_since_);
        env_.reports->tell(what);
    }
}

// The one copy of a payload byte, and its checksum, in the same pass. No lock is held meanwhile; the machine
// keeps the range from completing. Returns the fault of the chunk, if any.
error_value mrd::copy(
    const incoming& response, const wire::data_chunk& chunk, const mrd_fsm::verdict& said
) noexcept {
    if (!chunk.crc32c && chunk.payload.size != 0 && env_.require_checksums) {
        return described(
            errc::protocol_error,
            "a chunk of {} bytes at offset {} has no checksum",
            chunk.payload.size,
            chunk.read_offset
        );
    }
    std::uint32_t crc = 0;
    std::uint64_t position = said.position;
    runtime::interleave("before bytes are copied");
    wire::for_each_run(response.message, chunk.payload, [&](wire::slice run) {
        crc = said.sink->take(position, run, crc);
        position += run.size();
    });
    runtime::interleave("after bytes were copied");
    if (!chunk.has_data || !chunk.crc32c || *chunk.crc32c == crc) return {};
    return described(
        errc::data_corrupted,
        "a chunk of {} bytes at offset {} has CRC32C {:08x}, the service sent {:08x}",
        chunk.payload.size,
        chunk.read_offset,
        crc,
        *chunk.crc32c
    );
}

void mrd::report_rejected(
    const mrd_fsm::verdict& said, std::uint64_t bytes, const error_value& why
) noexcept {
    if (!why && bytes == 0) return;  // a range_end of an abandoned range
    event what = about(why ? event_kind::rejected_chunk : event_kind::orphans_dropped);
    what.bytes = bytes;
    if (why) what.range = {said.offset, said.length};
    what.why = why;
    env_.reports->tell(what);
}

void mrd::report_unchecked(const mrd_fsm::verdict& said, std::uint64_t bytes) noexcept {
    event what = about(event_kind::unchecked_chunk);
    what.bytes = bytes;
    what.range = {said.offset, said.length};
    env_.reports->tell(what);
}

void mrd::on_write_done() noexcept {
    act([](mrd_fsm& m, mrd_actions& out) { m.write_done(out); });
}

void mrd::on_done(const call_end& end) noexcept {
    if (end.redirect) {
        if (const error_value why = env_.source->redirect(*end.redirect)) {
            machine_.feed([&](mrd_fsm& m, mrd_actions& out) { m.close(why, why, out); });
        }
    }
    const error_value why = env_.source->explain(end.why);
    act([&](mrd_fsm& m, mrd_actions& out) {
        m.call_ended(
            {why, end.redirect.has_value(), end.range_errors, end.unconnected, end.unreadable},
            env_.core->now(),
            out
        );
    });
}

void mrd::close_with(const error_value& ranges, const error_value& stream) noexcept {
    act([&](mrd_fsm& m, mrd_actions& out) { m.close(ranges, stream, out); });
}

template <class Event>
void mrd::act(Event&& event) noexcept {
    const auto alive = shared_from_this();
    const runtime::completion_batch batch;
    machine_.act(event, [this](mrd_action& action) { perform(action); });
}

template <class Event>
void mrd::act_reserving(Event&& event) {
    const auto alive = shared_from_this();
    const runtime::completion_batch batch;
    machine_.act_reserving(event, [this](mrd_action& action) { perform(action); });
}

void mrd::drain() noexcept {
    const auto alive = shared_from_this();
    const runtime::completion_batch batch;
    machine_.drain([this](mrd_action& action) { perform(action); });
}

void mrd::perform(mrd_action& action) noexcept {
    switch (action.kind) {
        case mrd_action_kind::start_call: start_call(action); break;
        case mrd_action_kind::write: send_message(); break;
        case mrd_action_kind::cancel_call:
            report_call(action);
            if (call_ != nullptr) call_->cancel();
            break;
        case mrd_action_kind::call_over: report_call(action); break;
        case mrd_action_kind::wait: {
            const auto over = [timer = action.timer](mrd_fsm& m, mrd_actions& out) {
                m.wait_over(timer, out);
            };
            action.delay = action.at_least + jittered(action.delay);
            report_call(action);
            if (!set_timer(wait_timer_, action.delay, over)) machine_.feed(over);
            break;
        }
        case mrd_action_kind::set_stall_timer: {
            const auto check = [timer = action.timer](mrd_fsm& m, mrd_actions& out) {
                m.check_stall(timer, out);
            };
            if (set_timer(stall_timer_, action.delay, check)) break;
            machine_.feed([&](mrd_fsm& m, mrd_actions& out) { m.stall_timer_failed(action.timer, out); });
            break;
        }
        case mrd_action_kind::classify_silence: {
            if (call_ == nullptr) break;  // the call could not be started
            const auto how = call_->classify_silence(action.checks, action.excused);
            machine_.feed([&](mrd_fsm& m, mrd_actions& out) { m.silence_classified(action.timer, how, out); }
            );
            break;
        }
        case mrd_action_kind::cancel_wait: wait_timer_.reset(); break;
        case mrd_action_kind::cancel_stall_timer: stall_timer_.reset(); break;
        case mrd_action_kind::opened:
            open_timer_.reset();
            report_call(action);
            owner_->opened(env_.source->info());
            break;
        case mrd_action_kind::reconnecting: owner_->reconnecting(); break;
        case mrd_action_kind::reconnected: owner_->reconnected(); break;
        case mrd_action_kind::complete: {
            if (action.refused) report_answer(action);
            const auto sink = std::move(action.sink);
            sink->done({std::move(action.why), action.received, action.offset});
            break;
        }
        case mrd_action_kind::ended: {
            drop_timers();
            call_.reset();
            report_call(action);
            const auto alive = std::move(self_);
            const auto owner = std::move(owner_);
            if (owner != nullptr) owner->ended(action.why);
            env_.core->leave(*this);
            break;
        }
    }
}

// Events of a call as a whole are reported here, in the order of the machine's decisions.
void mrd::report_call(const mrd_action& action) noexcept {
    const auto kind = action.event();
    if (!kind) return;
    event what = about(*kind);
    what.why = action.why;
    what.attempt = action.attempt;
    what.time = action.delay;
    if (*kind == event_kind::stream_retired) what.bytes = action.received;
    if (*kind == event_kind::stream_stalled)
        what.time = action.checks * env_.retry.stall_timeout() / fsm::checks_per_stall;
    if (*kind == event_kind::stream_opened) what.time = since(open_since_);
    env_.reports->tell(what);
}

void mrd::report_answer(const mrd_action& action) noexcept {
    event what = about(event_kind::range_refused);
    what.range = action.sink->range();
    what.why = action.why;
    env_.reports->tell(what);
}

event mrd::about(event_kind what) const noexcept {
    event out(what, env_.source->object());
    out.stream = number_;
    return out;
}

void mrd::start_call(const mrd_action& action) noexcept {
    call_.reset();
    if (action.first && env_.open_timeout > std::chrono::nanoseconds::zero()) {
        // The limit covers all calls of the opening, and the waits between them.
        const auto late = [](mrd_fsm& m, mrd_actions& out) {
            if (m.has_opened()) return;
            error_value why = described(errc::timed_out, "the stream did not open in time");
            // A status from the service explains more than the limit, so it leads the text.
            if (m.last_error().kind() != error_class::none) {
                why = remarked(m.last_error(), "the stream did not open in time");
            } else if (m.last_error()) {
                why = remarked(why, "{}", m.last_error().message());
            }
            m.close(why, why, out);
        };
        if (!set_timer(open_timer_, env_.open_timeout, late)) {
            const error_value why = make_error_code(boost::system::errc::not_enough_memory);
            machine_.feed([&](mrd_fsm& m, mrd_actions& out) { m.close(why, why, out); });
        }
    }
    if (!machine_.feed([](mrd_fsm& m, mrd_actions& out) { return m.begin_call(out); })) return;
    report_call(action);
    call_since_ = env_.core->now();
    try {
        call_ = env_.connector->create(std::shared_ptr<bidi_call_events>(self(), this));
        const bool anew = machine_.peek([](const mrd_fsm& m) { return m.call_is_new(); });
        const call_spec spec = env_.source->spec(anew);
        brought_handle_ = !spec.read_handle.empty();
        call_->start(spec, machine_.peek([](const mrd_fsm& m) { return std::span(m.message()); }));
    } catch (...) {
        // A call that was not started does not report its end.
        call_.reset();
        on_done(error_value(make_error_code(boost::system::errc::not_enough_memory)));
    }
}

void mrd::send_message() noexcept {
    using ranges = std::optional<std::span<const fsm::wire_range>>;
    const auto message = machine_.feed([](mrd_fsm& m, mrd_actions&) {
        return m.begin_write() ? ranges(m.message()) : ranges();
    });
    if (!message) return;
    try {
        call_->write(*message);
    } catch (...) {
        machine_.feed([](mrd_fsm& m, mrd_actions& out) { m.out_of_memory(out); });
    }
}

template <class Event>
bool mrd::set_timer(
    std::shared_ptr<runtime::timer>& timer, std::chrono::nanoseconds delay, Event event
) noexcept {
    try {
        const std::weak_ptr<mrd> weak = self();
        timer = env_.core->set_timer(env_.executor, delay, [weak, event] {
            const auto alive = weak.lock();
            if (alive == nullptr) return;
            alive->act(event);
        });
        return true;
    } catch (...) {
        return false;
    }
}

void mrd::drop_timers() noexcept {
    open_timer_.reset();
    wait_timer_.reset();
    stall_timer_.reset();
}

// Full jitter: streams that broke at the same time do not reconnect at the same time.
std::chrono::nanoseconds mrd::jittered(std::chrono::nanoseconds bound) {
    using count = std::chrono::nanoseconds::rep;
    return std::chrono::nanoseconds(std::uniform_int_distribution<count>(0, bound.count())(chance_));
}

}  // namespace rangeio::grpc_transport
