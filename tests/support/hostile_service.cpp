#include "support/hostile_service.hpp"

#include "support/byte_buffers.hpp"

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/support/byte_buffer.h>

#include <atomic>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

namespace support {
namespace {

class reactor final : public grpc::ServerGenericBidiReactor, public hostile_call {
public:
    reactor(const hostile_service::answer& how, int which, std::string name) : answer_(how) {
        number = which;
        method = std::move(name);
        StartRead(&incoming_);
    }

    void send(std::string bytes) override {
        const std::lock_guard lock(mutex_);
        if (!end_) waiting_.push_back(std::move(bytes));
        next();
    }
    void end(int status, std::string text, std::string details) override {
        const std::lock_guard lock(mutex_);
        if (!end_) end_.emplace(static_cast<grpc::StatusCode>(status), std::move(text), std::move(details));
        next();
    }

private:
    void OnReadDone(bool ok) override {
        if (!ok) return;
        ++message;
        request = to_text(incoming_);
        rangeio::proto::storage::v2::BidiReadObjectRequest asked;
        if (method.ends_with("/BidiReadObject") && !asked.ParseFromString(request)) {
            return end(3, "not a BidiReadObjectRequest", {});
        }
        answer_(*this, asked);
        StartRead(&incoming_);
    }
    void OnWriteDone(bool ok) override {
        const std::lock_guard lock(mutex_);
        writing_ = false;
        outgoing_.Clear();
        if (!ok) waiting_.clear();
        next();
    }
    void OnCancel() override {
        const std::lock_guard lock(mutex_);
        waiting_.clear();
        if (!end_) end_.emplace(grpc::StatusCode::CANCELLED, "cancelled");
        next();
    }
    void OnDone() override { delete this; }

    // Requires: the lock.
    void next() {
        if (writing_ || finished_) return;
        if (!waiting_.empty()) {
            writing_ = true;
            outgoing_ = to_buffer(waiting_.front());
            waiting_.pop_front();
            StartWrite(&outgoing_);
        } else if (end_) {
            finished_ = true;
            Finish(*end_);
        }
    }

    const hostile_service::answer& answer_;
    grpc::ByteBuffer incoming_;
    std::mutex mutex_;
    std::deque<std::string> waiting_;
    grpc::ByteBuffer outgoing_;
    std::optional<grpc::Status> end_;
    bool writing_ = false;
    bool finished_ = false;
};

}  // namespace

class hostile_service::impl final : grpc::CallbackGenericService {
public:
    explicit impl(answer how) : answer_(std::move(how)) {
        grpc::ServerBuilder builder;
        builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
        builder.RegisterCallbackGenericService(this);
        builder.SetMaxSendMessageSize(-1);
        server_ = builder.BuildAndStart();
    }
    ~impl() override { server_->Shutdown(gpr_inf_past(GPR_CLOCK_MONOTONIC)); }

    std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
    int calls() const noexcept { return calls_; }

private:
    grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override {
        return new reactor(answer_, ++calls_, context->method());
    }

    const answer answer_;
    int port_ = 0;
    std::atomic<int> calls_{0};
    std::unique_ptr<grpc::Server> server_;
};

hostile_service::hostile_service(answer how) : impl_(std::make_unique<impl>(std::move(how))) {}
hostile_service::~hostile_service() = default;

std::string hostile_service::address() const {
    return impl_->address();
}

int hostile_service::calls() const noexcept {
    return impl_->calls();
}

}  // namespace support
