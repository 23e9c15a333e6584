#include "emulator/calls/read_reactor.hpp"

#include "emulator/protocol/grpc_bytes.hpp"

#include <utility>

namespace rangeio::emulator {

void read_reactor::OnReadDone(bool ok) noexcept {
    if (!ok) {
        finish({status_code::invalid_argument, "the call has no request", {}});
        return;
    }
    ++counters().requests;
    bool deferred = false;
    const status how = outcome_of([&] {
        const contiguous_message request(request_);
        read_.emplace(
            shared().store(),
            object_read::settings{shared().strict(), shared().max_chunk_bytes()},
            info().params(),
            request.view()
        );
        info().asks_for(read_->object()->display_name());
        const stored_object& object = *read_->object();
        if (object.checksum_is_cheap() && !object.checksum_is_quick()) {
            shared().workers().run([this, self = shared_from_this()] {
                const status computed = outcome_of([&] { shared().compute_checksum(*read_->object()); });
                if (computed.ok()) {
                    send_next();
                } else {
                    finish(computed);
                }
            });
            deferred = true;
        }
    });
    if (!how.ok()) {
        finish(how);
    } else if (!deferred) {
        send_next();
    }
}

void read_reactor::OnWriteDone(bool ok) noexcept {
    if (!ok) {
        finish({status_code::cancelled, "the client has disconnected", {}});
    } else if (read_->done()) {
        finish({});
    } else {
        send_next();
    }
}

void read_reactor::send_next() noexcept {
    const status how = outcome_of([&] {
        framed_message message = read_->next();
        shared().counters().bytes_sent += message.payload.bytes().size();
        response_ = to_byte_buffer(std::move(message));
    });
    if (how.ok()) {
        ++counters().responses;
        StartWrite(&response_);
    } else {
        finish(how);
    }
}

}  // namespace rangeio::emulator
