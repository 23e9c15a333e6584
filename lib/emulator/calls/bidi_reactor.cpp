#include "emulator/calls/bidi_reactor.hpp"

#include "emulator/protocol/grpc_bytes.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <variant>

namespace rangeio::emulator {
namespace {

constexpr std::size_t max_gathered_bytes = std::size_t{16} << 10;

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
      ) {}

void bidi_reactor::start() {
    lock held(mutex_);
    read();
}

void bidi_reactor::read() {
    if (!reading_ && !finished_ && stream_.wants_message()) {
        reading_ = true;
        StartRead(&request_);
    }
}

void bidi_reactor::OnReadDone(bool ok) noexcept {
    lock held(mutex_);
    reading_ = false;
    if (ok) {
        ++counters().requests;
        const status how = outcome_of([&] {
            const contiguous_message message(request_);
            const std::size_t ranges = stream_.on_message(message.view());
            shared().counters().ranges_requested += ranges;
            info().asks_for(fmt::format("{}: {} ranges", stream_.name(), ranges));
        });
        if (!how.ok()) {
            stream_.fail(how);
        }
        read();
    } else {
        stream_.on_half_close();
    }
    pump(held);
}

void bidi_reactor::OnWriteDone(bool ok) noexcept {
    lock held(mutex_);
    busy_ = false;
    response_.Clear();
    if (!ok) {
        stream_.fail({status_code::cancelled, "the client has disconnected", {}});
    }
    pump(held);
}

void bidi_reactor::OnCancel() noexcept {
    lock held(mutex_);
    stream_.fail({status_code::cancelled, "the call was cancelled", {}});
    pump(held);
}

void bidi_reactor::shut_down() noexcept {
    lock held(mutex_);
    stream_.fail({status_code::unavailable, "the server shuts down", {}});
    pump(held);
}

void bidi_reactor::pump(lock& held) noexcept {
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
}

bool bidi_reactor::do_step(lock& held) {
    const read_stream::step next = stream_.next();
    if (const auto* wait = std::get_if<read_stream::wait_step>(&next)) {
        if (wait->delay.count() != 0) wake_after(wait->delay);
        return false;
    }
    timer_.reset();
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
        response_ = to_byte_buffer(stream_.encode(send));
    }
    ++counters().responses;
    grpc::WriteOptions options;
    if (send.data) {
        count(*send.data);
        for (const bidi_response::range_data& data : send.more_data) count(data);
    }
    // Small chunks with more to follow gather in the transport's buffer; the next write or the end of the call flushes
    // it. Not the first response: gRPC 1.51 delays a hinted message together with the initial metadata.
    if (send.more && !send.opening && response_.Length() <= max_gathered_bytes) {
        options.set_buffer_hint();
    }
    StartWrite(&response_, options);
}

void bidi_reactor::count(const bidi_response::range_data& sent) noexcept {
    shared().counters().bytes_sent += static_cast<std::uint64_t>(sent.length);
    shared().counters().ranges_served += sent.range_end ? 1U : 0U;
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

void bidi_reactor::wake_after(std::chrono::nanoseconds delay) {
    const std::uint64_t number = ++timer_number_;
    // The timer is destroyed with the reactor; its callback may run after that.
    const std::weak_ptr<call_reactor> weak = weak_from_this();
    timer_.emplace();
    timer_->Set(
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos(delay.count(), GPR_TIMESPAN)),
        [this, weak, number](bool over) {
            if (const std::shared_ptr<call_reactor> self = weak.lock(); self && over) on_timer(number);
        }
    );
}

void bidi_reactor::on_timer(std::uint64_t number) noexcept {
    lock held(mutex_);
    // The callback may have been queued before the timer was cancelled.
    if (!timer_ || number != timer_number_) return;
    stream_.waited();
    pump(held);
}

void bidi_reactor::ended() noexcept {
    if (goaway_) shared().go_away();
}

}  // namespace rangeio::emulator
