#include "emulator/engine_fixture.hpp"
#include "support/mib.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

using namespace support;
using rangeio::client_options;
using rangeio::object_ref;
using rangeio::retry_policy;
using rangeio::emulator::server_options;
using rangeio::testing::fault;
using rangeio::testing::fault_kind;
using rangeio::testing::fault_kinds;
using rangeio::testing::fault_script;
using rangeio::testing::link_options;

// docs/emulator.md is held to what there is: it has each kind, and its examples do what it says.

namespace {

constexpr std::size_t example_bytes = 300'000;

std::string page() {
    const char* path = std::getenv("RANGEIO_EMULATOR_PAGE");
    REQUIRE_MESSAGE(path != nullptr, "RANGEIO_EMULATOR_PAGE names no docs/emulator.md");
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
}

struct example {
    std::string heading;
    std::string line;
};

// The commands in blocks of shell, and below which heading they stand.
std::vector<example> examples() {
    std::vector<example> out;
    std::istringstream in(page());
    std::string heading;
    bool inside = false;
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with("#") && !inside) heading = line.substr(line.find_first_not_of("# "));
        if (line.starts_with("```")) {
            inside = line == "```sh";
        } else if (inside) {
            out.push_back({heading, line});
        }
    }
    return out;
}

std::string between(const std::string& text, const std::string& begin, char end) {
    const auto at = text.find(begin);
    if (at == text.npos) return {};
    return text.substr(at + begin.size(), text.find(end, at + begin.size()) - at - begin.size());
}

// Of the command behind it: what the read, or the listing after it, fails with.
constexpr std::string_view fails = "# the read fails: ";
constexpr std::string_view listing_fails = "# the listing fails: ";

asio::awaitable<void> read_all(
    rangeio::client& client, object_ref object, std::vector<std::byte>& memory, std::string& why
) {
    const rangeio::byte_range whole(0, example_bytes);
    try {
        rangeio::mrd_pool pool = co_await client.async_open(object);
        co_await pool.async_fetch(whole, memory);
    } catch (const rangeio::error& e) {
        why = e.code().message();
    }
}

asio::awaitable<void> list_all(rangeio::client& client, object_ref object, std::string& why) {
    rangeio::list_options options;
    options.page_size(1);
    try {
        (void)co_await client.async_stat(object);
        do {
            const rangeio::list_page page = co_await client.async_list(object.bucket(), options);
            options.page_token(page.next_page_token);
        } while (!options.page_token().empty());
    } catch (const rangeio::error& e) {
        why = e.code().message();
    }
}

void run_example(const std::string& line) {
    const std::string faults = between(line, "--faults '", '\'');
    server_options options;
    options.faults(fault_script::parse(faults));
    // The page has one example, in these units.
    const std::string link = between(line, "--link latency=", ' ');
    unsigned latency_ms = 0;
    unsigned mib_per_second = 0;
    if (!link.empty()) {
        REQUIRE(std::sscanf(link.c_str(), "%ums,bandwidth=%uMiB", &latency_ms, &mib_per_second) == 2);
        options.link(
            link_options().latency(std::chrono::milliseconds(latency_ms)).bandwidth(mib_per_second * mib)
        );
    }
    const std::string unfinalized = between(line, "--unfinalized ", ' ');
    if (!unfinalized.empty()) options.unfinalized("b-1/" + unfinalized.substr(unfinalized.find('/') + 1));
    // As the command's, but for its patience; a message of many MiB takes its time. Where the read is to fail, a
    // machine that is slow for a moment would cost the call, and the next one may serve it.
    const bool fast = faults.find("giant-message") == faults.npos && line.find(fails) == line.npos;
    const auto patience = fast ? 200ms : 20s;
    const auto quick =
        retry_policy().initial_backoff(1ms).max_backoff(4ms).attempts(1000).stall_timeout(patience);
    engine_fixture f(options, client_options().retry(quick));
    const std::string content = pattern(example_bytes);
    const object_ref object = f.put("object", content);
    std::vector<std::byte> memory(example_bytes);
    std::string why;
    const auto began = std::chrono::steady_clock::now();
    f.run(read_all(f.client, object, memory, why));
    CHECK(std::chrono::steady_clock::now() - began >= std::chrono::milliseconds(latency_ms));
    const auto comment = line.find(fails);
    CHECK(why == (comment == line.npos ? "" : line.substr(comment + fails.size())));
    if (why.empty()) CHECK(std::ranges::equal(memory, std::as_bytes(std::span(content))));
    std::string list_why;
    const bool of_metadata = faults.find("metadata") != faults.npos || faults.find("-page") != faults.npos;
    if (of_metadata) f.run(list_all(f.client, object, list_why));
    const auto list_comment = line.find(listing_fails);
    CHECK(list_why == (list_comment == line.npos ? "" : line.substr(list_comment + listing_fails.size())));
    for (const std::uint64_t times : f.server.stats().faults_struck) CHECK(times > 0);
}

}  // namespace

TEST_CASE("docs/emulator.md: each kind of fault has an example below its name") {
    std::set<std::string> shown;
    for (const example& e : examples()) {
        const std::string faults = between(e.line, "--faults '", '\'');
        if (faults.empty()) continue;
        CAPTURE(e.line);
        const fault_script script = fault_script::parse(faults);
        CHECK(std::ranges::any_of(script.faults, [&](const fault& f) {
            return to_string(f.kind) == e.heading;
        }));
        shown.insert(e.heading);
    }
    for (const fault_kind kind : fault_kinds()) {
        CAPTURE(to_string(kind));
        CHECK(shown.contains(std::string(to_string(kind))));
    }
}

TEST_CASE("docs/emulator.md: the examples affect a read as the page states") {
    for (const example& e : examples()) {
        CAPTURE(e.line);
        CHECK(e.line.starts_with("rangeio emulate --root buckets"));
        run_example(e.line);
    }
}

TEST_CASE("docs/emulator.md: the script in JSON is parsed") {
    const std::string text = page();
    const auto begin = text.find("```json\n") + 8;
    const fault_script script = fault_script::parse(text.substr(begin, text.find("```", begin) - begin));
    CHECK(script.seed == 7);
    CHECK(script.faults.size() == 2);
}
