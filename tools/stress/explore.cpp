#include "stress/explore.hpp"

#include <rangeio/sim/explore.hpp>

#include "common/printable.hpp"
#include "common/process.hpp"
#include "stress/threads.hpp"
#include "testing/programs/pool_program.hpp"

#include <boost/json/object.hpp>

#include <fmt/format.h>

#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace rangeio::tool {
namespace {

constexpr std::size_t max_program_bytes = std::size_t{1} << 20;

class stress_arguments {
public:
    stress_arguments() = default;

    std::string how = "random";
    std::uint64_t schedules = 10'000;
    std::uint64_t seed = 1;
    std::uint64_t depth = 3;
    std::uint64_t deviations = 2;
    std::string program;
    std::string replay;
    bool list = false;
    bool json = false;
    bool progress = false;
    stress_threads threads;
};

class named_program {
public:
    named_program(std::string called, testing::pool_program parsed)
        : name(std::move(called)), body(std::move(parsed)) {}

    std::string name;
    testing::pool_program body;
};

// A shipped program by its name, or a file; all shipped programs if none is named.
std::vector<named_program> programs_of(const std::string& wanted) {
    std::vector<named_program> out;
    for (const auto& shipped : testing::shipped_programs()) {
        if (!wanted.empty() && shipped.name != wanted) continue;
        out.emplace_back(std::string(shipped.name), testing::pool_program::parse(shipped.text));
    }
    if (!out.empty()) return out;
    const std::string text = read_file(wanted, max_program_bytes, wanted + ": cannot be read");
    if (text.size() > max_program_bytes) {
        throw failed(fmt::format("{}: more than {} bytes are no program", wanted, max_program_bytes));
    }
    try {
        out.emplace_back(wanted, testing::pool_program::parse(text));
    } catch (const std::invalid_argument& wrong) {
        throw usage_failed(fmt::format("{}: {}", wanted, wrong.what()));
    }
    return out;
}

// An option that would be ignored is an error.
void check_strategy(const CLI::App& stress, const std::string& how) {
    const auto given = [&stress](const char* option) { return stress.get_option(option)->count() != 0; };
    if (how == "dfs" && given("--seed")) throw usage_failed("--seed is for pct and random, not for dfs");
    if (how != "pct" && given("--depth")) throw usage_failed("--depth is for --explore pct, not for " + how);
    if (how != "dfs" && given("--deviations")) {
        throw usage_failed("--deviations is for --explore dfs, not for " + how);
    }
}

sim::explore_options options_of(const stress_arguments& args) {
    sim::explore_options out;
    out.by(args.how == "dfs" ? sim::search::dfs : args.how == "pct" ? sim::search::pct : sim::search::random);
    out.schedules(args.schedules).seed(args.seed).depth(args.depth).deviations(args.deviations);
    return out;
}

/// Shows each second how many schedules of a program have been run.
std::function<bool(std::uint64_t)> progress_of(const std::string& name, std::uint64_t schedules) {
    using clock = std::chrono::steady_clock;
    return [name, schedules, shown = clock::now()](std::uint64_t done) mutable {
        if (const auto now = clock::now(); now - shown >= std::chrono::seconds(1)) {
            shown = now;
            show_progress(fmt::format("{}: {} of at most {} schedules", name, done, schedules));
        }
        return true;
    };
}

void write_json(const boost::json::object& line) {
    write_out(json_text(line) + '\n');
}

void put(boost::json::object& into, const sim::finding& run) {
    if (!run.what.empty()) into["violation"] = run.what;
    into["found_as"] = run.found_as;
    into["decisions"] = run.decisions;
    into["shrunk_to"] = run.shrunk_to;
    into["trace"] = run.trace;
}

void report(const stress_arguments& args, const std::string& name, const sim::exploration& result) {
    if (!args.json) {
        write_out(fmt::format("{}: {}", name, result.text()));
        return;
    }
    boost::json::object out{
        {"program", name},
        {"explore", args.how},
        {"schedules", result.schedules},
        {"steps", result.steps},
        {"exhausted", result.exhausted},
        {"violation", nullptr},
    };
    if (args.how == "pct") out["depth"] = args.depth;
    if (args.how == "dfs") out["deviations"] = args.deviations;
    if (result.found) {
        put(out, *result.found);
        // The seed of the last schedule.
        if (args.how != "dfs") out["seed"] = args.seed + result.schedules - 1;
    }
    write_json(out);
}

void replay(const stress_arguments& args, const std::vector<named_program>& programs) {
    if (programs.size() != 1) throw usage_failed("--replay requires the --program of the run");
    sim::finding run;
    try {
        const auto& p = programs.front().body;
        run = sim::replay(p, sim::run_name::parse(args.replay), p.world_options());
    } catch (const std::invalid_argument& wrong) {
        throw usage_failed(wrong.what());
    }
    if (args.json) {
        boost::json::object out{{"program", programs.front().name}, {"violation", nullptr}};
        put(out, run);
        write_json(out);
    } else {
        if (run.what.empty()) write_out("nothing was violated\n");
        write_out(run.trace);
    }
    if (!run.what.empty()) throw failed("violated: " + run.what);
}

void explore(const CLI::App& stress, const stress_arguments& args) {
    const auto programs = programs_of(args.program);
    if (args.list) {
        for (const auto& p : programs) {
            if (args.json) {
                write_json({{"program", p.name}});
            } else {
                write_out(p.name + '\n');
            }
        }
        return;
    }
    if (!args.replay.empty()) {
        replay(args, programs);
        return;
    }
    check_strategy(stress, args.how);
    const auto options = options_of(args);
    std::size_t violated = 0;
    for (const auto& p : programs) {
        auto own = options;
        if (args.progress) own.progress(progress_of(p.name, args.schedules));
        const auto result = sim::explore(p.body, own.world(p.body.world_options()));
        report(args, p.name, result);
        violated += result.found ? 1U : 0U;
    }
    if (violated != 0) {
        throw failed(fmt::format("{} of {} programs violated", violated, programs.size()));
    }
}

}  // namespace

void add_stress(CLI::App& stress, command& chosen) {
    const auto args = std::make_shared<stress_arguments>();
    stress.footer(
        "Small programs (tasks, a pool, faults) run in simulated time, in many schedules; the first run\n"
        "that fails is shortened and printed as a table. docs/testing-races.md describes the programs.\n\n"
        "With --threads, workers open, read, cancel and close in real time, and check every byte. Their\n"
        "operations are determined by --seed, the order of these by the machine. Without --scripted or\n"
        "OBJECT they read from an emulator in this process. Every result that no fault explains is a\n"
        "violation, and ends the run.\n\n"
        "--endpoint is the server of OBJECT, and is rejected without OBJECT. A running server makes its own\n"
        "faults, so --faults is rejected with OBJECT: see 'rangeio emulate --faults'.\n\n"
        "Examples:\n"
        "  rangeio-stress --explore dfs\n"
        "  rangeio-stress --threads 8 --duration 60s --faults all\n"
        "  rangeio-stress --threads 8 --scripted --faults 'reset chance=5% times=0; mute chance=1% times=0'\n"
        "  rangeio-stress --threads 8 --endpoint 127.0.0.1:9000 gs://bucket/object"
    );
    stress
        .add_option(
            "--explore",
            args->how,
            "schedules with few deviations, all or as many as --schedules allows (dfs); PCT schedules; or "
            "random ones (default: random)"
        )
        ->check(CLI::IsMember({"dfs", "pct", "random"}))
        ->option_text("dfs|pct|random");
    add_count(
        stress, "--schedules", args->schedules, 1, 1'000'000'000'000, "limit of schedules for each program"
    );
    add_count(
        stress,
        "--seed",
        args->seed,
        0,
        UINT64_MAX / 2,
        "for pct and random: the seed of the first schedule, the others have the next ones; with --threads: "
        "determines the operations of the workers, not their order"
    );
    add_count(stress, "--depth", args->depth, 1, 16, "for pct: number of ordering constraints to find");
    add_count(
        stress,
        "--deviations",
        args->deviations,
        0,
        100,
        "for dfs: number of decisions that differ from the plainest run"
    );
    stress.add_option("--program", args->program, "a shipped program or a file; default: all shipped ones")
        ->option_text("NAME|FILE");
    stress
        .add_option("--replay", args->replay, "show one run of --program, by the name that a report gave it")
        ->option_text("RUN");
    stress.add_flag("--list", args->list, "print the names of the shipped programs");
    stress.add_flag(
        "--json",
        args->json,
        "one JSON object a line: for each program; with --threads for each second, and at the end"
    );
    stress.add_flag(
        "--progress", args->progress, "a line on standard error each second; the default on a terminal"
    );
    args->threads.add_to(stress);
    for (const char* of_programs :
         {"--explore", "--schedules", "--depth", "--deviations", "--program", "--replay", "--list"}) {
        stress.get_option("--threads")->excludes(stress.get_option(of_programs));
    }
    for (const char* of_searches :
         {"--explore", "--schedules", "--seed", "--depth", "--deviations", "--progress"}) {
        stress.get_option("--replay")->excludes(stress.get_option(of_searches));
        stress.get_option("--list")->excludes(stress.get_option(of_searches));
    }
    stress.get_option("--list")->excludes(stress.get_option("--replay"));
    stress.callback([args, &stress, &chosen] {
        chosen = [args, &stress] {
            args->progress = args->progress || ::isatty(STDERR_FILENO) == 1;
            if (args->threads.chosen()) {
                args->threads.run(args->seed, args->json, args->progress);
            } else {
                explore(stress, *args);
            }
        };
    });
}

}  // namespace rangeio::tool
