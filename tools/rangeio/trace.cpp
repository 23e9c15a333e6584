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
#include "output_file.hpp"
#include "output_stream.hpp"
#include "output_target.hpp"
#include "replay_picture.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace rangeio::tool {
namespace {

constexpr std::size_t max_trace_bytes = std::size_t{4} << 20;
constexpr std::uint64_t max_drawn_reads = 1'000'000;

class trace_arguments {
public:
    trace_arguments() = default;

    std::string file;
    object_ref object;
    bool json = false;
    std::string picture;
    reading how;
    read_ahead ahead;

    bool prefetches() const { return ahead.how() != prefetching::off; }
};

/// What a replay reports, and what a picture of it shows.
class replay_log {
public:
    replay_log() = default;

    trace_result result;
    std::vector<replayed_read> reads;
};

/// The file of --svg: complete, or not there.
class picture_file {
public:
    /// Detects what cannot be written before the replay.
    explicit picture_file(const std::string& path) : target_(find_target(path, "replay.svg")) {
        if (const auto* plain = std::get_if<plain_file>(&target_)) file_.emplace(plain->path, 0);
    }

    void write(const std::string& text) {
        const auto bytes = std::as_bytes(std::span(text));
        if (file_) {
            file_->append(bytes);
            file_->publish();
        } else if (const auto* descriptor = std::get_if<open_descriptor>(&target_)) {
            write_stream(output_stream(*descriptor), bytes);
        } else {
            write_stream(output_stream(std::get<device>(target_)), bytes);
        }
    }

private:
    static void write_stream(output_stream&& out, std::span<const std::byte> bytes) {
        out.append(bytes);
        out.finish();
    }

    output_target target_;
    std::optional<output_file> file_;
};

read_trace read_trace_file(const std::string& path) {
    const std::string text = read_file(path, max_trace_bytes, path);
    if (text.size() > max_trace_bytes) {
        throw failed(fmt::format("{}: the trace is larger than {} bytes", path, max_trace_bytes));
    }
    return read_trace::parse(text, path);
}

asio::awaitable<void> read_all(
    object_reader& reader,
    const memory_budget& budget,
    const read_trace& trace,
    const trace_arguments& args,
    replay_log& log
) {
    using clock = std::chrono::steady_clock;
    const auto memory = std::make_unique_for_overwrite<std::byte[]>(trace.longest());
    asio::steady_timer timer(co_await asio::this_coro::executor);
    trace_cursor reads(trace);
    trace_result& result = log.result;
    reader_stats before;
    const auto began = clock::now();
    while (const std::optional<traced_read> next = reads.next()) {
        if (next->think.count() > 0) {
            timer.expires_after(next->think);
            co_await timer.async_wait(asio::use_awaitable);
            result.thought += next->think;
        }
        const std::span<std::byte> destination(memory.get(), next->range.length());
        const auto asked = clock::now();
        co_await reader.async_read_some_at(next->range.offset(), destination);
        const auto done = clock::now();
        result.times.add(done - asked);
        result.waited += done - asked;
        result.bytes += next->range.length();
        if (args.picture.empty()) continue;
        const reader_stats now = reader.stats();
        const bool stalled = !args.prefetches() || now.stalls != before.stalls;
        const bool prefetched =
            now.misses == before.misses || now.prefetched_bytes != before.prefetched_bytes;
        log.reads.push_back(
            {next->range, asked - began, done - began, budget.stats().reserved_bytes, stalled, prefetched}
        );
        before = now;
    }
}

asio::awaitable<void> replay(
    asio::io_context& loop,
    std::shared_ptr<const trace_arguments> args,
    const read_trace& trace,
    replay_log& log
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
    const memory_budget memory = args->ahead.memory();
    object_reader reader(pool, args->ahead.reader(args->how, memory));
    const prefetch_meter prefetched(reader);
    const meter measured;
    std::exception_ptr thrown;
    try {
        co_await read_all(reader, memory, trace, *args, log);
    } catch (...) {
        // Interrupted: the reads that have been measured so far count.
        thrown = std::current_exception();
    }
    measured.stop(log.result, pool);
    if (args->prefetches()) log.result.prefetch = prefetched.stop(args->ahead.name(), reader, memory);
    if (thrown) std::rethrow_exception(thrown);
}

void run_trace(const std::shared_ptr<trace_arguments>& args) {
    const read_trace trace = read_trace_file(args->file);
    if (args->how.generation() != 0) args->object.generation(args->how.generation());
    const log_scope log(args->how);
    std::optional<picture_file> picture;
    if (!args->picture.empty()) {
        if (trace.reads() > max_drawn_reads) {
            throw failed(fmt::format(
                "{}: --svg: {} reads are more than {}", args->file, trace.reads(), max_drawn_reads
            ));
        }
        // Before the event loop exists, as the target of cp.
        picture.emplace(args->picture);
    }
    asio::io_context loop(1);
    replay_log replayed;
    trace_result& result = replayed.result;
    result.object = args->object.to_string();
    result.trace = args->file;
    result.trace_reads = trace.reads();
    result.pool_size = args->how.pool_size();
    result.concurrency = args->how.concurrency();
    const int signal = run_interruptible(loop, replay(loop, args, trace, replayed));
    if (result.times.count() > 0) {
        write_out(args->json ? trace_json(result) : trace_table(result));
        if (picture) picture->write(replay_picture(result, trace.object_bytes(), replayed.reads));
    }
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
    const auto take_picture = [args](const std::string& path) {
        if (path.empty()) throw CLI::ValidationError("--svg", "it is empty");
        args->picture = path;
    };
    trace
        .add_option_function<std::string>(
            "--svg",
            take_picture,
            "draw the replay: what was read, and how far ahead, by time; stalls. A file as that of cp"
        )
        ->option_text("FILE");
    args->how.add_to(trace);
    args->ahead.add_to(trace);
    trace.footer(
        "The reads are made one after the other through a reader, each after its think time; with\n"
        "--prefetch off each is requested by itself. CPU time is this process's, user and system. Every\n"
        "byte is checked against its CRC32C.\n\n"
        "Example of a trace, a scan of 1 MiB reads after one of the object's end:\n"
        "  object 1GiB\n"
        "  read 1023MiB 1MiB\n"
        "  run 0 1MiB count=1023 think=2ms"
    );
    trace.callback([args, &chosen] { chosen = [args] { run_trace(args); }; });
}

}  // namespace rangeio::tool
