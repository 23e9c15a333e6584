// Each fault at each stage of a read, in simulation, and what the reader sees: the table of docs/reliability.md.
//
// usage: fault_table            prints the table
//        fault_table --check F  compares it with the one in the file F
//
// Fails if in any cell bytes are wrong, somebody is left waiting, a destination is written after the end of its
// operation, a call outlives the pool, or the fault did not strike.

#include <rangeio/fetch.hpp>
#include <rangeio/mrd_pool.hpp>
#include <rangeio/testing/explore.hpp>
#include <rangeio/testing/scripted_service.hpp>
#include <rangeio/testing/sim_context.hpp>
#include <rangeio/testing/sim_timer.hpp>

#include "support/fault_cells.hpp"
#include "testing/watched_memory.hpp"

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <string_view>

namespace {

using namespace rangeio;
using namespace std::chrono_literals;
using rangeio::testing::fault_kind;
using rangeio::testing::fault_script;
using rangeio::testing::scripted_service;
using rangeio::testing::scripted_service_options;
using rangeio::testing::watched_memory;
using ::testing::stage;
namespace sim = rangeio::testing::sim;

// A random schedule may meet what the plainest does not. More of them change no cell any more.
constexpr std::uint64_t random_schedules = 60;
constexpr auto longest = 300s;

std::string name_of(const failure& why) {
    if (why.code() == asio::error::operation_aborted) return "cancelled";
    return "`" + why.code().message() + "`";
}

class cell {
public:
    cell(sim::world& in, const std::string& script, stage when)
        : world_(in),
          stage_(when),
          service_(in, options(script)),
          io_(std::make_unique<sim::context>(in, "reader")),
          pool_(io_->get_executor(), service_.transport(io_->get_executor(), 5s), pool_options().size(1)) {}

    /// What the reader saw.
    std::string run() {
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
        return seen_;
    }

    std::uint64_t struck() const { return service_.faults_struck(); }

private:
    static scripted_service_options options(const std::string& script) {
        scripted_service_options out;
        out.object_bytes(24).max_chunk_bytes(2).faults(fault_script::parse(script));
        // Only what is still being appended to can grow.
        out.finalized(script.find("grow") == std::string::npos);
        return out;
    }

    asio::awaitable<void> read() {
        const std::string first = co_await read(byte_range(0, 16));
        seen_ = first;
        if (stage_ == stage::cancelled || stage_ == stage::closing) co_return;
        sim::timer pause(io_->get_executor(), 20ms);
        co_await pause.async_wait(asio::use_awaitable);
        const std::string second = co_await read(byte_range(8, 16));
        if (second != "ok" && second != first) seen_ += ", then " + second;
        if (second == "ok" && first.find('`') != std::string::npos) seen_ += ", then ok";
        if (seen_ == "ok" && service_.calls() > 1) seen_ = "resumed";
    }

    asio::awaitable<std::string> read(byte_range range) {
        const auto memory = memory_.take(range.length());
        fetch_options how;
        how.concurrency(2).min_chunk_bytes(1);
        const auto got = co_await try_fetch(pool_, range, memory, how);
        std::string out = "ok";
        if (!got) {
            out = name_of(got.error());
        } else {
            world_.check(*got == range.length(), "a read is short");
            world_.check(service_.holds(memory, range.offset()), "the bytes are wrong");
        }
        memory_.retire(memory);
        co_return out;
    }

    asio::awaitable<void> cancel() {
        sim::timer later(io_->get_executor(), 5ms);
        co_await later.async_wait(asio::use_awaitable);
        cancel_.emit(asio::cancellation_type::terminal);
    }

    asio::awaitable<void> close_while_read() {
        sim::timer later(io_->get_executor(), 5ms);
        co_await later.async_wait(asio::use_awaitable);
        co_await close();
    }

    asio::awaitable<void> close() {
        try {
            co_await pool_.close();
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

int complaints = 0;

void complain(
    fault_kind kind, const ::testing::stage_row& when, std::string_view run, std::string_view what
) {
    fmt::print(stderr, "{}, {}, {}: {}\n", to_string(kind), when.title, run, what);
    ++complaints;
}

std::string cell_text(fault_kind kind, const ::testing::stage_row& when) {
    const auto script = ::testing::script_of(kind, when.what);
    if (!script) return "";
    std::string plain;
    std::set<std::string> others;
    for (std::uint64_t seed = 0; seed <= random_schedules; ++seed) {
        const auto name = seed == 0 ? sim::run_name::of({}) : sim::run_name::random(seed);
        const auto decides = name.make_strategy();
        sim::world w(*decides);
        std::string seen;
        {
            cell c(w, *script, when.what);
            seen = c.run();
            const std::uint64_t wanted = when.what == stage::resuming ? 2 : 1;
            if (seed == 0 && c.struck() < wanted)
                complain(kind, when, name.text(), "the fault does not strike");
        }
        if (!w.violation().empty()) complain(kind, when, name.text(), w.violation());
        if (seed == 0) plain = seen;
        others.insert(seen);
    }
    others.erase(plain);
    for (const auto& other : others) plain += " / " + other;
    return plain;
}

std::string table() {
    std::string out = "| fault |";
    std::string line = "|---|";
    for (const auto& s : ::testing::stages) {
        out += fmt::format(" {} |", s.title);
        line += "---|";
    }
    out += '\n' + line + '\n';
    for (const fault_kind kind : rangeio::testing::fault_kinds()) {
        out += fmt::format("| {} |", to_string(kind));
        for (const auto& s : ::testing::stages) {
            const std::string text = cell_text(kind, s);
            out += text.empty() ? " |" : fmt::format(" {} |", text);
        }
        out += '\n';
    }
    return out;
}

bool stands_in(const std::string& text, const char* path) {
    std::ifstream file(path, std::ios::binary);
    const std::string all{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    return all.find(text) != std::string::npos;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string printed = table();
    fmt::print("{}", printed);
    if (argc == 3 && std::string_view(argv[1]) == "--check" && !stands_in(printed, argv[2])) {
        fmt::print(stderr, "{} has another table, or none\n", argv[2]);
        ++complaints;
    }
    return complaints == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
