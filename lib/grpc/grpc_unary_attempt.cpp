#include "grpc/grpc_unary_attempt.hpp"

#include "grpc/status.hpp"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>

#include <utility>
#include <vector>

namespace rangeio::grpc_transport {
namespace {

class grpc_unary_attempt final : public unary_attempt,
                                 public std::enable_shared_from_this<grpc_unary_attempt> {
public:
    grpc_unary_attempt(
        std::shared_ptr<channels> on,
        std::shared_ptr<const unary_request> request,
        std::shared_ptr<unary_attempt_events> events
    )
        : channels_(std::move(on)), asked_(std::move(request)), events_(std::move(events)) {
        const grpc::Slice slice(asked_->message);
        request_ = grpc::ByteBuffer(&slice, 1);
    }

    void start() override {
        channels_->prepare(context_, asked_->bucket, "");
        channel_ = channels_->metadata();
        grpc::GenericStub stub(channel_);
        channels_->watch()->begin();
        stub.UnaryCall(
            &context_,
            asked_->method,
            grpc::StubOptions(),
            &request_,
            &response_,
            [self = shared_from_this()](const grpc::Status& status) mutable {
                // The last reference to a client may be dropped here, and its destructor needs the context.
                const runtime::context_core::shutdown_hold hold(self->channels_->core());
                const auto alive = std::move(self);
                const auto events = std::move(alive->events_);
                if (status.ok()) alive->channels_->watch()->answered();
                auto end = alive->end(status);
                alive->channels_->watch()->end(end.why);
                events->on_done(std::move(end));
            }
        );
    }

    void cancel(cancel_reason why) noexcept override {
        if (why == cancel_reason::stalled) channels_->replace_metadata(channel_.get());
        context_.TryCancel();
    }

private:
    unary_end end(const grpc::Status& status) const noexcept {
        try {
            unary_end out;
            out.why = end_from_status(status, channels_->max_message_bytes()).why;
            if (const error_value none = no_connection(status, *channel_, channels_->endpoint())) {
                out.why = none;
                out.unconnected = true;
            }
            std::vector<grpc::Slice> slices;
            if (!out.why && !response_.Dump(&slices).ok()) {
                out.why = {errc::protocol_error, "a response cannot be read"};
            }
            for (const grpc::Slice& slice : slices) {
                out.response.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
            }
            return out;
        } catch (...) {
            return {make_error_code(boost::system::errc::not_enough_memory)};
        }
    }

    const std::shared_ptr<channels> channels_;  // destroyed last: the context must not hold the last channel
    const std::shared_ptr<const unary_request> asked_;
    std::shared_ptr<grpc::Channel> channel_;  // from start()
    std::shared_ptr<unary_attempt_events> events_;
    grpc::ClientContext context_;
    grpc::ByteBuffer request_;
    grpc::ByteBuffer response_;
};

class grpc_unary_connector final : public unary_connector {
public:
    explicit grpc_unary_connector(std::shared_ptr<channels> on) : channels_(std::move(on)) {}

    std::shared_ptr<unary_attempt> create(
        std::shared_ptr<const unary_request> request, std::shared_ptr<unary_attempt_events> events
    ) override {
        return std::make_shared<grpc_unary_attempt>(channels_, std::move(request), std::move(events));
    }

private:
    const std::shared_ptr<channels> channels_;
};

}  // namespace

std::shared_ptr<unary_connector> make_unary_connector(std::shared_ptr<channels> on) {
    return std::make_shared<grpc_unary_connector>(std::move(on));
}

}  // namespace rangeio::grpc_transport
