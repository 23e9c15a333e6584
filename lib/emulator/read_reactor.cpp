#include "emulator/read_reactor.hpp"

#include "emulator/grpc_bytes.hpp"

#include <utility>

namespace rangeio::emulator {

void read_reactor::OnReadDone(bool ok) noexcept {
    if (!ok) {
        Finish(to_grpc({status_code::invalid_argument, "the call came without a request", {}}));
        return;
    }
    ++counters().requests;
    bool deferred = false;
    const status how = outcome_of([&] {
        const contiguous_message request(request_);
        read_.emplace(
            shared().store(),
            object_read::settings{shared().strict(), shared().max_chunk_bytes()},
            params(),
            request.view()
        );
        if (!read_->object()->checksum_is_cheap()) {
            shared().workers().run([this, self = shared_from_this()] {
                const status computed =
                    outcome_of([&] { read_->object()->checksum(shared().workers().stop_token()); });
                if (computed.ok()) {
                    send_next();
                } else {
                    Finish(to_grpc(computed));
                }
            });
            deferred = true;
        }
    });
    if (!how.ok()) {
        Finish(to_grpc(how));
    } else if (!deferred) {
        send_next();
    }
}

void read_reactor::OnWriteDone(bool ok) noexcept {
    if (!ok) {
        Finish(grpc::Status::CANCELLED);
    } else if (read_->done()) {
        Finish(grpc::Status::OK);
    } else {
        send_next();
    }
}

void read_reactor::send_next() noexcept {
    const status how = outcome_of([&] {
        framed_message message = read_->next();
        shared().counters().bytes_sent += message.payload.size();
        response_ = to_byte_buffer(std::move(message));
    });
    if (how.ok()) {
        ++counters().responses;
        StartWrite(&response_);
    } else {
        Finish(to_grpc(how));
    }
}

}  // namespace rangeio::emulator
