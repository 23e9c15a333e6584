#include "emulator/calls/read_stream.hpp"
#include "emulator/protocol/read_handle.hpp"
#include "emulator/store/object_names.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace rangeio::emulator {
namespace {

using testing::fault;
using testing::fault_kind;

// The limit of a message, whatever number of chunks the script asks for: it must fit into memory, and its length into
// 32 bits.
constexpr std::uint64_t max_batch_bytes = std::uint64_t{64} << 20;
// Flipped in an id to get an unused one.
constexpr std::int64_t stray_id = std::int64_t{1} << 61;

std::int64_t clamped(std::uint64_t bytes) noexcept {
    return static_cast<std::int64_t>(
        std::min<std::uint64_t>(bytes, static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    );
}

}  // namespace

const fault* read_stream::strike(fault_kind kind, const active_range* range) {
    if (range == nullptr) return faults_->strike(kind);
    return faults_->strike(kind, range->number, static_cast<std::uint64_t>(range->offset - range->begin));
}

read_stream::step read_stream::wait(std::chrono::nanoseconds delay) {
    waiting_ = true;
    return wait_step{delay};
}

read_stream::step read_stream::end(status how) {
    fail(std::move(how));
    return finish_step{*end_, goaway_};
}

void read_stream::waited() {
    if (idle_ && !waiting_) {
        fail({status_code::aborted, "the stream was idle", {}});
    }
    waiting_ = false;
}

// The message for a rejected range; empty: that of the call.
std::string read_stream::text_of_range_error(const std::string& text) {
    const fault* const f = strike(fault_kind::long_details);
    if (f == nullptr) return {};
    std::string out = text;
    out.resize(static_cast<std::size_t>(f->bytes), '.');
    return out;
}

// A finalized object never was smaller.
object_ptr read_stream::faulty_object(object_ptr object) {
    const fault* const f = object->finalized() ? nullptr : strike(fault_kind::old_size);
    if (f == nullptr) return object;
    aged_ = true;
    return object->before(clamped(f->bytes));
}

// The step that precedes or replaces the next response.
std::optional<read_stream::step> read_stream::faulty_step() {
    if (waiting_ || cut_off_) return wait_step{};
    if (!std::exchange(considered_.slow_link, true)) {
        if (const fault* f = strike(fault_kind::slow_link)) return connection_step{f};
    }
    if (held_) return *std::exchange(held_, std::nullopt);
    if (opening_due_) {
        if (auto instead = faulty_opening()) return instead;
    }
    if (auto instead = faulty_end()) return instead;
    if (!afterwards_.empty()) {
        send_step send;
        send.data = std::move(afterwards_.front());
        afterwards_.pop_front();
        return send;
    }
    if (ranges_.empty()) return opening_due_ ? std::nullopt : faulty_idleness();

    const active_range& range = ranges_.front();
    if (!std::exchange(considered_.change, true)) {
        change_step change;
        change.replace = strike(fault_kind::new_generation, &range) != nullptr;
        // A finalized object does not grow.
        const fault* f = range.object->finalized() ? nullptr : strike(fault_kind::grow, &range);
        if (f != nullptr) change.grow_bytes = clamped(f->bytes);
        if (change.replace || change.grow_bytes != 0) return change;
    }
    if (!std::exchange(considered_.latency, true)) {
        if (const fault* f = strike(fault_kind::latency, &range)) return wait(f->delay);
    }
    return std::nullopt;
}

std::optional<read_stream::step> read_stream::faulty_opening() {
    if (hung_ || strike(fault_kind::hang_open) != nullptr) {
        hung_ = true;
        return wait_step{};
    }
    if (!std::exchange(considered_.slow_open, true)) {
        if (const fault* f = strike(fault_kind::slow_open)) return wait(f->delay);
    }
    if (!std::exchange(considered_.fail_open, true)) {
        if (const fault* f = strike(fault_kind::fail_open)) {
            return end(status_of(*f, "the open was refused"));
        }
    }
    return std::nullopt;
}

std::optional<read_stream::step> read_stream::faulty_end() {
    const active_range* range = ranges_.empty() ? nullptr : &ranges_.front();
    if (const fault* f = strike(fault_kind::reset, range)) return end(status_of(*f, "the stream broke"));
    if (strike(fault_kind::goaway, range) != nullptr) {
        goaway_ = true;
        return end({status_code::unavailable, "the server shuts down", {}});
    }
    for (const fault_kind kind :
         {fault_kind::silent_connection, fault_kind::too_many_pings, fault_kind::outage}) {
        const fault* const f = strike(kind, range);
        if (f == nullptr) continue;
        cut_off_ = true;
        return connection_step{f};
    }
    if (const fault* f = strike(fault_kind::redirect, range)) {
        constexpr auto code = status_code::aborted;
        constexpr const char* text = "look elsewhere";
        std::string handle;
        if (f->handle) {
            handle = make_read_handle(bucket_, spec_.object(), object_->generation(), faults_->next_handle());
        }
        faults_->redirected(display_name(bucket_, spec_.object()), f->token, handle);
        return end({code, text, encode_redirect(static_cast<int>(code), text, f->token, handle)});
    }
    if (range == nullptr) return std::nullopt;
    if (const fault* f = strike(fault_kind::range_error, range)) {
        constexpr const char* text = "a range is refused";
        const std::string each = text_of_range_error(text);
        return end(
            {static_cast<status_code>(f->status),
             text,
             encode_range_errors(f->status, text, {{range->read_id}}, each)}
        );
    }
    if (strike(fault_kind::ok_early, range) != nullptr) return end({});
    return std::nullopt;
}

std::optional<read_stream::step> read_stream::faulty_idleness() {
    // Ranges that are never answered keep the call open, as any range does.
    if (mute_ranges_ != 0) return wait_step{};
    if (half_closed_ || !idle_limit_) return std::nullopt;
    if (std::exchange(idle_, true)) return wait_step{};
    return wait_step{*idle_limit_};
}

read_stream::step read_stream::faulty_send() {
    send_step send;
    if (std::exchange(opening_due_, false)) {
        send.opening = object_;
        const fault* const without = spec_.has_read_handle()
                                         ? strike(fault_kind::no_metadata)
                                         : faults_->strike_if_named(fault_kind::no_metadata);
        send.no_metadata = without != nullptr;
        if (!send.no_metadata) {
            send.no_generation = strike(fault_kind::no_generation) != nullptr;
            send.wild_timestamps = strike(fault_kind::wild_timestamp) != nullptr;
        }
    }
    const std::uint64_t before = faults_->bytes_sent();
    if (!ranges_.empty()) {
        const fault* batch = strike(fault_kind::batch);
        std::uint64_t chunks = batch != nullptr ? batch->bytes : 1;
        // Ranges take turns, so this number of chunks is from as many ranges.
        if (batch != nullptr && batch->distinct) chunks = std::min<std::uint64_t>(chunks, ranges_.size());
        for (; chunks != 0 && !ranges_.empty() && faults_->bytes_sent() - before < max_batch_bytes;
             --chunks) {
            add_faulty_chunk(send);
        }
    }
    const std::uint64_t bytes = faults_->bytes_sent() - before;
    considered_.change = considered_.latency = false;
    if (!send.opening && !send.data) {
        if (half_closed_) return finish_step{};
        return wait_step{};
    }
    // Never `more`: the next step may be a wait, and chunks must not be delayed for that long.
    if (bytes_per_second_ != 0 && bytes != 0) {
        held_ = std::move(send);
        const std::uint64_t delay = bytes * 1'000'000'000 / bytes_per_second_;
        return wait(std::chrono::nanoseconds(std::max<std::uint64_t>(delay, 1)));
    }
    return send;
}

void read_stream::add_faulty_chunk(send_step& send) {
    active_range range = std::move(ranges_.front());
    ranges_.pop_front();
    // All faults of a chunk strike at its first byte.
    const auto begins_at = static_cast<std::uint64_t>(range.offset - range.begin);
    const auto strikes = [&](fault_kind kind) { return faults_->strike(kind, range.number, begins_at); };
    const auto append = [&](const bidi_response::range_data& data) {
        if (!send.data) {
            send.data = data;
        } else {
            send.more_data.push_back(data);
        }
    };

    std::int64_t most = settings_.max_chunk_bytes;
    if (const fault* f = strikes(fault_kind::chunk)) most = std::min(most, clamped(f->bytes));
    most = std::min(most, clamped(faults_->room_before_fault(range.number, begins_at)));
    bidi_response::range_data data = take_chunk(range, most);
    send.due = std::max(send.due, range.due);
    const bool over = data.range_end;

    bidi_response::range_data closing;
    closing.object = data.object;
    closing.read_id = data.read_id;
    closing.offset = range.end;
    bool cut = false;
    if (over && data.length != 0) {
        if (const fault* f = strikes(fault_kind::short_end)) {
            data.length -= std::min(data.length, clamped(f->bytes));
            cut = true;
        }
    }
    // A range that ends early does get its end: without one it would be a range that is never answered, which is a
    // fault of its own.
    if (over && !cut) {
        if (const fault* f = strikes(fault_kind::surplus)) data.surplus = clamped(f->bytes);
        if (strikes(fault_kind::no_range_end) != nullptr) data.range_end = false;
        if (strikes(fault_kind::empty_range_end) != nullptr) {
            data.range_end = false;
            closing.range_end = true;
            afterwards_.push_back(closing);
        }
        if (strikes(fault_kind::double_range_end) != nullptr) {
            closing.range_end = true;
            afterwards_.push_back(closing);
        }
        if (strikes(fault_kind::late_id) != nullptr) {
            closing.range_end = false;
            afterwards_.push_back(closing);
        }
    }
    if (const fault* f = strikes(fault_kind::wrong_offset)) {
        data.displacement =
            std::min(clamped(f->bytes), std::numeric_limits<std::int64_t>::max() - data.offset);
    }
    data.damaged = data.length != 0 && strikes(fault_kind::bad_checksum) != nullptr;
    data.unchecked = data.length != 0 && strikes(fault_kind::no_checksum) != nullptr;
    if (const fault* f = strikes(fault_kind::giant_message)) send.padding = f->bytes;
    if (const fault* f = strikes(fault_kind::empty_chunks)) send.empty_chunks = f->bytes;
    if (strikes(fault_kind::new_handle) != nullptr) send.new_handle = faults_->next_handle();
    const bool again = strikes(fault_kind::repeat) != nullptr;
    if (strikes(fault_kind::unknown_id) != nullptr) {
        bidi_response::range_data stray = data;
        stray.read_id ^= stray_id;
        append(stray);
    }
    append(data);
    if (again) append(data);
    if (!over) ranges_.push_back(std::move(range));
    faults_->sent(data.length);
}

}  // namespace rangeio::emulator
