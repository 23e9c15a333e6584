#pragma once

#include <rangeio/multi_range_downloader.hpp>
#include <rangeio/object.hpp>
#include <rangeio/observer.hpp>
#include <rangeio/sim/context.hpp>
#include <rangeio/sim/world.hpp>
#include <rangeio/testing/fault_script.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace rangeio::testing {

/// What a scripted service serves, and how. Checked where it is used.
class scripted_service_options {
public:
    scripted_service_options() = default;

    /// Bytes of the object. Default 64.
    scripted_service_options& object_bytes(std::uint64_t size) {
        object_bytes_ = size;
        return *this;
    }
    std::uint64_t object_bytes() const noexcept { return object_bytes_; }

    /// Which object: each number has a name and bytes of its own. Default 0, named `object`; others are `object-N`.
    scripted_service_options& object(unsigned number) {
        object_ = number;
        return *this;
    }
    unsigned object() const noexcept { return object_; }

    /// Whether nothing will be appended to it any more. Default true.
    scripted_service_options& finalized(bool yes) {
        finalized_ = yes;
        return *this;
    }
    bool finalized() const noexcept { return finalized_; }

    /// The most bytes of one chunk, from 1. Default 8.
    scripted_service_options& max_chunk_bytes(std::uint64_t most) {
        max_chunk_bytes_ = most;
        return *this;
    }
    std::uint64_t max_chunk_bytes() const noexcept { return max_chunk_bytes_; }

    /// What goes wrong. A fault that is less likely than 100 % is a choice of the world's strategy. Default: nothing.
    scripted_service_options& faults(fault_script script) {
        faults_ = std::move(script);
        return *this;
    }
    const fault_script& faults() const noexcept { return faults_; }

    /// How long it takes to connect, for the calls that need a new connection. Default 0.
    scripted_service_options& connect_time(std::chrono::nanoseconds duration) {
        connect_time_ = duration;
        return *this;
    }
    std::chrono::nanoseconds connect_time() const noexcept { return connect_time_; }

    /// What the waits of the streams of transport() are drawn from. Default 0: they are all drawn alike.
    scripted_service_options& seed(std::uint64_t number) {
        seed_ = number;
        return *this;
    }
    std::uint64_t seed() const noexcept { return seed_; }

    /// Who hears what happens on the streams of transport(). Default: nobody.
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
    std::uint64_t seed_ = 0;
    std::shared_ptr<observer> observer_;
};

/// A service with one object in a world: it opens, serves, and breaks as its script says. Its threads are outside actors.
///
/// Calls ride on connections: those of streams() on one for each stream, those of transport() on as many as the library
/// makes. They share the service's link (`slow-link`) and the room on their connection (`max-streams`), hang when it falls
/// silent (`silent-connection`) and end when it dies (`too-many-pings`, `outage`).
///
/// What a client must not do (ask for no byte, for a range twice, forget a routing token, ask a stream for two ranges at
/// once that takes one) is a violation of the world.
///
/// Lifetimes: the world outlives it; the service may go before the factories and streams do.
class scripted_service {
public:
    explicit scripted_service(sim::world& in, scripted_service_options options = {});

    /// Streams that are scripts themselves: for pools and what uses them. `multi_request`: whether a pool may share them.
    std::shared_ptr<mrd_factory> streams(bool multi_request = true) const;
    /// The streams of this library, over calls that are scripts. `executor` serves their time-outs. `generation` is the
    /// one that they accept; 0: the first that they meet.
    std::shared_ptr<mrd_factory> transport(
        const sim::executor& executor,
        std::chrono::nanoseconds open_timeout = {},
        bool multi_request = true,
        std::int64_t generation = 0
    ) const;

    /// The byte at `offset` of object 0, in a generation.
    static std::byte content(std::int64_t generation, std::uint64_t offset) noexcept;
    /// Whether these are the bytes at `offset` of its object, all of one generation that there was.
    bool holds(std::span<const std::byte> bytes, std::uint64_t offset) const noexcept;

    /// The object's name, and the generation that is live.
    object_ref object() const;
    std::uint64_t object_bytes() const noexcept;
    /// Calls, or scripted streams, that the service has seen; and those that were begun and have not ended.
    std::uint64_t calls() const noexcept;
    std::uint64_t calls_open() const noexcept;
    /// Connections that were made.
    std::uint64_t connections() const noexcept;
    /// How often each fault of the script has struck, in the order of the script.
    std::vector<std::uint64_t> faults_struck() const;

    class shared;

private:
    std::shared_ptr<shared> shared_;
};

}  // namespace rangeio::testing
