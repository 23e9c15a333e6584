#pragma once

#include <rangeio/testing/threaded_service.hpp>

#include "testing/service/call_script.hpp"
#include "testing/service/scripted_connection.hpp"

#include <boost/asio/thread_pool.hpp>

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <random>
#include <string>

namespace rangeio::testing {

/// State that the calls of a threaded service share.
class threaded_service::shared {
public:
    explicit shared(const threaded_service_options& options);

    /// Only the first complaint is kept.
    ///
    /// Requires: the lock.
    void complain(std::string_view what);
    /// The time that these bytes take on the link, after those of other calls.
    ///
    /// Requires: the lock.
    std::chrono::nanoseconds pass_link(std::uint64_t bytes);

    const std::shared_ptr<rangeio::observer> observed_by;
    mutable std::mutex mutex;
    // The members from here to `call_ended`, and the scripts of the calls, are guarded by the lock.
    service_state state;
    const std::shared_ptr<scripted_network> network;
    const std::int64_t first_generation;
    std::uint64_t calls = 0;
    std::uint64_t calls_resumed = 0;
    std::uint64_t calls_open = 0;
    std::string complaint;
    std::condition_variable call_ended;

    asio::thread_pool threads;
};

std::shared_ptr<mrd_factory> make_threaded_transport(
    std::shared_ptr<threaded_service::shared> service,
    const asio::any_io_executor& executor,
    std::chrono::nanoseconds open_timeout,
    const retry_policy& retry,
    bool multi_request
);

}  // namespace rangeio::testing
