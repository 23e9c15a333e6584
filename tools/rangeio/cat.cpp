#include <rangeio/client.hpp>
#include <rangeio/range_spec.hpp>

#include "block_reader.hpp"
#include "commands.hpp"
#include "common/event_loop.hpp"
#include "common/process.hpp"
#include "missing_object.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <memory>
#include <utility>
#include <vector>

namespace rangeio::tool {
namespace {

class cat_arguments {
public:
    cat_arguments() = default;

    std::vector<object_ref> objects;
    std::vector<range_spec> ranges;
    bool follow = false;
    std::chrono::milliseconds poll = std::chrono::seconds(1);
    reading how;
    read_ahead ahead;
};

range_spec parse_range(const std::string& text) {
    try {
        return range_spec::parse(text);
    } catch (const error& wrong) {
        throw CLI::ValidationError("--range", wrong.what());
    }
}

std::vector<byte_range> resolve(const std::vector<range_spec>& specs, const object_info& info) {
    std::vector<byte_range> ranges;
    try {
        for (const range_spec& spec : specs) ranges.push_back(spec.resolve(info.size));
    } catch (const error& wrong) {
        throw error(wrong.why().with_context("gs://" + info.bucket + '/' + info.name));
    }
    return ranges;
}

/// Writes the bytes that are appended to the object from `from` on, until it is finalized.
asio::awaitable<void> follow(
    mrd_pool& pool,
    object_reader& reader,
    std::uint64_t from,
    std::shared_ptr<const cat_arguments> args,
    blocking_thread& writer,
    const block_sink& sink
) {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    while (!opened_object(pool).finalized) {
        timer.expires_after(args->poll);
        co_await timer.async_wait(asio::use_awaitable);
        const std::uint64_t size =
            co_await pool.async_refresh_size(rangeio::read_options().timeout(args->how.timeout()));
        if (size <= from) continue;
        const std::vector<byte_range> appended(1, byte_range::from_to(from, size));
        co_await read_in_order(reader, appended, writer, sink);
        from = size;
    }
}

asio::awaitable<void> cat(asio::io_context& loop, std::shared_ptr<const cat_arguments> args) {
    blocking_thread writer;
    client service(loop.get_executor(), args->how.client());
    const memory_budget memory = args->ahead.memory();
    const block_sink sink = [](std::span<const std::byte> bytes) { write_out(bytes); };
    for (const object_ref& object : args->objects) {
        mrd_pool pool = co_await open_object(service, object, args->how.pool());
        const std::vector<byte_range> ranges = resolve(args->ranges, opened_object(pool));
        object_reader reader(pool, args->ahead.reader(args->how, memory));
        co_await read_in_order(reader, ranges, writer, sink);
        if (args->follow) co_await follow(pool, reader, ranges.front().end(), args, writer, sink);
    }
}

void run_cat(const std::shared_ptr<cat_arguments>& args) {
    if (args->ranges.empty()) args->ranges.emplace_back();
    if (args->how.generation() != 0) {
        if (args->objects.size() > 1) throw usage_failed("--generation: only one object is allowed");
        args->objects.front().generation(args->how.generation());
    }
    if (args->follow && args->objects.size() > 1) throw usage_failed("--follow: only one object is allowed");
    if (args->follow && (args->ranges.size() > 1 || !args->ranges.front().open_ended())) {
        throw usage_failed("--follow: only one range is allowed, A- or -N");
    }
    const log_scope log(args->how);
    // No signal is caught: there is nothing to clean up, and a blocked write must not delay the end of the process.
    asio::io_context loop(1);
    run(loop, cat(loop, args));
}

}  // namespace

void add_cat(CLI::App& app, command& chosen) {
    const auto args = std::make_shared<cat_arguments>();
    CLI::App& cat = *app.add_subcommand("cat", "Writes objects, or ranges of them, to standard output.");
    const auto take_objects = [args](const std::vector<std::string>& uris) {
        for (const std::string& uri : uris) args->objects.push_back(parse_object(uri));
    };
    cat.add_option_function<std::vector<std::string>>(
           "OBJECT", take_objects, "gs://bucket/object; several are written one after the other"
    )
        ->required();
    const auto take_ranges = [args](const std::vector<std::string>& texts) {
        for (const std::string& text : texts) args->ranges.push_back(parse_range(text));
    };
    cat.add_option_function<std::vector<std::string>>(
           "--range",
           take_ranges,
           "only these bytes: A-B from A up to B, which is excluded; A- from A to the end; -N the last N. "
           "May "
           "be given several times: the ranges are written in that order"
    )
        ->option_text("A-B")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    cat.add_flag(
        "--follow",
        args->follow,
        "continue with the bytes that are appended to the object, until it is finalized; with --range -N "
        "from the last N bytes on"
    );
    add_duration(
        cat,
        "--poll",
        args->poll,
        std::chrono::milliseconds(1),
        std::chrono::hours(1),
        "with --follow, interval of the checks for more bytes"
    );
    args->how.add_to(cat);
    args->ahead.add_to(cat);
    cat.footer(
        "Examples:\n"
        "  rangeio cat gs://logs/2024/today.txt | grep ERROR\n"
        "  rangeio cat --range 0-16 --range -64 gs://data/table.parquet | xxd\n"
        "  rangeio cat --follow --range -1000 gs://logs/2024/today.txt"
    );
    cat.callback([args, &chosen] { chosen = [args] { run_cat(args); }; });
}

}  // namespace rangeio::tool
