#pragma once

#include <rangeio/observer.hpp>

#include "runtime/context_service.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace rangeio::grpc_transport {

/// Records whether an endpoint has ever answered, and reports to the observer, once, that calls wait for one that has
/// not. The client's calls report to it from any thread; after the first answer that costs nothing.
class endpoint_watch : public std::enable_shared_from_this<endpoint_watch> {
public:
    endpoint_watch(
        std::shared_ptr<runtime::context_core> core,
        asio::any_io_executor executor,
        std::shared_ptr<observer> to,
        std::string endpoint
    );

    void begin() noexcept;
    /// The endpoint has answered a call in any way.
    void answered() noexcept;
    bool has_answered() const noexcept { return answered_; }
    const std::string& endpoint() const noexcept { return endpoint_; }
    /// A call has ended with `why`; empty: with OK, or before it was made.
    void end(const error_value& why) noexcept;

private:
    void tell() noexcept;

    const std::shared_ptr<runtime::context_core> core_;
    const asio::any_io_executor executor_;
    const std::shared_ptr<observer> observer_;
    const std::string endpoint_;
    std::atomic<bool> answered_ = false;
    std::atomic<bool> over_;  // nothing is left to report
    std::mutex mutex_;
    std::size_t calls_ = 0;
    std::optional<std::chrono::steady_clock::time_point> since_;  // the first call
    std::shared_ptr<runtime::timer> timer_;  // set only while there are calls: keeps no idle context running
};

}  // namespace rangeio::grpc_transport
