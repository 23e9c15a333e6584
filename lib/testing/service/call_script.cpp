#include "testing/service/call_script.hpp"

#include "grpc/limits.hpp"
#include "status_numbers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace rangeio::testing {
namespace {

// The default of client_options::max_message_bytes.
constexpr std::uint64_t usual_message_bytes = std::uint64_t{64} << 20;

}  // namespace

object_info service_state::info(std::int64_t of_generation, std::uint64_t of_size) const {
    object_info out;
    out.bucket = object.bucket();
    out.name = object.name();
    out.generation = of_generation;
    out.size = of_size;
    out.finalized = finalized;
    return out;
}

std::string service_state::complaint_of(std::string_view token) const {
    if (token == expected_token || std::ranges::find(outgoing_tokens, token) != outgoing_tokens.end())
        return {};
    return fmt::format("a call carries the routing token \"{}\" instead of \"{}\"", token, expected_token);
}

service_state::time_point service_state::reserve_link(
    time_point now, std::uint64_t bytes, std::uint64_t bytes_per_second
) {
    link_free_at = std::max(link_free_at, now);
    if (bytes_per_second != 0) {
        const std::uint64_t rounded_up = bytes * 1'000'000'000 + bytes_per_second - 1;
        link_free_at += std::chrono::nanoseconds(rounded_up / bytes_per_second);
    }
    return link_free_at;
}

call_script::call_script(service_state& service, std::uint64_t number, bool has_handle, std::int64_t pinned)
    : service_(service),
      number_(number),
      has_handle_(has_handle),
      generation_(service.generation),
      size_(service.size),
      replaced_(pinned != 0 && pinned != service.generation) {
    if (const fault* f = strike(fault_kind::bandwidth)) bytes_per_second_ = f->bytes;
    if (const fault* f = strike(fault_kind::idle_abort)) idle_after_ = f->delay;
    if (const fault* f = strike(fault_kind::slow_link)) service_.link_bytes_per_second = f->bytes;
    if (const fault* f = strike(fault_kind::max_streams)) service_.max_streams = f->bytes;
    // A finalized object was never smaller.
    const fault* const old = service_.finalized ? nullptr : strike(fault_kind::old_size);
    if (old != nullptr) size_ -= std::min(size_, old->bytes);
}

armed_faults::place call_script::place_of(const range* r) const {
    if (r == nullptr) return {number_, 0, sent_, 0};
    return {number_, r->number, sent_, r->at - r->begin};
}

const fault* call_script::strike(fault_kind kind, const range* r) {
    return service_.faults.strike(kind, place_of(r));
}

void call_script::ask(std::int64_t read_id, std::uint64_t offset, std::uint64_t length) {
    if (length == 0) complaint_ = fmt::format("range {} has length 0, which means to the end", read_id);
    if (std::ranges::find(ranges_, read_id, &range::read_id) != ranges_.end()) {
        complaint_ = fmt::format("range {} is requested twice", read_id);
    }
    waited_ = waited_ && !answered_;
    range r;
    r.number = ++asked_;
    r.read_id = read_id;
    // A negative offset counts from the end.
    const std::uint64_t from_end = std::uint64_t{0} - offset;
    if (static_cast<std::int64_t>(offset) < 0) offset = size_ - std::min(size_, from_end);
    if (offset > size_) beyond_.push_back(read_id);
    r.begin = r.at = std::min(offset, size_);
    r.end = std::min(r.begin + std::min(length, size_), size_);
    r.mute = strike(fault_kind::mute, &r) != nullptr;
    ranges_.push_back(r);
}

call_script::step call_script::finish(ending how) {
    over_ = true;
    step out;
    out.end = std::move(how);
    return out;
}

call_script::step call_script::refuse(const char* why) {
    ending how;
    how.refused = error_value(errc::protocol_error, why);
    return finish(std::move(how));
}

// The step in place of the first response, or none.
std::optional<call_script::step> call_script::open() {
    if (hung_ || strike(fault_kind::hang_open) != nullptr) {
        hung_ = true;
        return step{};
    }
    if (open_delay_.count() < 0) {
        const fault* f = strike(fault_kind::slow_open);
        open_delay_ = f != nullptr ? f->delay : std::chrono::nanoseconds(0);
    }
    if (open_delay_.count() > 0 && !waited_) {
        step out;
        out.delay = open_delay_;
        return out;
    }
    open_delay_ = {};
    waited_ = false;
    if (replaced_)
        return finish({status_number::not_found, "the object has another generation by now", {}, {}});
    if (const fault* f = strike(fault_kind::fail_open)) {
        return finish({f->status, "the open was refused", {}, {}, false, {}, f->retry_after});
    }
    return std::nullopt;
}

// The step that ends the call before anything more of `r` (or of anything, if null) is sent.
std::optional<call_script::step> call_script::end_instead(const range* r) {
    const auto strikes = [&](fault_kind kind) { return strike(kind, r); };
    if (const fault* f = strikes(fault_kind::reset))
        return finish({f->status, "the stream broke", {}, {}, false, {}, f->retry_after});
    if (strikes(fault_kind::goaway) != nullptr)
        return finish({status_number::unavailable, "the server shuts down", {}, {}});
    for (const fault_kind kind :
         {fault_kind::silent_connection, fault_kind::too_many_pings, fault_kind::outage}) {
        const fault* const f = strikes(kind);
        if (f == nullptr) continue;
        over_ = true;
        step out;
        out.connection = f;
        return out;
    }
    if (const fault* f = strikes(fault_kind::redirect)) {
        return finish({status_number::aborted, "look elsewhere", redirection{f->token, f->handle}, {}});
    }
    if (r == nullptr) return std::nullopt;
    if (const fault* f = strikes(fault_kind::range_error)) {
        strike(fault_kind::long_details);  // no limit applies to their length here
        return finish({f->status, "a range is refused", {}, {r->read_id}});
    }
    if (const fault* f = strikes(fault_kind::giant_message); f != nullptr && f->bytes > usual_message_bytes) {
        return refuse("the message is too large");
    }
    if (const fault* f = strikes(fault_kind::empty_chunks);
        f != nullptr && f->bytes > grpc_transport::max_chunks) {
        return refuse("the message has too many pieces");
    }
    if (strikes(fault_kind::ok_early) != nullptr) return finish({});
    return std::nullopt;
}

void call_script::take_chunk(response& out) {
    range r = ranges_.front();
    ranges_.pop_front();
    // The place where the chunk begins, for all faults that it meets.
    const armed_faults::place here = place_of(&r);
    const auto strikes = [&](fault_kind kind) { return service_.faults.strike(kind, here); };

    chunk c;
    c.read_id = r.read_id;
    c.offset = static_cast<std::int64_t>(r.at);
    c.source = r.at;
    std::uint64_t most = service_.max_chunk_bytes;
    if (const fault* f = strikes(fault_kind::chunk)) most = std::min(most, f->bytes);
    most = std::min(most, service_.faults.room_before_fault(here));
    c.size = std::min(most, r.end - r.at);
    r.at += c.size;
    sent_ += c.size;
    const bool over = r.at == r.end;
    bool cut = false;
    c.range_end = over;
    if (over && c.size != 0) {
        if (const fault* f = strikes(fault_kind::short_end)) {
            c.size -= std::min(c.size, f->bytes);
            cut = true;
        }
    }
    // A range with a short end does end: a range that is never answered is a fault of its own.
    if (over && !cut) {
        if (const fault* f = strikes(fault_kind::surplus)) c.size += f->bytes;
        if (strikes(fault_kind::no_range_end) != nullptr) c.range_end = false;
        const auto send_later = [&](bool range_end) {
            chunk empty;
            empty.read_id = r.read_id;
            empty.offset = static_cast<std::int64_t>(r.end);
            empty.range_end = range_end;
            afterwards_.push_back(empty);
        };
        if (strikes(fault_kind::empty_range_end) != nullptr) {
            c.range_end = false;
            send_later(true);
        }
        if (strikes(fault_kind::double_range_end) != nullptr) send_later(true);
        if (strikes(fault_kind::late_id) != nullptr) send_later(false);
    }
    if (const fault* f = strikes(fault_kind::wrong_offset)) c.offset += static_cast<std::int64_t>(f->bytes);
    c.damaged = c.size != 0 && strikes(fault_kind::bad_checksum) != nullptr;
    c.unchecked = c.size != 0 && strikes(fault_kind::no_checksum) != nullptr;
    if (strikes(fault_kind::new_handle) != nullptr) {
        out.handle = true;
        ++service_.handles;
    }
    if (strikes(fault_kind::unknown_id) != nullptr) {
        chunk stray = c;
        stray.read_id = 1'000'000 + c.read_id;
        out.chunks.push_back(stray);
    }
    out.chunks.push_back(c);
    if (strikes(fault_kind::repeat) != nullptr) out.chunks.push_back(c);
    if (!over) ranges_.push_back(r);
}

call_script::step call_script::next() {
    if (over_) return {};
    if (!beyond_.empty() && !replaced_) {
        return finish({status_number::out_of_range, "a range begins behind the end", {}, beyond_});
    }
    if (!answered_) {
        if (auto instead = open()) return *std::move(instead);
    }
    // Ranges that are never answered lose their turns.
    for (std::size_t i = 0; i < ranges_.size() && ranges_.front().mute; ++i) {
        ranges_.push_back(ranges_.front());
        ranges_.pop_front();
    }
    const bool served = !ranges_.empty() && !ranges_.front().mute;
    if (auto instead = end_instead(served ? &ranges_.front() : nullptr)) return *std::move(instead);
    step out;
    response reply;
    if (!afterwards_.empty()) {
        reply.chunks.push_back(afterwards_.front());
        afterwards_.pop_front();
        out.send = std::move(reply);
        return out;
    }
    if (!answered_) {
        armed_faults::place here = place_of(nullptr);
        here.named_only = !has_handle_;
        reply.metadata = service_.faults.strike(fault_kind::no_metadata, here) == nullptr;
        reply.generation = !reply.metadata || strike(fault_kind::no_generation) == nullptr;
        if (reply.metadata) strike(fault_kind::wild_timestamp);  // without effect: there is no codec here
        reply.handle = true;
        ++service_.handles;
    } else if (!served) {
        if (!ranges_.empty() || !idle_after_) return out;
        if (waited_) return finish({status_number::aborted, "the stream was idle", {}, {}});
        out.delay = *idle_after_;
        return out;
    }
    answered_ = true;
    if (served) {
        const range* r = &ranges_.front();
        if (const fault* f = strike(fault_kind::latency, r)) out.delay = f->delay;
        if (strike(fault_kind::new_generation, r) != nullptr) ++service_.generation;
        const fault* const more = service_.finalized ? nullptr : strike(fault_kind::grow, r);
        if (more != nullptr) service_.size += more->bytes;
        std::uint64_t chunks = 1;
        if (const fault* f = strike(fault_kind::batch)) {
            chunks = f->distinct ? std::min<std::uint64_t>(f->bytes, ranges_.size()) : f->bytes;
        }
        const std::uint64_t before = sent_;
        for (; chunks != 0 && !ranges_.empty() && !ranges_.front().mute; --chunks) take_chunk(reply);
        if (bytes_per_second_ != 0) {
            out.delay += std::chrono::nanoseconds((sent_ - before) * 1'000'000'000 / bytes_per_second_);
        }
    }
    out.send = std::move(reply);
    return out;
}

}  // namespace rangeio::testing
