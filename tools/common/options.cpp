#include "common/options.hpp"

#include "common/advice.hpp"
#include "common/printable.hpp"
#include "common/process.hpp"
#include "common/units.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

namespace rangeio::tool {
namespace {

constexpr std::uint64_t max_streams = 1024;  // pool_options, fetch_options
constexpr std::uint64_t max_channels = 64;   // client_options
constexpr std::size_t max_token_bytes = 65536;
constexpr std::uint64_t max_budget_bytes = std::uint64_t{1} << 40;
constexpr const char* connection_group = "Connection";
constexpr const char* reading_group = "Reading";

struct prefetch_name {
    std::string_view text;
    prefetching how;
};
constexpr std::array<prefetch_name, 3> prefetch_names{{
    {"off", prefetching::off},
    {"linear", prefetching::linear_ramp},
    {"adaptive", prefetching::adaptive},
}};

// An option whose text `parse` turns into a value from `least` to `most`; `show` turns a value into text.
template <class T, class Parse, class Show>
CLI::Option* add_checked(
    CLI::App& app,
    const std::string& name,
    T& value,
    T least,
    T most,
    const std::string& what,
    const std::string& kind,
    Parse parse,
    Show show
) {
    const auto take = [&value, name, least, most, kind, parse, show](const std::string& text) {
        const std::optional<T> read = parse(text);
        if (!read || *read < least || *read > most) {
            throw CLI::ValidationError(
                name,
                fmt::format(
                    "'{}' is not {} between {} and {}", printable(text), kind, show(least), show(most)
                )
            );
        }
        value = *read;
    };
    return app.add_option_function<std::string>(name, take, what)->default_str(show(value));
}

std::string read_token(const std::string& path) {
    std::string token = read_file(path, max_token_bytes, path);
    if (token.size() > max_token_bytes) {
        throw failed(fmt::format("{}: the access token is larger than {} bytes", path, max_token_bytes));
    }
    const std::size_t end = token.find_last_not_of(" \t\r\n");
    token.erase(end == std::string::npos ? 0 : end + 1);
    if (token.empty()) throw failed(fmt::format("{}: it contains no access token", path));
    return token;
}

}  // namespace

CLI::Option* add_count(
    CLI::App& app,
    const std::string& name,
    std::uint64_t& value,
    std::uint64_t least,
    std::uint64_t most,
    const std::string& what
) {
    const auto show = [](std::uint64_t n) { return std::to_string(n); };
    return add_checked(app, name, value, least, most, what, "a number", parse_number, show)
        ->option_text("N")
        ->type_name("N");
}

CLI::Option* add_size(
    CLI::App& app,
    const std::string& name,
    std::uint64_t& value,
    std::uint64_t least,
    std::uint64_t most,
    const std::string& what
) {
    return add_checked(
               app,
               name,
               value,
               least,
               most,
               what,
               "a size (bytes, or with KiB, MiB, GiB)",
               parse_size,
               size_option_text
    )
        ->option_text("SIZE")
        ->type_name("SIZE");
}

CLI::Option* add_duration(
    CLI::App& app,
    const std::string& name,
    std::chrono::milliseconds& value,
    std::chrono::milliseconds least,
    std::chrono::milliseconds most,
    const std::string& what
) {
    return add_checked(
               app,
               name,
               value,
               least,
               most,
               what,
               "a time (with ms, s, m or h)",
               parse_duration,
               duration_option_text
    )
        ->option_text("TIME")
        ->type_name("TIME");
}

object_ref parse_object(const std::string& uri) {
    try {
        return object_ref::parse(uri);
    } catch (const error& wrong) {
        throw CLI::ValidationError(wrong.what() + advice_on_uri(uri), CLI::ExitCodes::ValidationError);
    }
}

CLI::Option* add_object(CLI::App& app, object_ref& object, const std::string& what) {
    const auto take = [&object](const std::string& uri) { object = parse_object(uri); };
    return app.add_option_function<std::string>("OBJECT", take, what)->required();
}

void add_generation(CLI::App& app, std::uint64_t& generation) {
    constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();
    add_count(app, "--generation", generation, 1, most, "read this generation (default: the live one)")
        ->default_str("");
}

void connection::add_to(CLI::App& app) {
    const auto take_endpoint = [this](const std::string& text) {
        try {
            check_endpoint(text);
        } catch (const error& wrong) {
            throw CLI::ValidationError("--endpoint", wrong.what());
        }
        endpoint_ = text;
    };
    app.add_option_function<std::string>(
           "--endpoint",
           take_endpoint,
           "gRPC target (default: $STORAGE_EMULATOR_HOST_GRPC, otherwise storage.googleapis.com:443)"
    )
        ->option_text("HOST:PORT")
        ->group(connection_group);
    CLI::Option* const insecure = app.add_flag(
        "--insecure", insecure_, "neither encryption nor credentials; the default for a loopback endpoint"
    );
    insecure->group(connection_group);
    app.add_option(
           "--access-token-file",
           token_file_,
           "send the OAuth2 access token in FILE (default: Google default credentials)"
    )
        ->option_text("FILE")
        ->excludes(insecure)
        ->group(connection_group);
    app.add_option("--user-project", user_project_, "project to bill, for a bucket whose requester pays")
        ->option_text("PROJECT")
        ->group(connection_group);
    add_duration(
        app,
        "--timeout",
        timeout_,
        std::chrono::milliseconds(0),
        std::chrono::hours(24),
        "time limit of a single request: opening a stream, reading a block, reading metadata; 0: no limit"
    )
        ->group(connection_group);
}

client_options connection::client(std::uint64_t channels) const {
    client_options options;
    options.endpoint(endpoint_)
        .user_project(user_project_)
        .rpc_timeout(timeout_)
        .channels(std::min(channels, max_channels))
        .observe(std::make_shared<waiting_notice>());
    if (insecure_) options.auth(credentials::insecure());
    if (!token_file_.empty()) options.auth(credentials::access_token(read_token(token_file_)));
    return options;
}

void reading::add_to(CLI::App& app) {
    add_count(
        app,
        "--pool-size",
        pool_size_,
        1,
        max_streams,
        "open at most N streams, over as many connections (at most 64)"
    )
        ->group(reading_group);
    add_count(
        app,
        "--concurrency",
        concurrency_,
        1,
        max_streams,
        "split each read into at most N concurrent parts of at least 2 MiB"
    )
        ->group(reading_group);
    add_generation(app, generation_);
    app.get_option("--generation")->group(reading_group);
    const auto be_verbose = [this](std::int64_t) { log_ = std::make_shared<event_log>(); };
    app.add_flag_function(
           "-v,--verbose",
           be_verbose,
           "a line on standard error for each event of a stream, such as its opening, break, resumption and "
           "end, and a summary"
    )
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)
        ->group(reading_group);
    connection_.add_to(app);
}

pool_options reading::pool() const {
    return pool_options().size(pool_size_).open_timeout(connection_.timeout());
}

fetch_options reading::fetching() const {
    return fetch_options().concurrency(concurrency_).timeout(connection_.timeout());
}

void read_ahead::add_to(CLI::App& app) {
    const auto take = [this](const std::string& text) {
        const auto* const named = std::ranges::find(prefetch_names, text, &prefetch_name::text);
        if (named == prefetch_names.end()) {
            throw CLI::ValidationError(
                "--prefetch", fmt::format("'{}' is not one of off, linear, adaptive", printable(text))
            );
        }
        how_ = named->how;
    };
    std::string what =
        "what is fetched ahead of reads: off: nothing; linear: blocks whose number grows with each "
        "sequential read; "
        "adaptive: what the reads so far have earned, up to what latency and bandwidth require";
    if (!how_) what += " (default: no reader, each read is requested by itself)";
    CLI::Option* const how = app.add_option_function<std::string>("--prefetch", take, what)
                                 ->option_text("HOW")
                                 ->type_name("HOW")
                                 ->default_str(std::string(name()))
                                 ->group(reading_group);
    CLI::Option* const budget = add_size(
        app,
        "--budget",
        budget_bytes_,
        memory_budget::min_limit_bytes,
        max_budget_bytes,
        "memory for bytes that have not been used yet"
    );
    budget->group(reading_group);
    if (!how_) budget->needs(how);
}

std::string_view read_ahead::name() const noexcept {
    if (!how_) return {};
    return std::ranges::find(prefetch_names, *how_, &prefetch_name::how)->text;
}

reader_options read_ahead::reader(const reading& with, const memory_budget& memory) const {
    return reader_options()
        .fetching(with.fetching())
        .prefetch(how_.value_or(prefetching::off))
        .memory(memory);
}

}  // namespace rangeio::tool
