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

/// What the service has seen.
class stress_service {
public:
    stress_service() = default;

    std::uint64_t calls = 0;
    std::uint64_t calls_open = 0;
    /// What a client must not do.
    std::string complaint;
};

/// Counts what the engine tells of streams that went on with another call. Without a lock, which would put the threads
/// that tell it into an order.
class stress_resumptions final : public observer {
public:
    void on_event(const event& what) noexcept override {
        if (what.kind == event_kind::stream_resumed) count_.fetch_add(1, std::memory_order_relaxed);
    }
    /// Since the last call.
    std::uint64_t take() noexcept { return count_.exchange(0, std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> count_{0};
};

/// Something to read from, in one of several ways. Threads: all const members are safe from several threads at once.
class stress_target {
public:
    virtual ~stress_target() = default;

    virtual std::string name() const = 0;
    const std::vector<stress_object>& objects() const noexcept { return objects_; }

    /// The contexts on which pools will live, and that these are about to be gone.
    virtual void attach(const std::vector<asio::any_io_executor>&) {}
    virtual void detach() {}

    /// An unopened pool, and a cache of pools, on one of the contexts. `shared`: the streams take several ranges.
    virtual mrd_pool pool(std::size_t context, std::size_t object, pool_options options, bool shared)
        const = 0;
    virtual mrd_pool_cache cache(std::size_t context, pool_cache_options options) const = 0;
    /// How a range is read with nothing open; null: it is not.
    virtual client* reader(std::size_t) const { return nullptr; }

    /// Whether these are the bytes at `offset`; of that generation, or if it is not known, of any.
    virtual bool holds(
        std::size_t object,
        std::optional<std::int64_t> generation,
        std::uint64_t offset,
        std::span<const std::byte> bytes
    ) const = 0;
    virtual testing::possible_faults faults() const = 0;

    /// How many times a stream went on with another call since this was last asked.
    std::uint64_t take_resumed() const noexcept { return resumptions_->take(); }

    /// The process ends without destructors: removes what would be left behind.
    virtual void abandon() noexcept {}

    /// Nothing is known of a service elsewhere.
    virtual std::optional<stress_service> service() const { return std::nullopt; }

protected:
    std::vector<stress_object> objects_;
    const std::shared_ptr<stress_resumptions> resumptions_ = std::make_shared<stress_resumptions>();
};

/// A service that is a script, in this process, on threads of its own; no network, no gRPC.
std::unique_ptr<stress_target> scripted_target(const testing::fault_script& faults, std::uint64_t seed);
/// An emulator in this process, on a temporary directory.
std::unique_ptr<stress_target> emulated_target(const testing::fault_script& faults, std::uint64_t seed);
/// An object of a server that runs already. It is read once, now, and what was read is the measure of what follows.
///
/// Throws: `failed`, `rangeio::error`; `interrupted`.
std::unique_ptr<stress_target> remote_target(const object_ref& object, const client_options& options);

/// For services in this process, where what never answers may be given up soon.
retry_policy impatient_retry();
/// Every fault after which a stream can go on, each now and then.
testing::fault_script all_faults();

}  // namespace rangeio::tool
