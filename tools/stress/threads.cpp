#include "stress/threads.hpp"

#include "common/event_loop.hpp"
#include "common/process.hpp"
#include "common/units.hpp"

#include <fmt/format.h>

#include <stdexcept>

namespace rangeio::tool {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t max_script_bytes = std::size_t{1} << 20;
constexpr const char* threads_group = "Threads";

}  // namespace

void stress_threads::add_to(CLI::App& stress) {
    app_ = &stress;
    plan_.threads = 1;  // the checks need a valid value; 0 stands for the mode not being chosen
    plan_.duration = 10s;
    plan_.stall = 30s;
    CLI::Option* const threads =
        add_count(stress, "--threads", plan_.threads, 1, 1024, "hammer real pools on N threads")
            ->default_str("");
    plan_.threads = 0;
    const auto needs_threads = [threads](CLI::Option* option) {
        option->needs(threads)->group(threads_group);
        return option;
    };
    threads->group(threads_group);
    needs_threads(
        add_duration(stress, "--duration", plan_.duration, 1ms, std::chrono::hours(24 * 30), "run duration")
    );
    needs_threads(
        add_count(stress, "--workers", plan_.workers, 1, 1024, "number of working coroutines for each thread")
    );
    needs_threads(stress.add_flag(
        "--scripted", scripted_, "without a network: this library's streams over scripted calls"
    ));
    needs_threads(stress.add_option(
                      "--faults",
                      faults_,
                      "faults of the emulator or of the scripts: one a line or separated by ';', in a FILE, "
                      "or all that streams survive; not with OBJECT, whose server makes its own"
                  ))
        ->option_text("SPEC|@FILE|all");
    needs_threads(add_duration(
        stress,
        "--stall",
        plan_.stall,
        1ms,
        std::chrono::hours(24),
        "an operation without progress for this time is a violation, and ends the run"
    ));
    const auto take_object = [this](const std::string& uri) { object_ = parse_object(uri); };
    needs_threads(stress.add_option_function<std::string>(
        "OBJECT", take_object, "with --threads: read this object of a running server"
    ));
    connection_.add_to(stress);
    for (const char* name :
         {"--endpoint", "--insecure", "--access-token-file", "--user-project", "--timeout"}) {
        stress.get_option(name)->needs(threads);
    }
}

testing::fault_script stress_threads::faults() const {
    if (faults_ == "all") return all_faults();
    std::string text = faults_;
    if (text.starts_with('@')) {
        const std::string path = text.substr(1);
        text = read_file(path, max_script_bytes, path + ": cannot be read");
        if (text.size() > max_script_bytes) {
            throw failed(fmt::format("{}: the fault script is larger than {} bytes", path, max_script_bytes));
        }
    }
    try {
        return testing::fault_script::parse(text);
    } catch (const std::invalid_argument& wrong) {
        throw usage_failed(fmt::format("--faults: {}", wrong.what()));
    }
}

std::unique_ptr<stress_target> stress_threads::target() const {
    const bool named = app_->get_option("--endpoint")->count() != 0;
    if (object_) {
        if (scripted_) throw usage_failed("--scripted has an object of its own");
        if (!faults_.empty()) {
            throw usage_failed("--faults: a running server makes its own faults: rangeio emulate --faults");
        }
        return remote_target(*object_, connection_.client(4));
    }
    if (named) throw usage_failed("--endpoint requires an object there: gs://bucket/object");
    if (scripted_) return scripted_target(faults(), plan_.seed);
    return emulated_target(faults(), plan_.seed);
}

void stress_threads::run(std::uint64_t seed, bool json, bool progress) {
    plan_.seed = seed;
    plan_.json = json;
    plan_.progress = progress;
    const auto target = this->target();
    plan_.faults = object_ ? 0 : faults().faults.size();
    asio::io_context loop(1);
    stress_run run(*target, plan_);
    const int signal = run_interruptible(loop, run.run());
    const stress_result& result = run.result();
    write_out(json ? report_json(result) : report_text(result));
    if (!result.violations.empty()) throw failed("violated: " + result.violations.front());
    if (signal != 0) throw interrupted(signal);
}

}  // namespace rangeio::tool
