#include "grpc/message_stream.hpp"

#include "runtime/context_service.hpp"

#include <boost/container/small_vector.hpp>

#include <grpcpp/channel.h>
#include <grpcpp/generic/generic_stub.h>

#include <cstddef>
#include <exception>
#include <utility>
#include <vector>

namespace rangeio::grpc_transport {

message_stream::message_stream(
    std::shared_ptr<channels> of, std::shared_ptr<grpc::Channel> on, std::shared_ptr<message_events> events
)
    : channels_(std::move(of)), channel_(std::move(on)), events_(std::move(events)) {}

void message_stream::start(
    const std::string& method,
    const std::string& bucket,
    const std::string& routing_token,
    const grpc::ByteBuffer& first
) {
    request_ = first;
    channels_->prepare(context_, bucket, routing_token);
    grpc::GenericStub stub(channel_);
    self_ = shared_from_this();
    stub.PrepareBidiStreamingCall(&context_, method, grpc::StubOptions(), this);
    AddHold();  // for the writes that are started outside of reactions; released by the last read
    StartWrite(&request_);
    StartRead(&response_);
    const auto alive = self_;  // another thread may run OnDone before StartCall returns
    StartCall();
}

void message_stream::write(grpc::ByteBuffer message) {
    request_.Swap(&message);  // an assignment would allocate
    const std::lock_guard lock(mutex_);
    if (!reading_ended_) StartWrite(&request_);
}

void message_stream::cancel() noexcept {
    context_.TryCancel();
}

void message_stream::OnReadInitialMetadataDone(bool ok) {
    reached_ = ok;
}

// No exception may leave a reaction: gRPC would swallow it, and the call would never end.
void message_stream::OnReadDone(bool ok) {
    if (!ok) {
        {
            const std::lock_guard lock(mutex_);
            reading_ended_ = true;
        }
        RemoveHold();
        return;
    }
    if (const error_value why = take(); why && !broken_) {
        // The call continues until gRPC reports its end; the reason of the end is decided here.
        broken_ = why;
        context_.TryCancel();
    }
    response_.Clear();
    StartRead(&response_);
}

void message_stream::OnWriteDone(bool ok) {
    if (ok) events_->on_write_done();
}

void message_stream::OnDone(const grpc::Status& status) {
    // The last reference to a pool or a client may be dropped here, and their destructors need the context.
    const runtime::context_core::shutdown_hold hold(channels_->core());
    const auto alive = std::move(self_);
    const auto events = std::move(events_);
    events->on_done(status, broken_, reached_);
}

error_value message_stream::take() noexcept {
    if (broken_) return {};
    try {
        // Local variables, so that an idle stream keeps no part of its last message.
        std::vector<grpc::Slice> slices;
        if (!response_.Dump(&slices).ok()) return {errc::protocol_error, "a response cannot be read"};
        boost::container::small_vector<wire::slice, 8> message;
        for (const grpc::Slice& slice : slices) {
            message.emplace_back(reinterpret_cast<const std::byte*>(slice.begin()), slice.size());
        }
        return events_->on_message({message.data(), message.size()});
    } catch (const std::exception&) {
        return make_error_code(boost::system::errc::not_enough_memory);
    }
}

}  // namespace rangeio::grpc_transport
