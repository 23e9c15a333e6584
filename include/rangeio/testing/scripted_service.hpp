#pragma once

#include <rangeio/multi_range_downloader.hpp>
#include <rangeio/object.hpp>
#include <rangeio/observer.hpp>
#include <rangeio/sim/context.hpp>
#include <rangeio/sim/world.hpp>
#include <rangeio/testing/fault_script.hpp>
#include <rangeio/testing/link_options.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace rangeio::testing {

/// The object of a scripted service, and its behavior. Checked where it is used.
class scripted_service_options {
public:
    scripted_service_options() = default;

    /// Bytes of the object. 64 by default.
    scripted_service_options& object_bytes(std::uint64_t size) {
        object_bytes_ = size;
        return *this;
    }
    std::uint64_t object_bytes() const noexcept { return object_bytes_; }

    /// Which object: each number has a name and bytes of its own. 0 by default, named `object`; others are `object-N`.
    scripted_service_options& object(unsigned number) {
        object_ = number;
        return *this;
    }
    unsigned object() const noexcept { return object_; }

    /// Whether nothing will be appended to the object any more. True by default.
    scripted_service_options& finalized(bool yes) {
        finalized_ = yes;
        return *this;
    }
    bool finalized() const noexcept { return finalized_; }

    /// The most bytes of one chunk, at least 1. 8 by default.
    scripted_service_options& max_chunk_bytes(std::uint64_t most) {
        max_chunk_bytes_ = most;
        return *this;
    }
    std::uint64_t max_chunk_bytes() const noexcept { return max_chunk_bytes_; }

    /// The faults of the service, none by default. A fault with a chance below 100 % is a choice of the world's
    /// strategy.
    scripted_service_options& faults(fault_script script) {
        faults_ = std::move(script);
        return *this;
    }
    const fault_script& faults() const noexcept { return faults_; }

    /// The time to connect, for calls that need a new connection. 0 by default.
    scripted_service_options& connect_time(std::chrono::nanoseconds duration) {
        connect_time_ = duration;
        return *this;
    }
    std::chrono::nanoseconds connect_time() const noexcept { return connect_time_; }

    /// The latency and the bandwidth of the service. None, and no limit, by default.
    scripted_service_options& link(link_options how) {
        link_ = how;
        return *this;
    }
    const link_options& link() const noexcept { return link_; }

    /// The seed of the waits of the streams of transport(). 0 by default: all streams draw the same waits.
    scripted_service_options& seed(std::uint64_t number) {
        seed_ = number;
        return *this;
    }
    std::uint64_t seed() const noexcept { return seed_; }

    /// The observer of the streams of transport(). None by default.
    scripted_service_options& observe(std::shared_ptr<observer> by) {
        observer_ = std::move(by);
        return *this;
    }
    const std::shared_ptr<observer>& observed_by() const noexcept { return observer_; }

private:
    std::uint64_t object_bytes_ = 64;
    unsigned object_ = 0;
    bool finalized_ = true;
    std::uint64_t max_chunk_bytes_ = 8;
    fault_script faults_;
    std::chrono::nanoseconds connect_time_{0};
    link_options link_;
    std::uint64_t seed_ = 0;
    std::shared_ptr<observer> observer_;
};

/// A service with one object in a world: it opens, serves, and fails according to its script. Its threads are outside
/// actors.
///
/// Calls are carried by connections: each stream of streams() has its own, streams of transport() as many as the
/// library makes. They share the service's link and the room on their connection (`max-streams`), hang when it becomes
/// silent (`silent-connection`) and end when it ends (`too-many-pings`, `outage`). The fault `slow-link` takes the
/// place of the link's bandwidth: messages then share the link evenly.
///
/// An error of the client is a violation of the world: a request for zero bytes, for a range twice, a missing routing
/// token, or a second range at once on a stream that serves one.
///
/// Lifetimes: the world outlives the service; the factories and streams may outlive it.
class scripted_service {
public:
    explicit scripted_service(sim::world& in, scripted_service_options options = {});

    /// Streams that are scripts themselves: for pools and the layers above. `multi_request`: whether a pool may share
    /// them.
    std::shared_ptr<mrd_factory> streams(bool multi_request = true) const;
    /// The streams of this library, over scripted calls. `executor` runs their timers. `generation` is the one that
    /// they accept; 0: the first that they meet.
    std::shared_ptr<mrd_factory> transport(
        const sim::executor& executor,
        std::chrono::nanoseconds open_timeout = {},
        bool multi_request = true,
        std::int64_t generation = 0
    ) const;

    /// The byte at `offset` of object 0, in a generation.
    static std::byte content(std::int64_t generation, std::uint64_t offset) noexcept;
    /// Whether these are the bytes at `offset` of the object, all of one generation that there was.
    bool holds(std::span<const std::byte> bytes, std::uint64_t offset) const noexcept;

    /// The object's name, and the live generation.
    object_ref object() const;
    std::uint64_t object_bytes() const noexcept;
    /// Calls, or scripted streams, that have reached the service; and those that were begun and have not ended.
    std::uint64_t calls() const noexcept;
    std::uint64_t calls_open() const noexcept;
    /// The ranges that calls have requested, and the bytes of objects that they have sent.
    std::uint64_t ranges_requested() const noexcept;
    std::uint64_t bytes_sent() const noexcept;
    /// The number of connections that were made.
    std::uint64_t connections() const noexcept;
    /// How often each fault of the script has struck, in the order of the script.
    std::vector<std::uint64_t> faults_struck() const;

    class shared;

private:
    std::shared_ptr<shared> shared_;
};

}  // namespace rangeio::testing
