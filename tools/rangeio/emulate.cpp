#include <rangeio/emulator.hpp>
#include <rangeio/testing/fault_script.hpp>

#include "commands.hpp"
#include "common/event_loop.hpp"
#include "common/printable.hpp"
#include "common/process.hpp"
#include "common/units.hpp"

#include <boost/asio/signal_set.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace rangeio::tool {
namespace {

constexpr std::size_t max_faults_bytes = std::size_t{1} << 20;
// The limits of testing::link_options.
constexpr std::uint64_t max_latency_us = 3600'000'000;
constexpr std::uint64_t max_bandwidth = std::uint64_t{1} << 40;

class emulate_arguments {
public:
    emulate_arguments() = default;

    emulator::server_options server;
    std::string faults;
    bool lenient = false;
    bool verbose = false;
};

bool is_loopback(std::string_view address) {
    if (address.starts_with("unix:") || address.starts_with("[::1]:")) return true;
    const std::string_view host = address.substr(0, address.rfind(':'));
    if (host == "localhost") return true;
    return host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string_view::npos;
}

testing::fault_script faults_of(const std::string& given) {
    std::string text = given;
    std::string prefix;
    if (given.starts_with('@')) {
        const std::string path = given.substr(1);
        text = read_file(path, max_faults_bytes, path + ": cannot be read");
        if (text.size() > max_faults_bytes) {
            throw failed(fmt::format("{}: the fault script is larger than {} bytes", path, max_faults_bytes));
        }
        prefix = path + ": ";
    }
    try {
        return testing::fault_script::parse(text);
    } catch (const std::invalid_argument& wrong) {
        throw usage_failed(fmt::format("--faults: {}{}", prefix, wrong.what()));
    }
}

std::optional<std::chrono::nanoseconds> latency_of(std::string_view text) {
    if (text.ends_with("us")) {
        const std::optional<std::uint64_t> count = parse_number(text.substr(0, text.size() - 2));
        if (!count || *count > max_latency_us) return std::nullopt;
        return std::chrono::microseconds(*count);
    }
    const std::optional<std::chrono::milliseconds> time = parse_duration(text);
    if (!time || *time > std::chrono::microseconds(max_latency_us)) return std::nullopt;
    return *time;
}

testing::link_options link_of(std::string_view given) {
    const auto wrong = [](std::string_view text, std::string_view what) {
        return CLI::ValidationError("--link", fmt::format("'{}' {}", printable(text), what));
    };
    testing::link_options link;
    std::set<std::string_view> keys;
    while (true) {
        const std::string_view item = given.substr(0, given.find(','));
        const std::size_t sign = std::min(item.find('='), item.size());
        const std::string_view key = item.substr(0, sign);
        const std::string_view value = item.substr(std::min(sign + 1, item.size()));
        if (key == "latency") {
            const auto time = latency_of(value);
            if (!time) throw wrong(item, "is not a time (with us, ms, s, m or h) between 0 and 1h");
            link.latency(*time);
        } else if (key == "bandwidth") {
            const auto bytes = parse_size(value);
            if (!bytes || *bytes == 0 || *bytes > max_bandwidth) {
                throw wrong(item, "is not a size (bytes, or with KiB, MiB, GiB) between 1 and 1TiB");
            }
            link.bandwidth(*bytes);
        } else {
            throw wrong(item, "is neither latency=TIME nor bandwidth=SIZE");
        }
        if (!keys.insert(key).second) throw wrong(key, "is given twice");
        if (item.size() == given.size()) return link;
        given.remove_prefix(item.size() + 1);
    }
}

// A parameter that was given and had no effect is usually a mistake.
void warn_of_the_unused(const emulator::server_options& given, const emulator::server_stats& seen) {
    const auto warn = [](const std::string& text) { complain("warning: " + text); };
    for (const std::string& token : seen.unused_tokens) warn("no call has brought " + token);
    for (std::size_t i = 0; i < seen.faults_struck.size(); ++i) {
        if (seen.faults_struck[i] != 0) continue;
        testing::fault_script one;
        one.faults.push_back(given.faults().faults[i]);
        std::string text = one.text();
        text.erase(text.find_last_not_of(";\n") + 1);
        warn(fmt::format("the fault '{}' has not struck", text));
    }
    for (const std::string& name : seen.missing_unfinalized) {
        warn(fmt::format("--unfinalized {}: there is no such object", name));
    }
    for (const std::string& name : seen.missing_buckets) {
        warn(fmt::format(
            "calls named the bucket {}, and {} has no such directory", name, given.root().string()
        ));
    }
    if (seen.accept_failures != 0) {
        warn("connections had to wait: the limit of descriptors was reached (ulimit -n)");
    }
}

void run_emulate(const std::shared_ptr<emulate_arguments>& args) {
    args->server.faults(faults_of(args->faults));
    args->server.strict(!args->lenient);
    if (args->verbose) args->server.log([](std::string_view line) { complain(line); });
    // Signals are caught from here on: a reader of the address may stop this process at once.
    asio::io_context loop(1);
    asio::signal_set signals(loop, SIGINT, SIGTERM);
    emulator::server server(args->server);
    if (!is_loopback(args->server.listen())) {
        complain(fmt::format(
            "warning: {} is not a loopback address; every host that reaches it can read all objects",
            args->server.listen()
        ));
    }
    write_out(server.address() + '\n');
    signals.async_wait([](const boost::system::error_code&, int) {});
    loop.run();
    server.shutdown();
    warn_of_the_unused(args->server, server.stats());
}

}  // namespace

void add_emulate(CLI::App& app, command& chosen) {
    const auto args = std::make_shared<emulate_arguments>();
    CLI::App& emulate =
        *app.add_subcommand("emulate", "Serves a directory as zonal buckets, until SIGINT or SIGTERM.");
    const auto take_root = [args](const std::string& path) { args->server.root(path); };
    emulate
        .add_option_function<std::string>(
            "--root", take_root, "DIR/bucket/object... is served as gs://bucket/object..."
        )
        ->option_text("DIR")
        ->required();
    const auto take_address = [args](const std::string& address) { args->server.listen(address); };
    emulate.add_option_function<std::string>("--listen", take_address, "the address; port 0: any free port")
        ->option_text("HOST:PORT")
        ->default_str(args->server.listen());
    const auto take_unfinalized = [args](const std::vector<std::string>& names) {
        for (const std::string& name : names) {
            const object_ref object = parse_object(name.starts_with("gs://") ? name : "gs://" + name);
            args->server.unfinalized(object.bucket() + '/' + object.name());
        }
    };
    emulate
        .add_option_function<std::vector<std::string>>(
            "--unfinalized",
            take_unfinalized,
            "this object is still being appended to: it keeps its generation while its file grows, and is "
            "finalized when the file is not writable any more (chmod a-w). May be given several times"
        )
        ->option_text("BUCKET/OBJECT")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    const auto take_link = [args](const std::string& text) { args->server.link(link_of(text)); };
    emulate
        .add_option_function<std::string>(
            "--link",
            take_link,
            "the simulated network: the round trip to the clients, and the bytes per second of all of them "
            "together; both or one of them"
        )
        ->option_text("latency=TIME,bandwidth=SIZE");
    emulate
        .add_option(
            "--faults",
            args->faults,
            "faults for the clients: a fault script as text, or @FILE with one as text or JSON. See "
            "docs/emulator.md"
        )
        ->option_text("TEXT");
    const auto take_seed = [args](const std::uint64_t& seed) { args->server.fault_seed(seed); };
    emulate
        .add_option_function<std::uint64_t>(
            "--fault-seed", take_seed, "seed of the faults with a chance; default: that of the script, or 1"
        )
        ->option_text("N");
    emulate.add_flag("--non-strict", args->lenient, "accept requests that only some servers reject");
    emulate.add_flag(
        "--verbose",
        args->verbose,
        "writes a line to standard error for each request and each call that fails"
    );
    emulate.footer(
        "The first line on standard output is the address, HOST:PORT. There is no encryption and no access "
        "control.\n\n"
        "Examples:\n"
        "  rangeio emulate --root buckets\n"
        "  rangeio emulate --root buckets --link latency=50ms,bandwidth=1GiB\n"
        "  rangeio emulate --root buckets --faults 'reset byte=1000000; latency delay=5ms'\n"
        "  rangeio ls --endpoint 127.0.0.1:PORT gs://some-bucket"
    );
    emulate.callback([args, &chosen] { chosen = [args] { run_emulate(args); }; });
}

}  // namespace rangeio::tool
