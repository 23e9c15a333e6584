#include "transport/conformance.hpp"

#include <rangeio/client.hpp>
#include <rangeio/emulator.hpp>
#include <rangeio/testing/fault_script.hpp>

#include "emulator/fixture.hpp"
#include "gcs/grpc_service.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

// The contract of transports, held against gRPC and the emulator.

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

support::transport_traits everything() {
    support::transport_traits out;
    out.resumes = true;
    out.takes_tails = true;
    return out;
}

class grpc_bench final : public support::transport_bench {
public:
    grpc_bench() { files_.write("b-1/o", content_); }
    ~grpc_bench() override {
        service_.reset();
        guard_.reset();
        thread_.join();
    }

    support::transport_traits traits() const override { return everything(); }
    std::shared_ptr<rangeio::mrd_factory> streams(const std::string& faults) override {
        service_.reset();
        server_.emplace(rangeio::emulator::server_options()
                            .root(files_.path())
                            .faults(rangeio::testing::fault_script::parse(faults + "; chunk bytes=8 times=0"))
        );
        service_ = rangeio::gcs::make_grpc_service(
            context_.get_executor(),
            rangeio::client_options()
                .endpoint(server_->address())
                .retry(rangeio::retry_policy().initial_backoff(1ms).max_backoff(1ms))
        );
        return service_->streams({"b-1", "o"}, rangeio::pool_options());
    }
    std::byte content(std::int64_t, std::uint64_t offset) const override {
        return static_cast<std::byte>(content_.at(offset));
    }
    std::uint64_t calls() const override { return server_->stats().bidi_read_object.calls; }

    void wait(const std::function<bool()>& over) override {
        std::unique_lock lock(mutex_);
        const bool came = changed_.wait_for(lock, 20s, over);
        REQUIRE_MESSAGE(came, "what the test waits for has not happened within its deadline");
    }
    void happened() noexcept override {
        const std::lock_guard lock(mutex_);
        changed_.notify_all();
    }

private:
    asio::io_context context_;
    asio::executor_work_guard<asio::io_context::executor_type> guard_{context_.get_executor()};
    std::thread thread_{[this] { context_.run(); }};  // timers run there
    const std::string content_ = support::pattern(object_bytes);
    support::scratch files_;
    std::optional<rangeio::emulator::server> server_;
    std::shared_ptr<rangeio::gcs::service> service_;
    std::mutex mutex_;
    std::condition_variable changed_;
};

}  // namespace

TEST_CASE("conformance: the streams of this library over gRPC pass all cases") {
    for (const auto& one : support::conformance_cases(everything())) {
        grpc_bench on;
        const std::string wrong = one.run(on);
        CHECK_MESSAGE(wrong == "", std::string(one.name));
    }
}
