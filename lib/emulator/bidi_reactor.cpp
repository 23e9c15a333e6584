#include "emulator/bidi_reactor.hpp"

#include "emulator/grpc_bytes.hpp"

#include <cstddef>
#include <cstdint>
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

}  // namespace

bidi_reactor::bidi_reactor(
    service& shared, gate& calls, rpc_counters& counters, grpc::GenericCallbackServerContext& context
)
    : call_reactor(shared, calls, counters, context),
      stream_(shared.store(), {shared.strict(), shared.max_chunk_bytes()}, params()) {}

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
            shared().counters().ranges_requested += stream_.on_message(message.view());
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
        stream_.fail({status_code::cancelled, "the client is gone", {}});
    }
    pump(held);
}

void bidi_reactor::OnCancel() noexcept {
    lock held(mutex_);
    stream_.fail({status_code::cancelled, "the call was cancelled", {}});
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
    if (const auto* send = std::get_if<read_stream::send_step>(&next)) {
        perform(*send, held);
    } else if (const auto* checksum = std::get_if<read_stream::checksum_step>(&next)) {
        perform(*checksum);
    } else if (const auto* last = std::get_if<read_stream::finish_step>(&next)) {
        Finish(to_grpc(last->how));
        finished_ = true;
    } else {
        return false;
    }
    return true;
}

void bidi_reactor::perform(const read_stream::send_step& send, lock& held) {
    busy_ = true;
    {
        // Touching the bytes takes time; messages are taken in meanwhile.
        const unlocked released(held);
        response_ = to_byte_buffer(stream_.encode(send));
    }
    ++counters().responses;
    grpc::WriteOptions options;
    if (send.data) {
        shared().counters().bytes_sent += static_cast<std::uint64_t>(send.data->length);
        shared().counters().ranges_served += send.data->range_end ? 1U : 0U;
    }
    // Small chunks with more to follow gather in the transport's buffer; the next write or the end of the
    // call flushes it. Not the first response: gRPC 1.51 keeps a hinted message back together with the
    // initial metadata.
    if (send.more && !send.opening && response_.Length() <= max_gathered_bytes) {
        options.set_buffer_hint();
    }
    StartWrite(&response_, options);
}

void bidi_reactor::perform(const read_stream::checksum_step& checksum) {
    busy_ = true;
    shared().workers().run([this, self = shared_from_this(), object = checksum.object] {
        const status how = outcome_of([&] { object->checksum(shared().workers().stop_token()); });
        lock held(mutex_);
        busy_ = false;
        if (!how.ok()) {
            stream_.fail(how);
        }
        pump(held);
    });
}

}  // namespace rangeio::emulator
