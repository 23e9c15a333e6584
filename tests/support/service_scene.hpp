#pragma once

#include <rangeio/multi_range_downloader.hpp>
#include <rangeio/object_reader.hpp>
#include <rangeio/sim/context.hpp>
#include <rangeio/sim/explore.hpp>
#include <rangeio/sim/world.hpp>
#include <rangeio/testing/scripted_service.hpp>

#include "sim/run_once.hpp"
#include "testing/service/watched_memory.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

// Small programs over a scripted service, in which other actors act in place of other threads, before any lock.

namespace support {

enum class stream_kind { shared, exclusive, transport };
inline constexpr std::array every_stream_kind{
    stream_kind::shared, stream_kind::exclusive, stream_kind::transport
};

inline std::shared_ptr<rangeio::mrd_factory> factory_of(
    const rangeio::testing::scripted_service& service, stream_kind kind, const rangeio::sim::executor& on
) {
    if (kind == stream_kind::transport) return service.transport(on);
    return service.streams(kind == stream_kind::shared);
}

/// Checks a program in schedules of each search: so many depth first, and so many of each of the others.
inline void explore_at_locks(
    const rangeio::sim::program& program, std::uint64_t depth_first, std::uint64_t others, unsigned preempted
) {
    using rangeio::sim::search;
    for (const search how : {search::dfs, search::pct, search::random}) {
        const auto options =
            rangeio::sim::explore_options()
                .by(how)
                .schedules(how == search::dfs ? depth_first : others)
                .world(rangeio::sim::world_options().at_locks(true).max_preempted(preempted));
        const auto result = rangeio::sim::explore(program, options);
        INFO(result.text());
        CHECK_FALSE(result.found);
    }
}

/// Runs a program in its one schedule without deviations.
template <class Program>
void run_in_one_schedule(Program program) {
    const auto decides = rangeio::sim::run_name::of({}).make_strategy();
    rangeio::sim::world w(*decides);
    program(w);
    CHECK(w.violation() == "");
}

/// How a read has ended.
struct read_end {
    rangeio::error_value why;
    std::size_t bytes = 0;
};

/// A scripted service and a context with tasks.
class service_scene {
public:
    service_scene(const service_scene&) = delete;
    service_scene& operator=(const service_scene&) = delete;

    rangeio::testing::scripted_service& service() { return service_; }
    rangeio::sim::world& world() { return world_; }

    void spawn(
        const char* name, boost::asio::awaitable<void> task, boost::asio::cancellation_slot cancel = {}
    ) {
        rangeio::sim::spawn(on_, name, std::move(task), cancel);
    }
    /// Reads through a reader, from its position on or at an offset, and compares the bytes with those of the object.
    boost::asio::awaitable<read_end> read(
        rangeio::object_reader& reader, std::size_t size, std::optional<std::uint64_t> at = {}
    ) {
        const std::uint64_t from = at.value_or(reader.tell());
        rangeio::testing::watched_memory::guard destination(memory_, size);
        read_end out;
        if (at) {
            out.bytes = co_await reader.async_read_some_at(
                *at, destination.span(), rangeio::redirect_error_value(out.why)
            );
        } else {
            out.bytes =
                co_await reader.async_read_some(destination.span(), rangeio::redirect_error_value(out.why));
        }
        const bool same = service_.holds(destination.span().first(out.bytes), from);
        world_.check(same, "a read returns other bytes");
        co_return out;
    }
    boost::asio::awaitable<read_end> read_block(rangeio::object_reader& reader, std::size_t max) {
        const std::uint64_t from = reader.tell();
        read_end out;
        const rangeio::byte_slice block =
            co_await reader.async_read_block(max, rangeio::redirect_error_value(out.why));
        out.bytes = block.size();
        world_.check(service_.holds(block.span(), from), "a block has other bytes");
        co_return out;
    }
    void spawn_on_another_thread(const char* name, boost::asio::awaitable<void> task) {
        rangeio::sim::spawn(io_.make_executor("another thread"), name, std::move(task));
    }

protected:
    service_scene(rangeio::sim::world& in, const rangeio::testing::scripted_service_options& how)
        : world_(in), service_(in, how), io_(in, "io"), on_(io_.make_executor("reader")) {}
    ~service_scene() = default;

    /// To be called when nothing of the derived class uses the service any more.
    void end() {
        world_.run();
        world_.check(service_.calls_open() == 0, "a call is open");
        world_.check(memory_.intact(), "memory was written after the end");
    }

    const rangeio::sim::executor& on() const { return on_; }
    rangeio::testing::watched_memory& memory() { return memory_; }

private:
    rangeio::sim::world& world_;
    rangeio::testing::watched_memory memory_;
    rangeio::testing::scripted_service service_;
    rangeio::sim::context io_;
    const rangeio::sim::executor on_;
};

}  // namespace support
