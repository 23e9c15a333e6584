#include "grpc/unary_call.hpp"

#include "grpc/status.hpp"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>

#include <mutex>
#include <utility>
#include <vector>

namespace rangeio::grpc_transport {

struct unary_call::state {
    std::shared_ptr<channels> on;
    std::string method;
    std::string bucket;
    grpc::ClientContext context;
    grpc::ByteBuffer request;
    grpc::ByteBuffer response;
    std::mutex mutex;
    failure stop;  // why it was cancelled
};

unary_call::unary_call(
    std::shared_ptr<channels> on, std::string method, std::string bucket, std::string request
)
    : state_(std::make_unique<state>()) {
    state_->on = std::move(on);
    state_->method = std::move(method);
    state_->bucket = std::move(bucket);
    grpc::Slice slice(request);
    state_->request = grpc::ByteBuffer(&slice, 1);
}

unary_call::~unary_call() = default;

void unary_call::start() noexcept {
    try {
        state_->on->prepare(state_->context, state_->bucket, "");
        grpc::GenericStub stub(state_->on->first());
        auto started = std::static_pointer_cast<unary_call>(shared_from_this());
        stub.UnaryCall(
            &state_->context,
            state_->method,
            grpc::StubOptions(),
            &state_->request,
            &state_->response,
            [self = std::move(started)](const grpc::Status& status) mutable {
                const runtime::context_core::stay stay(self->state_->on->core());
                const auto alive = std::move(self);
                {
                    const std::lock_guard lock(alive->state_->mutex);
                    // Cancelled, but too late: then it is what it is.
                    const bool stopped = alive->state_->stop && !status.ok();
                    alive->why_ = stopped ? alive->state_->stop : from_status(status);
                }
                alive->complete();
            }
        );
    } catch (...) {
        why_ = make_error_code(boost::system::errc::not_enough_memory);
        complete();
    }
}

void unary_call::cancel(const failure& why) noexcept {
    {
        const std::lock_guard lock(state_->mutex);
        if (!state_->stop) state_->stop = why;
    }
    state_->context.TryCancel();
}

std::string unary_call::response() const {
    std::vector<grpc::Slice> slices;
    std::string out;
    if (!state_->response.Dump(&slices).ok()) return out;
    for (const grpc::Slice& slice : slices) {
        out.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
    }
    return out;
}

}  // namespace rangeio::grpc_transport
