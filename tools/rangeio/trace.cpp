#include <rangeio/client.hpp>

#include "bench_report.hpp"
#include "block_reader.hpp"
#include "commands.hpp"
#include "common/event_loop.hpp"
#include "common/process.hpp"
#include "common/read_trace.hpp"
#include "common/units.hpp"
#include "meter.hpp"
#include "missing_object.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace rangeio::tool {
namespace {

constexpr std::size_t max_trace_bytes = std::size_t{4} << 20;

class trace_arguments {
public:
    trace_arguments() = default;

    std::string file;
    object_ref object;
    bool json = false;
    reading how;
};

read_trace read_trace_file(const std::string& path) {
    const std::string text = read_file(path, max_trace_bytes, path);
    if (text.size() > max_trace_bytes) {
        throw failed(fmt::format("{}: the trace is larger than {} bytes", path, max_trace_bytes));
    }
    return read_trace::parse(text, path);
}

asio::awaitable<void> read_all(
    const mrd_pool& pool, const read_trace& trace, fetch_options options, trace_result& result
) {
    using clock = std::chrono::steady_clock;
    const auto memory = std::make_unique_for_overwrite<std::byte[]>(trace.longest());
    asio::steady_timer timer(co_await asio::this_coro::executor);
    trace_cursor reads(trace);
    while (const std::optional<traced_read> next = reads.next()) {
        if (next->think.count() > 0) {
            timer.expires_after(next->think);
            co_await timer.async_wait(asio::use_awaitable);
            result.thought += next->think;
        }
        const std::span<std::byte> destination(memory.get(), next->range.length());
        const auto asked = clock::now();
        co_await pool.async_fetch(next->range, destination, options);
        const auto waited = clock::now() - asked;
        result.times.add(waited);
        result.waited += waited;
        result.bytes += next->range.length();
    }
}

asio::awaitable<void> replay(
    asio::io_context& loop,
    std::shared_ptr<const trace_arguments> args,
    const read_trace& trace,
    trace_result& result
) {
    client service(loop.get_executor(), args->how.client());
    mrd_pool pool = co_await open_object(service, args->object, args->how.pool());
    const std::uint64_t size = opened_object(pool).size;
    if (size < trace.object_bytes()) {
        throw failed(fmt::format(
            "{}: the object has {} bytes, and the one of {} has {}",
            args->object.to_string(),
            size,
            args->file,
            trace.object_bytes()
        ));
    }
    const meter measured;
    try {
        co_await read_all(pool, trace, args->how.fetching(), result);
    } catch (...) {
        // Interrupted: the reads that have been measured so far count.
        measured.stop(result, pool);
        throw;
    }
    measured.stop(result, pool);
}

void run_trace(const std::shared_ptr<trace_arguments>& args) {
    const read_trace trace = read_trace_file(args->file);
    if (args->how.generation() != 0) args->object.generation(args->how.generation());
    const log_scope log(args->how);
    asio::io_context loop(1);
    trace_result result;
    result.object = args->object.to_string();
    result.trace = args->file;
    result.trace_reads = trace.reads();
    result.pool_size = args->how.pool_size();
    result.concurrency = args->how.concurrency();
    const int signal = run_interruptible(loop, replay(loop, args, trace, result));
    if (result.times.count() > 0) write_out(args->json ? trace_json(result) : trace_table(result));
    if (signal != 0) throw interrupted(signal);
}

}  // namespace

void add_trace(CLI::App& app, command& chosen) {
    const auto args = std::make_shared<trace_arguments>();
    CLI::App& trace =
        *app.add_subcommand("trace", "Replays recorded reads of one object, and measures them.");
    trace.add_option("FILE", args->file, "the trace: text, described in docs/traces.md")->required();
    add_object(trace, args->object, "gs://bucket/object, at least as large as the object of the trace");
    trace.add_flag("--json", args->json, "one JSON object on one line: bytes, seconds, microseconds");
    args->how.add_to(trace);
    trace.footer(
        "The reads are made one after the other, each after its think time. CPU time is this process's, "
        "user\n"
        "and system. Every byte is checked against its CRC32C.\n\n"
        "Example of a trace, a scan of 1 MiB reads after one of the object's end:\n"
        "  object 1GiB\n"
        "  read 1023MiB 1MiB\n"
        "  run 0 1MiB count=1023 think=2ms"
    );
    trace.callback([args, &chosen] { chosen = [args] { run_trace(args); }; });
}

}  // namespace rangeio::tool
