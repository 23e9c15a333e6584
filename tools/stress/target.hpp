#pragma once

#include <rangeio/client.hpp>
#include <rangeio/mrd_pool.hpp>
#include <rangeio/mrd_pool_cache.hpp>
#include <rangeio/observer.hpp>
#include <rangeio/testing/fault_script.hpp>

#include "stress/outcome.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace rangeio::tool {

namespace asio = boost::asio;

/// An object whose bytes are known.
class stress_object {
public:
    stress_object(object_ref named, std::uint64_t size) : ref(std::move(named)), bytes(size) {}

    object_ref ref;
    std::uint64_t bytes;
};

/// The counters of the service.
class stress_service {
public:
    stress_service() = default;

    std::uint64_t calls = 0;
    std::uint64_t calls_open = 0;
    /// The violation of the protocol by a client; empty: none.
    std::string complaint;
};

/// Counts the streams that continued with another call, as the engine reports them. Without a lock, which would order
/// the reporting threads.
class stress_resumptions final : public observer {
public:
    void on_event(const event& what) noexcept override {
        if (what.kind == event_kind::stream_resumed) count_.fetch_add(1, std::memory_order_relaxed);
    }
    /// The count since the last call.
    std::uint64_t take() noexcept { return count_.exchange(0, std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> count_{0};
};

/// An object to read from, in one of several ways.
///
/// Threads: all const members may be called concurrently.
class stress_target {
public:
    virtual ~stress_target() = default;

    virtual std::string name() const = 0;
    const std::vector<stress_object>& objects() const noexcept { return objects_; }

    /// Names the contexts on which pools will live; detach() announces their end.
    virtual void attach(const std::vector<asio::any_io_executor>&) {}
    virtual void detach() {}

    /// An unopened pool, and a cache of pools, on one of the contexts. `shared`: a stream serves several ranges at
    /// once.
    virtual mrd_pool pool(std::size_t context, std::size_t object, pool_options options, bool shared)
        const = 0;
    virtual mrd_pool_cache cache(std::size_t context, pool_cache_options options) const = 0;
    /// The client that reads a range without a pool; null: the target has none.
    virtual client* reader(std::size_t) const { return nullptr; }

    /// Whether these are the bytes at `offset` of that generation or, if it is not known, of any generation.
    virtual bool holds(
        std::size_t object,
        std::optional<std::int64_t> generation,
        std::uint64_t offset,
        std::span<const std::byte> bytes
    ) const = 0;
    virtual testing::possible_faults faults() const = 0;

    /// The number of times that a stream continued with another call since the last call of this function.
    std::uint64_t take_resumed() const noexcept { return resumptions_->take(); }

    /// Called when the process ends without destructors: removes files that would remain.
    virtual void abandon() noexcept {}

    /// The counters of the service; empty for a remote service.
    virtual std::optional<stress_service> service() const { return std::nullopt; }

protected:
    std::vector<stress_object> objects_;
    const std::shared_ptr<stress_resumptions> resumptions_ = std::make_shared<stress_resumptions>();
};

/// A scripted service in this process, on threads of its own; no network, no gRPC.
std::unique_ptr<stress_target> scripted_target(const testing::fault_script& faults, std::uint64_t seed);
/// An emulator in this process, on a temporary directory.
std::unique_ptr<stress_target> emulated_target(const testing::fault_script& faults, std::uint64_t seed);
/// An object of a running server. It is read once, now; later reads are compared with these bytes.
///
/// Throws: `failed`, `rangeio::error`; `interrupted`.
std::unique_ptr<stress_target> remote_target(const object_ref& object, const client_options& options);

/// For services in this process, where unanswered calls may be abandoned soon.
retry_policy impatient_retry();
/// Every fault after which a stream can continue, each with a small probability.
testing::fault_script all_faults();

}  // namespace rangeio::tool
