#pragma once

#include <rangeio/multi_range_downloader.hpp>
#include <rangeio/observer.hpp>
#include <rangeio/retry_policy.hpp>
#include <rangeio/testing/fault_script.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

namespace rangeio::testing {

namespace asio = boost::asio;

/// The object of a threaded service, and its behavior. Checked where it is used.
class threaded_service_options {
public:
    threaded_service_options() = default;

    /// Bytes of the object. 1 MiB by default.
    threaded_service_options& object_bytes(std::uint64_t size) {
        object_bytes_ = size;
        return *this;
    }
    std::uint64_t object_bytes() const noexcept { return object_bytes_; }

    /// Whether nothing will be appended to the object any more. True by default.
    threaded_service_options& finalized(bool yes) {
        finalized_ = yes;
        return *this;
    }
    bool finalized() const noexcept { return finalized_; }

    /// The most bytes of one chunk, at least 1. 64 KiB by default.
    threaded_service_options& max_chunk_bytes(std::uint64_t most) {
        max_chunk_bytes_ = most;
        return *this;
    }
    std::uint64_t max_chunk_bytes() const noexcept { return max_chunk_bytes_; }

    /// The number of delivering threads, at least 1. 2 by default, the fewest that gRPC may have.
    threaded_service_options& threads(std::size_t count) {
        threads_ = count;
        return *this;
    }
    std::size_t threads() const noexcept { return threads_; }

    /// The faults of the service. None by default.
    threaded_service_options& faults(fault_script script) {
        faults_ = std::move(script);
        return *this;
    }
    const fault_script& faults() const noexcept { return faults_; }

    /// The seed of the chances in the script. Which call meets which chance depends on the threads. 1 by default.
    threaded_service_options& seed(std::uint64_t number) {
        seed_ = number;
        return *this;
    }
    std::uint64_t seed() const noexcept { return seed_; }

    /// The observer of the streams of transport(). None by default.
    threaded_service_options& observe(std::shared_ptr<observer> by) {
        observer_ = std::move(by);
        return *this;
    }
    const std::shared_ptr<observer>& observed_by() const noexcept { return observer_; }

private:
    std::uint64_t object_bytes_ = std::uint64_t{1} << 20;
    bool finalized_ = true;
    std::uint64_t max_chunk_bytes_ = std::uint64_t{64} << 10;
    std::size_t threads_ = 2;
    fault_script faults_;
    std::uint64_t seed_ = 1;
    std::shared_ptr<observer> observer_;
};

/// `scripted_service` in real time and on real threads, for stress tests of pools without a network: the streams of
/// this library over scripted calls. Sanitizers see all of its code, unlike gRPC's.
///
/// Like gRPC, it delivers on threads of its own: the responses of one call one at a time, on any of them; the
/// confirmation of a write perhaps at the same time; the end of a call last. A cancelled call ends soon, whatever it
/// was waiting for.
///
/// Threads:    all members are safe from several threads at once, except the destructor.
/// Lifetimes:  outlives the pools on it. The destructor waits for the end of all calls: close or destroy the pools
///             before.
class threaded_service {
public:
    explicit threaded_service(const threaded_service_options& options = {});
    threaded_service(const threaded_service&) = delete;
    threaded_service& operator=(const threaded_service&) = delete;
    ~threaded_service();

    /// Streams for one pool; each pool of a cache needs a factory of its own. `executor` runs their timers.
    /// `multi_request`: whether the pool may share them.
    ///
    /// Throws: errc::invalid_argument for a policy that is out of its range, when the first stream is made.
    std::shared_ptr<mrd_factory> transport(
        const asio::any_io_executor& executor,
        std::chrono::nanoseconds open_timeout = {},
        const retry_policy& retry = {},
        bool multi_request = true
    ) const;

    /// The byte at `offset`, in a generation.
    static std::byte content(std::int64_t generation, std::uint64_t offset) noexcept;

    /// The first generation of the object, and the newest.
    std::pair<std::int64_t, std::int64_t> generations() const;

    /// Calls that were begun; those of them that followed another one on their stream; and those that have not ended.
    std::uint64_t calls() const;
    std::uint64_t calls_resumed() const;
    std::uint64_t calls_open() const;
    /// The first error of a client (a request for zero bytes, or for a range twice, a routing token that it was not
    /// given). Empty if there was none.
    std::string complaint() const;

    class shared;

private:
    const std::shared_ptr<shared> shared_;
};

}  // namespace rangeio::testing
