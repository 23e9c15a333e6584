#include <rangeio/grpc_log.hpp>

#include "emulator/engine_fixture.hpp"
#include "support/hostile_messages.hpp"
#include "support/hostile_service.hpp"

#include <grpc/support/log.h>

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

using namespace support;
using rangeio::client_options;
using rangeio::errc;
using rangeio::list_options;
using rangeio::list_page;
using rangeio::mrd_pool;
using rangeio::object_ref;
using rangeio::retry_policy;
using rangeio::emulator::server_options;
using rangeio::testing::fault_script;

// Questions for metadata over gRPC: what a service may do to them, and what they may not do to their host.

namespace {

client_options patient() {
    const auto quick = retry_policy().initial_backoff(1ms).max_backoff(4ms).stall_timeout(300ms);
    return client_options().retry(quick).rpc_timeout(20s);
}

struct metadata_fixture : engine_fixture {
    explicit metadata_fixture(std::string_view faults = "", client_options options = patient())
        : engine_fixture(server_options().faults(fault_script::parse(faults)), std::move(options)) {
        for (const char* name : {"a", "b", "c/1", "c/2", "d"}) put(name, name);
    }

    asio::awaitable<void> follow(list_options options) {
        do {
            const list_page page = co_await client.async_list("b-1", options);
            for (const auto& object : page.objects) names.push_back(object.name);
            for (const auto& prefix : page.prefixes) names.push_back(prefix);
            ++pages;
            options.page_token(page.next_page_token);
        } while (!options.page_token().empty());
    }
    /// Lists the bucket, a name on each page.
    rangeio::error_value list() {
        rangeio::error_value out;
        const auto body = [&]() -> asio::awaitable<void> {
            const list_options small = list_options().page_size(1);
            out = co_await failure_of(follow(small));
        };
        run(body());
        return out;
    }
    rangeio::error_value refused(list_options options) {
        rangeio::error_value out;
        const auto body = [&]() -> asio::awaitable<void> {
            out = co_await failure_of(client.async_list("b-1", options));
        };
        run(body());
        return out;
    }

    std::vector<std::string> names;
    int pages = 0;
};

const std::vector<std::string> all_names{".keep", "a", "b", "c/1", "c/2", "d"};

/// What is written to standard error meanwhile.
template <class Action>
std::string printed(Action action) {
    scratch files;
    const std::string path = files.path() / "stderr";
    files.write("stderr", "");
    const int kept = ::dup(2);
    FILE* const file = std::freopen(path.c_str(), "w", stderr);
    REQUIRE(file != nullptr);
    action();
    std::fflush(stderr);
    ::dup2(kept, 2);
    ::close(kept);
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("metadata: a query that fails for a moment is retried, on every page") {
    metadata_fixture f(
        "fail-metadata call=1; fail-metadata call=4 times=1; fail-metadata call=5 status=ABORTED; "
        "hang-metadata call=8"
    );
    CHECK_FALSE(f.list());
    CHECK(f.names == all_names);
    for (const auto times : f.server.stats().faults_struck) CHECK(times == 1);
    const auto ask = [&]() -> asio::awaitable<void> {
        const object_ref object("b-1", "a");
        CHECK((co_await f.client.async_stat(object)).size == 1);
        (void)co_await f.client.async_layout("b-1");
    };
    f.run(ask());
}

TEST_CASE("metadata: stat and layout are retried too, and a permanent failure is reported as such") {
    metadata_fixture f("fail-metadata call=1; fail-metadata call=3 times=2");
    const auto ask = [&]() -> asio::awaitable<void> {
        const object_ref object("b-1", "a");
        CHECK((co_await f.client.async_stat(object)).size == 1);
        (void)co_await f.client.async_layout("b-1");
    };
    f.run(ask());
    metadata_fixture dead(
        "fail-metadata times=0 status=INTERNAL",
        patient().retry(retry_policy().attempts(2).initial_backoff(1ms).budget(1ms))
    );
    CHECK(dead.list().kind() == rangeio::error_class::transient);
    metadata_fixture denied("fail-metadata times=0 status=PERMISSION_DENIED");
    CHECK(denied.list().code() == errc::permission_denied);
    CHECK(denied.server.stats().list_objects.calls == 1);
    metadata_fixture once("fail-metadata", patient().retry(retry_policy::none()));
    CHECK(once.list().kind() == rangeio::error_class::transient);
    metadata_fixture throttled(
        "fail-metadata status=RESOURCE_EXHAUSTED retry-after=2s", patient().retry(retry_policy::none())
    );
    CHECK(throttled.list().retry_after() == 2s);
}

TEST_CASE(
    "metadata: a query that is never answered fails at the time limit, with the last attempt in its text"
) {
    metadata_fixture f("hang-metadata times=0", patient().rpc_timeout(800ms));
    const auto why = f.list();
    CHECK(why.code() == errc::timed_out);
    CHECK(why.message() == "gs://b-1: timed out (the last attempt: no answer for 0.3 s)");
}

TEST_CASE("listing: pages without names are skipped, up to max_empty_pages in a row") {
    metadata_fixture f("empty-page call=2; empty-page call=4");
    CHECK_FALSE(f.list());
    CHECK(f.names == all_names);
    CHECK(f.pages == 8);
    metadata_fixture endless("empty-page times=0");
    const auto body = [&]() -> asio::awaitable<void> {
        const list_options few = list_options().max_empty_pages(5);
        const auto why = co_await failure_of(endless.follow(few));
        CHECK(why.code() == errc::protocol_error);
        CHECK(why.message() == "gs://b-1: 6 pages in a row without a name");
    };
    endless.run(body());
}

TEST_CASE("listing: a repeated token or a name that does not increase ends the listing with an error") {
    metadata_fixture repeats("repeat-page times=0");
    CHECK(repeats.list().code() == errc::protocol_error);
    CHECK(repeats.pages <= 3);
    metadata_fixture unordered("unordered-page call=3");
    const auto why = unordered.list();
    CHECK(why.code() == errc::protocol_error);
    CHECK(why.message() == "gs://b-1: the names of the objects do not increase");
    CHECK(unordered.pages == 2);
}

TEST_CASE("listing: an invalid argument is rejected by name before a call, and nothing is printed") {
    metadata_fixture f;
    const std::string no_text = "\xff\xfe";
    const std::string out = printed([&] {
        CHECK(f.refused(list_options().prefix(no_text)).message() == "prefix: not UTF-8");
        CHECK(f.refused(list_options().delimiter(no_text)).message() == "delimiter: not UTF-8");
        CHECK(f.refused(list_options().page_token(no_text)).message() == "page_token: not UTF-8");
        CHECK(f.refused(list_options().page_size(0)).message() == "page_size: 0 is not in 1..1000");
        CHECK(f.refused(list_options().page_size(1001)).code() == errc::invalid_argument);
        CHECK(f.refused(list_options().max_empty_pages(0)).code() == errc::invalid_argument);
        CHECK(f.refused(list_options().prefix(std::string(1025, 'x'))).code() == errc::invalid_argument);
        CHECK_THROWS_AS((void)object_ref("b-1", no_text), rangeio::error);
        CHECK_THROWS_AS((void)object_ref("b-1" + no_text, "o"), rangeio::error);
        const auto strange = client_options().endpoint(f.server.address()).user_project(no_text);
        CHECK_THROWS_AS(rangeio::client(f.context.get_executor(), strange), rangeio::error);
        const auto bucket = [&]() -> asio::awaitable<void> {
            const std::string name = "b-1" + no_text;
            CHECK((co_await failure_of(f.client.async_list(name))).code() == errc::invalid_argument);
            CHECK((co_await failure_of(f.client.async_layout(name))).code() == errc::invalid_argument);
        };
        f.run(bucket());
    });
    CHECK(out == "");
    CHECK(f.server.stats().list_objects.calls == 0);
}

TEST_CASE("listing: a text of the peer that is not UTF-8 is an error that names it, and nothing is printed") {
    const std::string no_text = "\xff\xfe";
    std::string answer;
    hostile_service peer([&answer](hostile_call& call, const auto&) {
        call.send(answer);
        call.end(0);
    });
    engine_fixture f;
    const auto options = client_options().endpoint(peer.address());
    rangeio::client client(f.context.get_executor(), options);
    rangeio::error_value why;
    const auto list = [&]() -> asio::awaitable<void> { why = co_await failure_of(client.async_list("b-1")); };
    const auto layout = [&]() -> asio::awaitable<void> {
        why = co_await failure_of(client.async_layout("b-1"));
    };
    const std::string out = printed([&] {
        for (const std::string& page :
             {hostile::bytes_field(1, hostile::bytes_field(1, no_text)),
              hostile::bytes_field(2, no_text),
              hostile::bytes_field(3, no_text)}) {
            answer = page;
            f.run(list());
            CHECK(why.code() == errc::protocol_error);
            CHECK(why.message() == "gs://b-1: malformed response: a text that is not UTF-8");
        }
        answer = hostile::bytes_field(2, no_text);
        f.run(layout());
        CHECK(why.code() == errc::protocol_error);
        CHECK(why.message() == "gs://b-1: malformed response: a text that is not UTF-8");
    });
    CHECK(out == "");
}

// In a process of its own: the log belongs to all of one.
TEST_CASE("gRPC's log: the library does not change it, and quiet_grpc_log() silences it unless requested") {
    ::unsetenv("GRPC_VERBOSITY");
    ::unsetenv("GRPC_TRACE");
    const auto in_child = [](auto action) {
        return printed([&] {
            const pid_t child = ::fork();
            if (child == 0) {
                action();
                gpr_log(GPR_ERROR, "a line of gRPC");
                std::fflush(stderr);
                ::_exit(0);
            }
            int status = 0;
            ::waitpid(child, &status, 0);
            CHECK(status == 0);
        });
    };
    metadata_fixture f;
    CHECK_FALSE(f.list());
    CHECK(in_child([] {}).find("a line of gRPC") != std::string::npos);
    CHECK(in_child([] { rangeio::quiet_grpc_log(); }) == "");
    const std::string wanted = in_child([] {
        ::setenv("GRPC_VERBOSITY", "ERROR", 1);
        rangeio::quiet_grpc_log();
    });
    CHECK(wanted.find("a line of gRPC") != std::string::npos);
}

TEST_CASE("cache: a generation that was live a moment ago and is deleted is replaced by the live one") {
    engine_fixture f;
    const object_ref by_name = f.put("o", "old");
    // Without idle streams the generation has to be opened, and is not there.
    auto cache =
        f.client.pool_cache(rangeio::pool_cache_options().generation_max_age(1h).max_idle_streams_per_key(0));
    std::int64_t before = 0;
    const auto visit = [&](std::string_view content) -> asio::awaitable<void> {
        mrd_pool pool = co_await cache.async_open(by_name);
        const rangeio::byte_range whole(0, 3);
        const auto block = co_await pool.async_fetch(whole);
        CHECK(text_of(block) == content);
        CHECK(pool.info()->generation != before);
        before = pool.info()->generation;
        co_await pool.async_close();
    };
    f.run(visit("old"));
    f.put("o", "new");
    f.run(visit("new"));
}

TEST_CASE("client: a negative time limit is rejected when the client is made") {
    asio::io_context context;
    CHECK_THROWS_AS(
        rangeio::client(context.get_executor(), client_options().rpc_timeout(-1ns)), rangeio::error
    );
}

TEST_CASE("client::async_fetch: a negative time limit expires at once") {
    engine_fixture f;
    const object_ref object = f.put("o", "0123");
    const auto read = [&]() -> asio::awaitable<void> {
        std::array<std::byte, 4> memory{};
        const rangeio::byte_range range(0, 4);
        const auto over = rangeio::fetch_options().timeout(-1ns);
        CHECK(
            (co_await failure_of(f.client.async_fetch(object, range, memory, over))).code() == errc::timed_out
        );
    };
    f.run(read());
    CHECK(f.server.stats().bidi_read_object.calls == 0);
}
