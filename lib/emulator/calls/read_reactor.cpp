#include "emulator/calls/read_reactor.hpp"

#include "emulator/protocol/grpc_bytes.hpp"

#include <chrono>
#include <utility>

namespace rangeio::emulator {

void read_reactor::OnReadDone(bool ok) noexcept {
    if (!ok) {
        finish({status_code::invalid_argument, "the call has no request", {}});
        return;
    }
    ++counters().requests;
    ready_ = shared().link().due(std::chrono::steady_clock::now());
    proceed_at(ready_);
}

void read_reactor::proceed() noexcept {
    if (read_) {
        send();
    } else {
        begin();
    }
}

void read_reactor::begin() noexcept {
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
                    make_next();
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
        make_next();
    }
}

void read_reactor::OnWriteDone(bool ok) noexcept {
    if (!ok) {
        finish({status_code::cancelled, "the client has disconnected", {}});
    } else if (read_->done()) {
        finish({});
    } else {
        make_next();
    }
}

void read_reactor::make_next() noexcept {
    const status how = outcome_of([&] {
        framed_message message = read_->next();
        response_bytes_ = message.payload.bytes().size();
        response_ = to_byte_buffer(std::move(message));
    });
    if (how.ok()) {
        ready_ = shared().link().reserve(ready_, std::chrono::steady_clock::now(), response_bytes_);
        proceed_at(ready_);
    } else {
        finish(how);
    }
}

void read_reactor::send() noexcept {
    shared().counters().bytes_sent += response_bytes_;
    ++counters().responses;
    StartWrite(&response_);
}

}  // namespace rangeio::emulator
