#include "support/simulated_cell.hpp"

#include <rangeio/mrd_pool.hpp>
#include <rangeio/sim/context.hpp>
#include <rangeio/sim/timer.hpp>
#include <rangeio/testing/scripted_service.hpp>

#include "support/try_fetch.hpp"
#include "testing/service/watched_memory.hpp"

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>

namespace support {
namespace {

using namespace rangeio;
using namespace std::chrono_literals;
using rangeio::testing::fault_kind;
using rangeio::testing::fault_script;
using rangeio::testing::scripted_service;
using rangeio::testing::scripted_service_options;
using rangeio::testing::watched_memory;
namespace sim = rangeio::sim;

constexpr auto longest = 300s;
constexpr std::string_view right = "ok";

class cell {
public:
    cell(sim::world& in, fault_kind kind, stage when)
        : world_(in),
          stage_(when),
          service_(in, options(kind, when)),
          io_(std::make_unique<sim::context>(in, "reader")),
          pool_(io_->get_executor(), service_.transport(io_->get_executor(), 5s), pool_options().size(1)) {}

    cell_result run() {
        const auto start = world_.now();
        sim::spawn(io_->get_executor(), "the reader", read(), cancel_.slot());
        if (stage_ == stage::cancelled) sim::spawn(io_->make_executor("canceller"), "cancelling", cancel());
        if (stage_ == stage::closing) sim::spawn(io_->make_executor("closer"), "closing", close_while_read());
        world_.run();
        sim::spawn(io_->get_executor(), "closing at the end", close());
        world_.run();
        world_.check(world_.now() - start <= longest, "it takes too long");
        world_.check(service_.calls_open() == 0, "a call outlives the pool");
        world_.check(memory_.intact(), "a destination was written after its operation had ended");
        const auto struck = service_.faults_struck();
        return {seen_, std::ranges::none_of(struck, [](std::uint64_t times) { return times == 0; })};
    }

private:
    static scripted_service_options options(fault_kind kind, stage when) {
        scripted_service_options out;
        out.object_bytes(24).max_chunk_bytes(2).faults(fault_script::parse(script_of(kind, when).value()));
        out.finalized(!needs_growth(kind));
        return out;
    }

    asio::awaitable<void> read() {
        const std::string first = co_await read(byte_range(0, 16));
        seen_ = first;
        if (stage_ == stage::cancelled || stage_ == stage::closing) co_return;
        sim::timer pause(io_->get_executor(), 20ms);
        co_await pause.async_wait(asio::use_awaitable);
        const std::string second = co_await read(byte_range(8, 16));
        seen_ = cell_text(first, second, service_.calls() > 1);
    }

    asio::awaitable<std::string> read(byte_range range) {
        const auto memory = memory_.take(range.length());
        fetch_options how;
        how.concurrency(2).min_chunk_bytes(1);
        const auto got = co_await support::try_fetch(pool_, range, memory, how);
        std::string out(right);
        if (!got) {
            out = error_text(got.error());
        } else {
            world_.check(*got == range.length(), "a read is short");
            world_.check(service_.holds(memory, range.offset()), "the bytes are wrong");
        }
        memory_.retire(memory);
        co_return out;
    }

    asio::awaitable<void> cancel() {
        sim::timer later(io_->get_executor(), giving_up);
        co_await later.async_wait(asio::use_awaitable);
        cancel_.emit(asio::cancellation_type::terminal);
    }

    asio::awaitable<void> close_while_read() {
        sim::timer later(io_->get_executor(), giving_up);
        co_await later.async_wait(asio::use_awaitable);
        co_await close();
    }

    asio::awaitable<void> close() {
        try {
            co_await pool_.async_close();
        } catch (const error& e) {
            if (stage_ != stage::closing) world_.violate(std::string("closing fails: ") + e.what());
        }
        const auto s = pool_.stats();
        world_.check(
            s.opening + s.ready + s.reconnecting + s.closing + s.leases + s.waiters == 0,
            "a gauge is not zero"
        );
    }

    sim::world& world_;
    const stage stage_;
    watched_memory memory_;
    scripted_service service_;
    std::unique_ptr<sim::context> io_;
    mrd_pool pool_;
    asio::cancellation_signal cancel_;
    std::string seen_ = "nothing";
};

}  // namespace

std::string error_text(const error_value& why) {
    if (why.code() == asio::error::operation_aborted) return "cancelled";
    return "`" + why.code().message() + "`";
}

std::string cell_text(const std::string& first, const std::string& second, bool more_than_one_call) {
    if (first != right) return second == first ? first : first + ", then " + second;
    if (second != right) return first + ", then " + second;
    return more_than_one_call ? "resumed" : first;
}

cell_result simulate_cell(sim::world& w, fault_kind kind, stage when) {
    return cell(w, kind, when).run();
}

}  // namespace support
