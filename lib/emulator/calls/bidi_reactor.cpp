#include "emulator/calls/bidi_reactor.hpp"

#include "emulator/protocol/grpc_bytes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <variant>

namespace rangeio::emulator {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t max_gathered_bytes = std::size_t{16} << 10;
// Above this cost of the messages that are on their way, no other is read. Enough for 4000 messages of one range.
constexpr std::size_t max_arrivals_cost = std::size_t{1} << 20;
// Of a message without content.
constexpr std::size_t least_cost = 256;
// The limit of a delay, so that it has an end on the clock.
constexpr std::chrono::nanoseconds max_delay = std::chrono::hours(24 * 365);

class unlocked {
public:
    explicit unlocked(std::unique_lock<std::mutex>& lock) : lock_(lock) { lock_.unlock(); }
    ~unlocked() { lock_.lock(); }
    unlocked(const unlocked&) = delete;
    unlocked& operator=(const unlocked&) = delete;

private:
    std::unique_lock<std::mutex>& lock_;
};

std::optional<call_faults> faults_of(service& shared) {
    if (shared.faults() == nullptr) return std::nullopt;
    return call_faults(*shared.faults());
}

// gRPC formats the peer as ipv4:127.0.0.1:50051.
std::uint16_t port_of(std::string_view peer) {
    std::uint16_t out = 0;
    const std::string_view digits = peer.substr(peer.rfind(':') + 1);
    std::from_chars(digits.data(), digits.data() + digits.size(), out);
    return out;
}

}  // namespace

bidi_reactor::bidi_reactor(
    service& shared, open_calls& calls, rpc_counters& counters, grpc::GenericCallbackServerContext& context
)
    : call_reactor(shared, calls, counters, context),
      peer_port_(port_of(context.peer())),
      stream_(
          shared.store(), {shared.strict(), shared.max_chunk_bytes()}, info().params(), faults_of(shared)
      ),
      timer_(shared.timers()) {}

void bidi_reactor::start() {
    lock held(mutex_);
    read();
}

void bidi_reactor::read() {
    if (!reading_ && !finished_ && stream_.wants_message() && arrivals_cost_ < max_arrivals_cost) {
        reading_ = true;
        StartRead(&request_);
    }
}

void bidi_reactor::OnReadDone(bool ok) noexcept {
    lock held(mutex_);
    // Nothing is read after the half-close.
    reading_ = !ok;
    if (ok) ++counters().requests;
    const status how = outcome_of([&] { arrive(ok ? std::optional(request_) : std::nullopt); });
    request_.Clear();
    if (!how.ok()) {
        stream_.fail(how);
    }
    pump(held);
}

void bidi_reactor::arrive(std::optional<grpc::ByteBuffer> message) {
    const std::size_t cost = least_cost + (message ? message->Length() : 0);
    arrivals_.push_back({shared().link().due(steady_clock::now()), std::move(message), cost});
    arrivals_cost_ += cost;
}

void bidi_reactor::deliver() noexcept {
    const time_point now = steady_clock::now();
    while (!arrivals_.empty() && arrivals_.front().due <= now && stream_.wants_message()) {
        const arrival first = std::move(arrivals_.front());
        arrivals_.pop_front();
        arrivals_cost_ -= first.cost;
        if (!first.message) {
            stream_.on_half_close();
            continue;
        }
        const status how = outcome_of([&] {
            const contiguous_message message(*first.message);
            const std::size_t ranges = stream_.on_message(message.view(), first.due);
            shared().counters().ranges_requested += ranges;
            info().asks_for(fmt::format("{}: {} ranges", stream_.name(), ranges));
        });
        if (!how.ok()) {
            stream_.fail(how);
        }
    }
}

void bidi_reactor::OnWriteDone(bool ok) noexcept {
    lock held(mutex_);
    drop_response();
    if (!ok) {
        stream_.fail({status_code::cancelled, "the client has disconnected", {}});
    }
    pump(held);
}

void bidi_reactor::OnCancel() noexcept {
    abandon({status_code::cancelled, "the call was cancelled", {}});
}

void bidi_reactor::shut_down() noexcept {
    abandon({status_code::unavailable, "the server shuts down", {}});
}

void bidi_reactor::abandon(status why) noexcept {
    lock held(mutex_);
    abandoned_ = true;
    stream_.fail(std::move(why));
    if (write_at_) drop_response();
    pump(held);
}

void bidi_reactor::due() noexcept {
    lock held(mutex_);
    const time_point now = steady_clock::now();
    if (write_at_ && *write_at_ <= now) {
        write();
    }
    if (waited_at_ && *waited_at_ <= now) {
        ready_ = std::max(ready_, *waited_at_);
        waited_at_.reset();
        stream_.waited();
    }
    pump(held);
}

void bidi_reactor::pump(lock& held) noexcept {
    deliver();
    bool more = true;
    while (more && !busy_ && !finished_) {
        const status how = outcome_of([&] { more = do_step(held); });
        if (!how.ok()) {
            busy_ = false;
            stream_.fail(how);
        }
    }
    // The queue may have become short enough for another message.
    read();
    set_timer();
}

bool bidi_reactor::do_step(lock& held) {
    const read_stream::step next = stream_.next();
    if (const auto* wait = std::get_if<read_stream::wait_step>(&next)) {
        if (wait->delay.count() != 0) waited_at_ = steady_clock::now() + std::min(wait->delay, max_delay);
        return false;
    }
    waited_at_.reset();
    if (const auto* send = std::get_if<read_stream::send_step>(&next)) {
        perform(*send, held);
    } else if (const auto* checksum = std::get_if<read_stream::checksum_step>(&next)) {
        perform(*checksum);
    } else if (const auto* change = std::get_if<read_stream::change_step>(&next)) {
        perform(*change);
    } else if (const auto* connection = std::get_if<read_stream::connection_step>(&next)) {
        shared().strike_connection(*connection->what, peer_port_);
    } else if (const auto* last = std::get_if<read_stream::finish_step>(&next)) {
        goaway_ = last->goaway;
        finish(last->how);
        finished_ = true;
    }
    return true;
}

void bidi_reactor::perform(const read_stream::send_step& send, lock& held) {
    busy_ = true;
    {
        // Copying the bytes takes time; the lock is released so that messages are received meanwhile.
        const unlocked released(held);
        response_.message = to_byte_buffer(stream_.encode(send));
    }
    if (send.data) {
        response_.count(*send.data);
        for (const bidi_response::range_data& data : send.more_data) response_.count(data);
    }
    shaped_link& link = shared().link();
    // Small chunks with more to follow gather in the transport's buffer; the next write or the end of the call flushes
    // it. Not the first response: gRPC 1.51 delays a hinted message together with the initial metadata. Not if the next
    // write has to wait for the link.
    if (send.more && !send.opening && !link.has_bandwidth() &&
        response_.message.Length() <= max_gathered_bytes) {
        response_.options.set_buffer_hint();
    }
    const time_point now = steady_clock::now();
    ready_ = link.reserve(std::max(ready_, send.due), now, response_.payload_bytes);
    if (ready_ <= now) {
        write();
    } else if (abandoned_) {
        drop_response();
    } else {
        write_at_ = ready_;
    }
}

void bidi_reactor::write() {
    write_at_.reset();
    shared().counters().bytes_sent += response_.payload_bytes;
    shared().counters().ranges_served += response_.range_ends;
    ++counters().responses;
    StartWrite(&response_.message, response_.options);
}

void bidi_reactor::drop_response() noexcept {
    write_at_.reset();
    response_ = {};
    busy_ = false;
}

void bidi_reactor::outgoing::count(const bidi_response::range_data& sent) noexcept {
    payload_bytes += static_cast<std::uint64_t>(sent.length);
    range_ends += sent.range_end ? 1U : 0U;
}

void bidi_reactor::perform(const read_stream::checksum_step& checksum) {
    perform_elsewhere([this, object = checksum.object] { shared().compute_checksum(*object); });
}

void bidi_reactor::perform(const read_stream::change_step& change) {
    perform_elsewhere([this, change] { stream_.change(change); });
}

template <class Work>
void bidi_reactor::perform_elsewhere(Work work) {
    shared().workers().run([this, self = shared_from_this(), work = std::move(work)] {
        const status how = outcome_of(work);
        lock held(mutex_);
        busy_ = false;
        if (!how.ok()) {
            stream_.fail(how);
        }
        pump(held);
    });
    busy_ = true;
}

void bidi_reactor::set_timer() noexcept {
    std::optional<time_point> first = write_at_;
    const auto consider = [&](time_point at) {
        if (!first || at < *first) first = at;
    };
    if (waited_at_) consider(*waited_at_);
    if (!arrivals_.empty() && stream_.wants_message()) consider(arrivals_.front().due);
    if (first && !finished_) {
        timer_.set(weak_from_this(), *first);
    } else {
        timer_.cancel();
    }
}

void bidi_reactor::ended() noexcept {
    if (goaway_) shared().go_away();
}

}  // namespace rangeio::emulator
