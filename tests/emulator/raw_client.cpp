#include "emulator/raw_client.hpp"

#include "support/byte_buffers.hpp"

#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <utility>

namespace support {

struct raw_call::impl {
    grpc::ClientContext context;
    grpc::CompletionQueue queue;
    std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream;
    bool finished = false;

    // One operation at a time, so the next event is its own.
    bool wait() {
        void* tag = nullptr;
        bool ok = false;
        return queue.Next(&tag, &ok) && ok;
    }
};

raw_call::raw_call(std::unique_ptr<impl> p) : impl_(std::move(p)) {}
raw_call::raw_call(raw_call&&) noexcept = default;

raw_call::~raw_call() {
    if (impl_) {
        if (!impl_->finished) {
            cancel();
            finish();
        }
        impl_->queue.Shutdown();
        while (impl_->wait()) {
        }
    }
}

bool raw_call::write(const std::string& message) {
    impl_->stream->Write(to_buffer(message), nullptr);
    return impl_->wait();
}

bool raw_call::half_close() {
    impl_->stream->WritesDone(nullptr);
    return impl_->wait();
}

std::optional<std::string> raw_call::read() {
    grpc::ByteBuffer buffer;
    impl_->stream->Read(&buffer, nullptr);
    if (!impl_->wait()) {
        return std::nullopt;
    }
    return to_text(buffer);
}

call_outcome raw_call::finish() {
    grpc::Status status;
    impl_->stream->Finish(&status, nullptr);
    impl_->wait();
    impl_->finished = true;
    return {status.error_code(), status.error_message(), status.error_details(), {}};
}

void raw_call::cancel() {
    impl_->context.TryCancel();
}

struct raw_client::impl {
    std::shared_ptr<grpc::Channel> channel;
    std::unique_ptr<grpc::GenericStub> stub;
};

raw_client::raw_client(const std::string& address) : impl_(std::make_unique<impl>()) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    // A connection of its own, not one that an earlier test left behind.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    impl_->channel = grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
    impl_->stub = std::make_unique<grpc::GenericStub>(impl_->channel);
}

raw_client::~raw_client() = default;

raw_call raw_client::start(const std::string& method, const std::string& params) {
    auto call = std::make_unique<raw_call::impl>();
    call->context.set_deadline(std::chrono::system_clock::now() + deadline);
    if (!params.empty()) {
        call->context.AddMetadata("x-goog-request-params", params);
    }
    call->stream = impl_->stub->PrepareCall(&call->context, method, &call->queue);
    call->stream->StartCall(nullptr);
    call->wait();
    return raw_call(std::move(call));
}

call_outcome raw_client::unary(
    const std::string& method, const std::string& request, const std::string& params
) {
    raw_call call = start(method, params);
    call.write(request);
    call.half_close();
    std::optional<std::string> response = call.read();
    call_outcome outcome = call.finish();
    outcome.response = std::move(response).value_or("");
    return outcome;
}

}  // namespace support
