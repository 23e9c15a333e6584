#include "grpc/grpc_bidi_call.hpp"

#include <rangeio/proto/storage.pb.h>

#include "grpc/response_intake.hpp"
#include "grpc/status.hpp"

#include <boost/container/small_vector.hpp>

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/client_callback.h>

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace rangeio::grpc_transport {
namespace {

namespace pb = proto::storage::v2;

grpc::ByteBuffer to_buffer(const pb::BidiReadObjectRequest& request) {
    const std::size_t size = request.ByteSizeLong();
    grpc::Slice slice(size);
    request.SerializeToArray(const_cast<std::uint8_t*>(slice.begin()), static_cast<int>(size));
    return {&slice, 1};
}

void add_ranges(pb::BidiReadObjectRequest& request, std::span<const fsm::wire_range> ranges) {
    for (const fsm::wire_range& range : ranges) {
        auto& out = *request.add_read_ranges();
        out.set_read_offset(range.offset);
        out.set_read_length(range.length);
        out.set_read_id(range.read_id);
    }
}

// Reactions run on gRPC's few threads, for all calls of the process: they decode, copy and hand over. Nothing
// may leave them as an exception: gRPC would swallow it, and the call would never end.
class grpc_bidi_call final : public bidi_call,
                             public std::enable_shared_from_this<grpc_bidi_call>,
                             private grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
public:
    grpc_bidi_call(
        std::shared_ptr<channels> of,
        std::shared_ptr<grpc::Channel> on,
        std::shared_ptr<bidi_call_events> events
    )
        : channels_(std::move(of)), channel_(std::move(on)), events_(std::move(events)) {}

    void start(const call_spec& spec, std::span<const fsm::wire_range> ranges) override {
        pb::BidiReadObjectRequest request;
        auto& opening = *request.mutable_read_object_spec();
        opening.set_bucket(bucket_resource(spec.object.bucket()));
        opening.set_object(spec.object.name());
        opening.set_generation(spec.object.generation());
        if (!spec.read_handle.empty()) opening.mutable_read_handle()->set_handle(spec.read_handle);
        if (!spec.routing_token.empty()) opening.set_routing_token(spec.routing_token);
        add_ranges(request, ranges);
        request_ = to_buffer(request);
        channels_->prepare(context_, spec.object.bucket(), spec.routing_token);
        grpc::GenericStub stub(channel_);
        self_ = shared_from_this();
        stub.PrepareBidiStreamingCall(
            &context_, "/google.storage.v2.Storage/BidiReadObject", grpc::StubOptions(), this
        );
        AddHold();  // for the writes that are started outside of reactions; released by the last read
        StartWrite(&request_);
        StartRead(&response_);
        const auto alive = self_;  // another thread may run OnDone before StartCall returns
        StartCall();
    }

    void write(std::span<const fsm::wire_range> ranges) override {
        pb::BidiReadObjectRequest request;
        add_ranges(request, ranges);
        request_ = to_buffer(request);
        const std::lock_guard lock(mutex_);
        if (!reading_ended_) StartWrite(&request_);
    }

    void cancel() noexcept override { context_.TryCancel(); }

private:
    void OnReadInitialMetadataDone(bool ok) override { reached_ = ok; }

    void OnReadDone(bool ok) override {
        if (!ok) {
            {
                const std::lock_guard lock(mutex_);
                reading_ended_ = true;
            }
            RemoveHold();
            return;
        }
        if (const failure why = take(); why && !broken_) {
            // The call goes on until gRPC says that it is over; what it ended with is ours to say.
            broken_ = why;
            context_.TryCancel();
        }
        response_.Clear();
        StartRead(&response_);
    }

    void OnWriteDone(bool ok) override {
        if (ok) events_->on_write_done();
    }

    void OnDone(const grpc::Status& status) override {
        // What is dropped here may be the last of a pool or a client, and those need the context to die.
        const runtime::context_core::stay stay(channels_->core());
        const auto alive = std::move(self_);
        const auto events = std::move(events_);
        events->on_done(broken_ ? call_end(broken_) : end(status));
    }

    call_end end(const grpc::Status& status) const noexcept {
        call_end out = end_from_status(status, channels_->max_message_bytes());
        if (reached_) return out;
        if (failure none = no_connection(status, *channel_, channels_->endpoint())) {
            out.why = std::move(none);
            out.unconnected = true;
        }
        return out;
    }

    failure take() noexcept {
        if (broken_) return {};
        try {
            // Locals: a stream that is idle holds on to nothing of its last message.
            std::vector<grpc::Slice> slices;
            if (!response_.Dump(&slices).ok()) return {errc::protocol_error, "a response could not be read"};
            boost::container::small_vector<wire::slice, 8> message;
            for (const grpc::Slice& slice : slices) {
                message.emplace_back(reinterpret_cast<const std::byte*>(slice.begin()), slice.size());
            }
            return take_response({message.data(), message.size()}, *events_);
        } catch (const std::exception&) {
            return make_error_code(boost::system::errc::not_enough_memory);
        }
    }

    const std::shared_ptr<channels> channels_;  // destroyed last: the context must not hold the last channel
    const std::shared_ptr<grpc::Channel> channel_;
    std::shared_ptr<bidi_call_events> events_;
    std::shared_ptr<grpc_bidi_call> self_;  // from start to OnDone
    std::atomic<bool> reached_{false};      // the service has sent something
    grpc::ClientContext context_;
    grpc::ByteBuffer request_;
    grpc::ByteBuffer response_;

    failure broken_;  // of the reads, which run one at a time

    std::mutex mutex_;
    bool reading_ended_ = false;  // nothing may be written any more
};

/// A call that any server answers, if only by saying that it does not know it. Its context waits for its end: the channel
/// must not outlive that.
class probe_call final : public runtime::participant {
public:
    probe_call(std::shared_ptr<channels> by, std::function<void()> answered)
        : channels_(std::move(by)), answered_(std::move(answered)) {
        const grpc::Slice nothing(std::size_t{0});
        request_ = grpc::ByteBuffer(&nothing, 1);
        context_.set_deadline(std::chrono::system_clock::now() + std::chrono::minutes(1));
    }

    void start(const std::shared_ptr<grpc::Channel>& on) {
        if (!channels_->core()->enter(*this)) return;
        grpc::GenericStub stub(on);
        auto self = std::static_pointer_cast<probe_call>(shared_from_this());
        stub.UnaryCall(
            &context_,
            "/grpc.health.v1.Health/Check",
            grpc::StubOptions(),
            &request_,
            &response_,
            [self = std::move(self)](const grpc::Status& status) mutable {
                const runtime::context_core::stay stay(self->channels_->core());
                const auto alive = std::move(self);
                alive->ended(status.error_code());
            }
        );
    }

private:
    void ended(grpc::StatusCode code) {
        // What this side makes of silence, and of a connection that is no more.
        const bool silent = code == grpc::StatusCode::DEADLINE_EXCEEDED ||
                            code == grpc::StatusCode::UNAVAILABLE || code == grpc::StatusCode::CANCELLED;
        if (!silent) answered_();
        channels_->core()->leave(*this);
    }
    void on_shutdown() noexcept override { context_.TryCancel(); }

    const std::shared_ptr<channels> channels_;  // destroyed last: the context must not hold the last channel
    const std::function<void()> answered_;
    grpc::ClientContext context_;
    grpc::ByteBuffer request_;
    grpc::ByteBuffer response_;
};

class grpc_connection final : public connection {
public:
    explicit grpc_connection(std::shared_ptr<channels> by)
        : channels_(std::move(by)), channel_(channels_->connect()) {}

    std::shared_ptr<bidi_call> create(std::shared_ptr<bidi_call_events> events) override {
        return std::make_shared<grpc_bidi_call>(channels_, channel_, std::move(events));
    }

    bool probe(std::function<void()> answered) override {
        std::make_shared<probe_call>(channels_, std::move(answered))->start(channel_);
        return true;
    }

private:
    const std::shared_ptr<channels> channels_;
    const std::shared_ptr<grpc::Channel> channel_;
};

class grpc_connection_maker final : public connection_maker {
public:
    explicit grpc_connection_maker(std::shared_ptr<channels> by) : channels_(std::move(by)) {}
    std::shared_ptr<connection> connect() override { return std::make_shared<grpc_connection>(channels_); }

private:
    const std::shared_ptr<channels> channels_;
};

}  // namespace

std::shared_ptr<connection_maker> make_grpc_connections(std::shared_ptr<channels> by) {
    return std::make_shared<grpc_connection_maker>(std::move(by));
}

}  // namespace rangeio::grpc_transport
