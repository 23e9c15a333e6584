#include <rangeio/client.hpp>

#include "bench_patterns.hpp"
#include "bench_report.hpp"
#include "block_reader.hpp"
#include "commands.hpp"
#include "common/event_loop.hpp"
#include "common/printable.hpp"
#include "common/process.hpp"
#include "common/read_trace.hpp"
#include "common/units.hpp"
#include "meter.hpp"
#include "missing_object.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string_view>
#include <vector>

namespace rangeio::tool {
namespace {

constexpr std::uint64_t max_io_bytes = std::uint64_t{4} << 30;
constexpr std::uint64_t max_memory = std::uint64_t{16} << 30;
constexpr auto max_time = std::chrono::hours(24);
constexpr std::uint64_t max_planned = 100'000;
constexpr std::string_view random_pattern = "rand";

class bench_arguments {
public:
    bench_arguments() = default;

    object_ref object;
    std::chrono::milliseconds duration = std::chrono::seconds(5);
    std::chrono::milliseconds warmup = std::chrono::seconds(1);
    std::string pattern = "seq";
    std::uint64_t io_bytes = std::uint64_t{64} << 20;
    std::uint64_t depth = 1;
    std::uint64_t seed = 1;
    std::chrono::milliseconds think{0};
    bool json = false;
    bool plan = false;
    reading how;
    read_ahead ahead{std::nullopt};
};

/// Reads of one size, at multiples of that size: a shorter tail of the object is not read.
class bench_run {
public:
    using clock = std::chrono::steady_clock;

    bench_run(const mrd_pool& pool, const bench_arguments& args, const asio::any_io_executor& executor)
        : pool_(pool),
          args_(args),
          io_bytes_(std::min(args.io_bytes, opened_object(pool).size)),
          blocks_(opened_object(pool).size / io_bytes_),
          pass_(pattern_pass(args.pattern, io_bytes_, blocks_)),
          cursor_(pass_),
          memory_(args.ahead.memory()),
          tasks_(executor),
          timer_(executor) {
        if (args.ahead.how()) reader_.emplace(pool, args.ahead.reader(args.how, memory_));
        if (args.plan) make_plan();
    }

    asio::awaitable<void> run(bench_result& result) {
        for (std::uint64_t i = 0; i < args_.depth; ++i) tasks_.spawn(read_on(args_.seed + i));
        std::exception_ptr thrown;
        try {
            co_await wait(args_.warmup);
            measured_.emplace();
            if (prefetches()) prefetch_measured_.emplace(*reader_);
            co_await wait(args_.duration);
            // A result needs at least one read; the first one ends this wait.
            overdue_ = result_.times.count() == 0;
            if (overdue_) co_await wait(max_time);
        } catch (...) {
            // Interrupted: the reads that have been measured so far count.
            thrown = std::current_exception();
        }
        end();
        tasks_.cancel();
        co_await asio::this_coro::throw_if_cancelled(false);
        co_await tasks_.drain();
        co_await asio::this_coro::throw_if_cancelled(true);
        result = result_;
        if (failure_) std::rethrow_exception(failure_);
        if (thrown) std::rethrow_exception(thrown);
    }

private:
    bool prefetches() const noexcept {
        return args_.ahead.how().value_or(prefetching::off) != prefetching::off;
    }

    // What a pass reads after the footer.
    void make_plan() {
        if (pass_.reads() > max_planned) {
            throw failed(fmt::format(
                "--plan: {} reads of {} are more than {}",
                pass_.reads(),
                size_option_text(io_bytes_),
                max_planned
            ));
        }
        trace_cursor reads(pass_);
        reads.next();
        while (const std::optional<traced_read> next = reads.next()) plan_.push_back(next->range);
    }

    // Waits until the time is over, or a read has failed.
    asio::awaitable<void> wait(std::chrono::milliseconds time) {
        timer_.expires_after(time);
        if (failure_) std::rethrow_exception(failure_);
        boost::system::error_code ignored;
        co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        if (failure_) std::rethrow_exception(failure_);
    }

    void end() {
        ended_ = true;
        if (!measured_) return;
        measured_->stop(result_, pool_);
        measured_.reset();
        if (prefetch_measured_) {
            result_.prefetch = prefetch_measured_->stop(args_.ahead.name(), *reader_, memory_);
        }
        result_.io_bytes = io_bytes_;
    }

    byte_range next_range(std::mt19937_64& random) {
        if (args_.pattern == random_pattern) return {random() % blocks_ * io_bytes_, io_bytes_};
        std::optional<traced_read> next = cursor_.next();
        if (!next) {
            cursor_ = trace_cursor(pass_);
            next = cursor_.next();
        }
        return next->range;
    }

    asio::awaitable<void> read(byte_range range, std::span<std::byte> destination) {
        if (!reader_) {
            co_await pool_.async_fetch(range, destination, args_.how.fetching());
            co_return;
        }
        co_await reader_->async_read_some_at(range.offset(), destination);
        // The footer is where a program learns what it will read.
        if (!plan_.empty() && range.end() == pass_.object_bytes()) reader_->will_need(plan_);
    }

    asio::awaitable<void> read_on(std::uint64_t seed) {
        try {
            co_await read_loop(seed);
        } catch (...) {
            if (!ended_ && !failure_) failure_ = std::current_exception();
        }
        timer_.cancel();
    }

    asio::awaitable<void> read_loop(std::uint64_t seed) {
        std::mt19937_64 random(seed);
        const auto memory = std::make_unique_for_overwrite<std::byte[]>(io_bytes_);
        const std::span<std::byte> destination(memory.get(), io_bytes_);
        asio::steady_timer pause(timer_.get_executor());
        while (!ended_) {
            if (args_.think.count() > 0) {
                pause.expires_after(args_.think);
                co_await pause.async_wait(asio::use_awaitable);
            }
            const byte_range range = next_range(random);
            const auto asked = clock::now();
            co_await read(range, destination);
            if (!measured_) continue;
            result_.times.add(clock::now() - asked);
            result_.bytes += io_bytes_;
            if (overdue_) timer_.cancel();
        }
    }

    const mrd_pool& pool_;
    const bench_arguments& args_;
    const std::uint64_t io_bytes_;
    const std::uint64_t blocks_;
    const read_trace pass_;
    trace_cursor cursor_;
    const memory_budget memory_;
    std::optional<object_reader> reader_;
    std::vector<byte_range> plan_;
    task_group tasks_;
    asio::steady_timer timer_;
    std::optional<meter> measured_;
    std::optional<prefetch_meter> prefetch_measured_;
    bool overdue_ = false;
    bool ended_ = false;
    std::exception_ptr failure_;
    bench_result result_;
};

asio::awaitable<void> bench(
    asio::io_context& loop, std::shared_ptr<const bench_arguments> args, bench_result* result
) {
    client service(loop.get_executor(), args->how.client());
    mrd_pool pool = co_await open_object(service, args->object, args->how.pool());
    if (opened_object(pool).size == 0) {
        throw failed(fmt::format("{}: the object is empty", args->object.to_string()));
    }
    bench_run reads(pool, *args, loop.get_executor());
    co_await reads.run(*result);
}

void run_bench(const std::shared_ptr<bench_arguments>& args) {
    if (args->depth * args->io_bytes > max_memory) {
        throw usage_failed(fmt::format(
            "--depth {} times --io-size {} requires {} of memory (limit {})",
            args->depth,
            size_option_text(args->io_bytes),
            size_text(static_cast<double>(args->depth * args->io_bytes)),
            size_text(static_cast<double>(max_memory))
        ));
    }
    if (args->plan && (args->pattern != parquet_pattern || !args->ahead.how())) {
        throw usage_failed("--plan: it requires --pattern parquet and --prefetch");
    }
    if (args->how.generation() != 0) args->object.generation(args->how.generation());
    const log_scope log(args->how);
    asio::io_context loop(1);
    bench_result result;
    const int signal = run_interruptible(loop, bench(loop, args, &result));
    result.object = args->object.to_string();
    result.pattern = args->pattern;
    result.depth = args->depth;
    result.seed = args->seed;
    result.think = args->think;
    result.pool_size = args->how.pool_size();
    result.concurrency = args->how.concurrency();
    if (result.times.count() > 0) write_out(args->json ? bench_json(result) : bench_table(result));
    if (signal != 0) throw interrupted(signal);
}

}  // namespace

void add_bench(CLI::App& app, command& chosen) {
    const auto args = std::make_shared<bench_arguments>();
    CLI::App& bench = *app.add_subcommand("bench", "Measures reads of one object.");
    add_object(bench, args->object, "gs://bucket/object");
    add_duration(
        bench,
        "--duration",
        args->duration,
        std::chrono::milliseconds(1),
        max_time,
        "duration of the measurement; it lasts at least until one read has ended"
    );
    add_duration(
        bench,
        "--warmup",
        args->warmup,
        std::chrono::milliseconds(0),
        max_time,
        "duration of the reads before the measurement"
    );
    const auto take_pattern = [args](const std::string& pattern) {
        const auto regular = regular_patterns();
        if (pattern != random_pattern && std::ranges::find(regular, pattern) == regular.end()) {
            throw CLI::ValidationError(
                "--pattern",
                fmt::format(
                    "'{}' is not one of {}, {}", printable(pattern), random_pattern, fmt::join(regular, ", ")
                )
            );
        }
        args->pattern = pattern;
    };
    bench
        .add_option_function<std::string>(
            "--pattern",
            take_pattern,
            "seq: one block after the other; rand: random blocks, by --seed; strided: every 16th block; "
            "interleaved: four scans, each of a quarter of the object, in turn; zigzag: 16 blocks, then back "
            "by 8, "
            "and so on; parquet: the last block, then three of twelve columns, in row groups of 24 blocks. "
            "All but rand start again after their last block"
        )
        ->option_text("NAME")
        ->default_str(args->pattern);
    add_size(
        bench,
        "--io-size",
        args->io_bytes,
        1,
        max_io_bytes,
        "length of a read, the block of --pattern; at most the whole object is read"
    );
    add_count(bench, "--depth", args->depth, 1, 1024, "number of concurrent reads");
    add_count(
        bench, "--seed", args->seed, 0, std::numeric_limits<std::int64_t>::max(), "seed of --pattern rand"
    );
    add_duration(
        bench,
        "--think-time",
        args->think,
        std::chrono::milliseconds(0),
        max_time,
        "a pause before each read, which is not part of its latency"
    );
    bench.add_flag(
        "--plan",
        args->plan,
        "with --pattern parquet and --prefetch, announce what each pass reads after its first block"
    );
    bench.add_flag("--json", args->json, "one JSON object on one line: bytes, seconds, microseconds");
    args->how.add_to(bench);
    args->ahead.add_to(bench);
    bench.footer(
        "SIZE is a number of bytes, or one with KiB, MiB or GiB. TIME is a number with ms, s, m or h.\n"
        "CPU time is this process's, user and system. Every byte is checked against its CRC32C.\n\n"
        "Examples:\n"
        "  rangeio bench gs://data/big --pool-size 1 --concurrency 1\n"
        "  rangeio bench gs://data/big --pattern rand --io-size 64KiB --depth 64\n"
        "  rangeio bench gs://data/big --pattern zigzag --io-size 512KiB --think-time 5ms "
        "--prefetch adaptive\n"
        "  rangeio bench gs://data/big --pattern parquet --io-size 1MiB --prefetch adaptive --plan"
    );
    bench.callback([args, &chosen] { chosen = [args] { run_bench(args); }; });
}

}  // namespace rangeio::tool
