#include "emulator/engine_fixture.hpp"
#include "support/event_recorder.hpp"
#include "support/mib.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

// For each public option: set it, and see the difference where it takes effect, most of them at the server.
// tools/option-check drops the options one at a time and requires that a test fails.

using namespace support;
using rangeio::byte_range;
using rangeio::client_options;
using rangeio::credentials;
using rangeio::errc;
using rangeio::fetch_options;
using rangeio::fetch_ranges_options;
using rangeio::lease;
using rangeio::list_options;
using rangeio::mrd_pool;
using rangeio::object_ref;
using rangeio::pool_options;
using rangeio::range_request;
using rangeio::emulator::server_options;
using rangeio::testing::fault_script;

namespace {

// For localhost and 127.0.0.1, until 2200; its key guards nothing.
constexpr const char* certificate =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBZzCCAQ2gAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv\n"
    "c3QwIBcNMDAwMTAxMDAwMDAwWhgPMjIwMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM\n"
    "CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABMYzY/Qai1+3VTwO\n"
    "crO7laXNXQoAlSjemV9Vjbf9o8fUwyuGOB9UuGmIHLYatpEXchCOGyvhmxK1wEPG\n"
    "jLL5giujTjBMMBoGA1UdEQQTMBGCCWxvY2FsaG9zdIcEfwAAATAPBgNVHRMBAf8E\n"
    "BTADAQH/MB0GA1UdDgQWBBR8KlYBZuUA4W+iBVe+tN2kQNkfVTAKBggqhkjOPQQD\n"
    "AgNIADBFAiEAxDLG1VPz4LwMN2Dy9K47f/XKyk64YSlhcJEpjnuMB1gCIFrRdk0z\n"
    "5WgxRiKO0bw+XQ/OrrbYhE1VgG2G7IirZlJ/\n"
    "-----END CERTIFICATE-----\n";
constexpr const char* private_key =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgozni4wzlmDslm/vh\n"
    "4V17wdijCaoogJSWsZTnQcmSuwKhRANCAATGM2P0Gotft1U8DnKzu5WlzV0KAJUo\n"
    "3plfVY23/aPH1MMrhjgfVLhpiBy2GraRF3IQjhsr4ZsStcBDxoyy+YIr\n"
    "-----END PRIVATE KEY-----\n";

server_options with_faults(const char* script) {
    return server_options().faults(fault_script::parse(script));
}

/// What `make()` fails with.
template <class Make>
rangeio::error_value failed(engine_fixture& f, Make make) {
    rangeio::error_value out;
    const auto body = [&]() -> asio::awaitable<void> { out = co_await failure_of(make()); };
    f.run(body());
    return out;
}

asio::awaitable<void> read_it(mrd_pool& pool, byte_range range, fetch_options how, std::string& out) {
    const rangeio::byte_block block = co_await pool.async_fetch(range, how);
    out = text_of(block);
}

/// Reads a range of an object through a pool of its own.
std::string read_with(
    engine_fixture& f, const object_ref& object, byte_range range, pool_options pool_how, fetch_options how
) {
    mrd_pool pool = f.client.pool(object, std::move(pool_how));
    std::string out;
    f.run(read_it(pool, range, how, out));
    return out;
}

asio::awaitable<void> lease_some(mrd_pool& pool, std::size_t count, std::vector<lease>& out) {
    while (out.size() < count) out.push_back(co_await pool.async_acquire());
}

}  // namespace

TEST_CASE("client_options::auth: an access token is sent with each call over TLS, and never without TLS") {
    engine_fixture f(server_options().tls(certificate, private_key), client_options());
    const object_ref object = f.put("o", "content");
    f.files.write("roots.pem", certificate);
    ::setenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", (f.files.path() / "roots.pem").c_str(), 1);
    const auto with_token =
        client_options().endpoint(f.server.address()).auth(credentials::access_token("t0"));
    rangeio::client secure(f.context.get_executor(), with_token);
    std::string read;
    const auto body = [&]() -> asio::awaitable<void> {
        const rangeio::object_info info = co_await secure.async_stat(object);
        CHECK(info.size == 7);
        std::array<std::byte, 7> memory{};
        CHECK(co_await secure.async_fetch(object, byte_range(0, 7), memory) == 7);
    };
    f.run(body());
    CHECK(f.server.stats().authorized_calls == 2);

    const auto no_retries = rangeio::retry_policy::none();
    const auto token = client_options().auth(credentials::access_token("t0")).retry(no_retries);
    engine_fixture plain(server_options(), token);
    const object_ref there = plain.put("o", "content");
    CHECK(failed(plain, [&] { return plain.client.async_stat(there); }).code());
    CHECK(plain.server.stats().get_object.calls == 0);

    engine_fixture anonymous;
    const object_ref open = anonymous.put("o", "content");
    CHECK_FALSE(failed(anonymous, [&] { return anonymous.client.async_stat(open); }).code());
    CHECK(anonymous.server.stats().get_object.calls == 1);
    CHECK(anonymous.server.stats().authorized_calls == 0);
}

TEST_CASE("client_options::user_project: the project is sent with streams, metadata and listings") {
    using make = std::function<void(engine_fixture&, const object_ref&)>;
    const std::vector<make> calls{
        [](engine_fixture& f, const object_ref& object) {
            CHECK(read_with(f, object, byte_range(0, 7), {}, {}) == "content");
        },
        [](engine_fixture& f, const object_ref& object) {
            CHECK_FALSE(failed(f, [&] { return f.client.async_stat(object); }).code());
        },
        [](engine_fixture& f, const object_ref&) {
            CHECK_FALSE(failed(f, [&] { return f.client.async_list("b-1"); }).code());
        },
        [](engine_fixture& f, const object_ref&) {
            CHECK_FALSE(failed(f, [&] { return f.client.async_layout("b-1"); }).code());
        },
    };
    for (const make& call : calls) {
        engine_fixture billed(client_options().user_project("billed-1"));
        call(billed, billed.put("o", "content"));
        CHECK(billed.server.stats().user_projects == std::set<std::string>{"billed-1"});
        engine_fixture free_of_charge;
        call(free_of_charge, free_of_charge.put("o", "content"));
        CHECK(free_of_charge.server.stats().user_projects.empty());
    }
}

TEST_CASE("client_options::channels: streams use the connections in turn") {
    const auto connections = [](std::size_t channels) {
        engine_fixture f(client_options().channels(channels));
        const object_ref object = f.put("o", "content");
        mrd_pool pool = f.client.pool(object, pool_options().size(6));
        std::vector<lease> leases;
        f.run(lease_some(pool, 6, leases));
        CHECK(f.server.stats().bidi_read_object.calls == 6);
        return f.server.stats().connections;
    };
    const auto one = connections(1);
    CHECK(connections(3) == one + 2);
    CHECK(connections(6) == one + 5);
}

TEST_CASE("client_options::rpc_timeout: a metadata query that is not answered in time fails as timed_out") {
    asio::io_context silent;
    const asio::ip::tcp::acceptor acceptor(silent, {asio::ip::address_v4::loopback(), 0});
    engine_fixture f;
    const auto how = client_options()
                         .endpoint("127.0.0.1:" + std::to_string(acceptor.local_endpoint().port()))
                         .rpc_timeout(20ms);
    rangeio::client client(f.context.get_executor(), how);
    CHECK(failed(f, [&] { return client.async_stat(object_ref("b-1", "o")); }).code() == errc::timed_out);
}

TEST_CASE("client_options::retry: a call that fails once is repeated or fails, as the policy says") {
    const auto ends = [](const rangeio::retry_policy& policy) {
        engine_fixture f(with_faults("fail-open"), client_options().retry(policy));
        const object_ref object = f.put("o", "content");
        return failed(f, [&] { return f.client.async_open(object); }).code();
    };
    CHECK_FALSE(ends(rangeio::retry_policy()));
    CHECK(ends(rangeio::retry_policy::none()));
}

TEST_CASE("observe: events of a pool with its own observer reach that one only") {
    const auto of_client = std::make_shared<event_recorder>();
    const auto of_pool = std::make_shared<event_recorder>();
    engine_fixture f(client_options().observe(of_client));
    const object_ref object = f.put("o", "content");
    CHECK(read_with(f, object, byte_range(0, 7), pool_options().observe(of_pool), {}) == "content");
    CHECK(of_pool->count("stream_opened") == 1);
    CHECK(of_client->texts().empty());
    CHECK(read_with(f, object, byte_range(0, 7), {}, {}) == "content");
    CHECK(of_client->count("stream_opened") == 1);
    CHECK(of_pool->count("stream_opened") == 1);
}

TEST_CASE("client_options: a response above gRPC's usual 4 MiB is accepted") {
    engine_fixture f(with_faults("batch bytes=4"), client_options());
    const std::string content = pattern(8 * mib);
    const object_ref object = f.put("o", content);
    const auto how = fetch_options().concurrency(1);
    CHECK(read_with(f, object, byte_range(0, 8 * mib), pool_options().size(1), how) == content);
    // The opening and the data, or both in one: no call was made again.
    CHECK(f.server.stats().bidi_read_object.responses <= 2);
    CHECK(f.server.stats().bidi_read_object.calls == 1);
}

TEST_CASE("pool_options::size: a pool opens no more streams than its size") {
    for (const std::size_t size : {std::size_t{1}, std::size_t{3}}) {
        engine_fixture f;
        const object_ref object = f.put("o", "content");
        mrd_pool pool = f.client.pool(object, pool_options().size(size));
        std::vector<lease> leases;
        f.run(lease_some(pool, 8, leases));
        CHECK(f.server.stats().bidi_read_object.calls == size);
    }
}

TEST_CASE("pool_options::sharing: least_outstanding avoids a stream with unanswered ranges, in a cache too") {
    engine_fixture f(with_faults("mute call=1 times=0"), client_options());
    const std::string content = pattern(1000);
    const object_ref object = f.put("o", content);
    const auto how = pool_options().size(2).sharing(rangeio::sharing_policy::least_outstanding);
    std::optional<rangeio::mrd_pool_cache> cache;
    std::optional<mrd_pool> pool;
    SUBCASE("a pool of the client") {
        pool = f.client.pool(object, how);
    }
    SUBCASE("a pool of a cache") {
        cache = f.client.pool_cache();
        const auto open = [&]() -> asio::awaitable<void> { pool = co_await cache->async_open(object, how); };
        f.run(open());
    }
    std::vector<lease> busy;
    f.run(lease_some(*pool, 2, busy));
    std::vector<std::byte> unanswered(500);
    std::array<std::byte, 10> memory{};
    const auto body = [&]() -> asio::awaitable<void> {
        busy[0].async_fetch(byte_range(0, 500), unanswered, asio::detached);
        for (int i = 0; i < 6; ++i) {
            lease shared = co_await pool->async_acquire();
            // Only if it is on the other stream is it answered.
            CHECK(
                co_await shared.async_fetch(
                    byte_range(10, 10), memory, rangeio::read_options().timeout(10s)
                ) == 10
            );
        }
    };
    f.run(body());
    CHECK(f.server.stats().bidi_read_object.calls == 2);
    // No test step waits for the unanswered range: the server may not have received it yet.
    const auto limit = std::chrono::steady_clock::now() + 20s;
    while (f.server.stats().ranges_requested < 7 && std::chrono::steady_clock::now() < limit) {
        std::this_thread::yield();
    }
    CHECK(f.server.stats().ranges_requested == 7);
    busy.clear();
    pool.reset();
    cache.reset();
    // What was never answered ends with its stream.
    f.context.restart();
    f.context.run_for(5s);
}

TEST_CASE("pool_options::open_timeout: an open that is not answered fails as timed_out") {
    engine_fixture f(with_faults("hang-open times=0"), client_options());
    const object_ref object = f.put("o", "content");
    const auto how = pool_options().open_timeout(20ms);
    CHECK(failed(f, [&] { return f.client.async_open(object, how); }).code() == errc::timed_out);
}

TEST_CASE("fetch_options::concurrency and min_chunk_bytes: a read is cut into the given number of parts") {
    const auto ranges = [](fetch_options how) {
        engine_fixture f;
        const std::string content = pattern(1000);
        const object_ref object = f.put("o", content);
        CHECK(read_with(f, object, byte_range(0, 1000), {}, how) == content);
        return f.server.stats().ranges_requested;
    };
    CHECK(ranges(fetch_options().concurrency(3).min_chunk_bytes(1)) == 3);
    CHECK(ranges(fetch_options().concurrency(7).min_chunk_bytes(1)) == 7);
    CHECK(ranges(fetch_options().concurrency(7).min_chunk_bytes(500)) == 2);
}

TEST_CASE("fetch_options::allow_short: a range past the end is short, or an error without the option") {
    engine_fixture f;
    const object_ref object = f.put("o", "content");
    CHECK(read_with(f, object, byte_range(3, 10), {}, fetch_options().allow_short(true)) == "tent");
    mrd_pool pool = f.client.pool(object);
    CHECK(failed(f, [&] {
              return pool.async_fetch(byte_range(3, 10));
          }).code() == errc::range_not_satisfiable);
}

TEST_CASE("timeout: fetch, fetch_split, client::async_fetch and fetch_ranges end at their timeout") {
    engine_fixture f(with_faults("mute times=0"), client_options());
    const object_ref object = f.put("o", "content");
    const auto soon = fetch_options().timeout(20ms);
    std::array<std::byte, 7> memory{};
    const std::span<std::byte> out(memory);
    CHECK(failed(f, [&] {
              return f.client.async_fetch(object, byte_range(0, 7), out, soon);
          }).code() == errc::timed_out);
    mrd_pool pool = f.client.pool(object);
    CHECK(failed(f, [&] { return pool.async_fetch(byte_range(0, 7), out, soon); }).code() == errc::timed_out);
    CHECK(failed(f, [&] { return pool.async_fetch(byte_range(0, 7), soon); }).code() == errc::timed_out);
    CHECK(failed(f, [&] {
              std::vector<std::uint64_t> lengths{3, 4};
              return pool.async_fetch_split(0, std::move(lengths), soon);
          }).code() == errc::timed_out);
    const auto scattered = fetch_ranges_options().timeout(20ms);
    CHECK(failed(f, [&] {
              std::vector<range_request> ranges(1, range_request(byte_range(0, 7), out));
              return pool.async_fetch_ranges(std::move(ranges), scattered);
          }).code() == errc::timed_out);
}

TEST_CASE("timeout: fetch_tail and refresh_size on a growing object end at their timeout") {
    engine_fixture f(with_faults("mute times=0").unfinalized({"b-1/o"}), client_options());
    mrd_pool pool = f.client.pool(f.put("o", "content"));
    const auto soon = fetch_options().timeout(20ms);
    CHECK(failed(f, [&] { return pool.async_fetch_tail(3, soon); }).code() == errc::timed_out);
    CHECK(failed(f, [&] {
              return pool.async_refresh_size(rangeio::read_options().timeout(20ms));
          }).code() == errc::timed_out);
}

TEST_CASE("fetch_ranges_options: max_gap_bytes, max_merged_bytes and unit_bytes are applied") {
    const auto asked = [](const fetch_ranges_options& how) {
        engine_fixture f;
        const std::string content = pattern(1000);
        const object_ref object = f.put("o", content);
        mrd_pool pool = f.client.pool(object);
        std::vector<std::byte> first(100);
        std::vector<std::byte> second(100);
        std::vector<range_request> ranges;
        ranges.emplace_back(byte_range(0, 100), first);
        ranges.emplace_back(byte_range(110, 100), second);
        const auto body = [&]() -> asio::awaitable<void> {
            co_await pool.async_fetch_ranges(std::move(ranges), how);
        };
        f.run(body());
        CHECK(std::ranges::equal(first, std::as_bytes(std::span(content).subspan(0, 100))));
        CHECK(std::ranges::equal(second, std::as_bytes(std::span(content).subspan(110, 100))));
        return f.server.stats().ranges_requested;
    };
    CHECK(asked(fetch_ranges_options()) == 2);
    CHECK(asked(fetch_ranges_options().max_gap_bytes(10)) == 1);
    CHECK(asked(fetch_ranges_options().max_gap_bytes(9)) == 2);
    CHECK(asked(fetch_ranges_options().max_gap_bytes(10).max_merged_bytes(209)) == 2);
    CHECK(asked(fetch_ranges_options().unit_bytes(50)) == 4);
}

TEST_CASE("list_options: prefix, delimiter, page size and page token are applied") {
    engine_fixture f;
    for (const char* name : {"a/1", "a/2", "b", "c"}) f.put(name, "content");
    const auto listed = [&](const list_options& how, std::string* next = nullptr) {
        std::vector<std::string> out;
        const auto body = [&]() -> asio::awaitable<void> {
            const rangeio::list_page page = co_await f.client.async_list("b-1", how);
            for (const auto& prefix : page.prefixes) out.push_back(prefix);
            for (const auto& object : page.objects) out.push_back(object.name);
            if (next != nullptr) *next = page.next_page_token;
        };
        f.run(body());
        return out;
    };
    using names = std::vector<std::string>;
    CHECK(listed(list_options().prefix("a")) == names{"a/1", "a/2"});
    CHECK(listed(list_options().prefix("a").delimiter("/")) == names{"a/"});
    std::string next;
    CHECK(listed(list_options().prefix("a").page_size(1), &next) == names{"a/1"});
    CHECK(listed(list_options().prefix("a").page_size(1).page_token(next)) == names{"a/2"});
}

TEST_CASE("server_options::log: each request and each failure gives a line, none of them with a header") {
    std::vector<std::string> lines;
    std::mutex mutex;
    {
        fixture f(server_options().log([&](std::string_view line) {
            const std::lock_guard lock(mutex);
            lines.emplace_back(line);
        }));
        f.files.write("b/o", "content");
        f.stat("o");
        CHECK(read_ranges(f, bidi_request("o", {{0, 1, 1}, {2, 1, 2}})).outcome.code == code::ok);
        storage::GetObjectRequest request;
        request.set_bucket(bucket_name);
        request.set_object("a\nb");
        CHECK(f.refused(get_object, request).code == code::invalid_argument);
    }
    REQUIRE(lines.size() == 4);
    CHECK(lines[0] == "#1 GetObject gs://b/o");
    CHECK(lines[1] == "#2 BidiReadObject gs://b/o: 2 ranges");
    CHECK(lines[2].starts_with("#3 GetObject gs://b/a"));
    CHECK(lines[3].starts_with("#3 GetObject INVALID_ARGUMENT: "));
    for (const std::string& line : lines) {
        CHECK(line.find('\n') == std::string::npos);
        CHECK(line.find("projects/_") == std::string::npos);
    }
}

TEST_CASE("server_options::log: the callback runs on one thread at a time, however many calls there are") {
    std::atomic<int> inside{0};
    std::atomic<int> overlaps{0};
    std::atomic<int> lines{0};
    fixture f(server_options().log([&](std::string_view) {
        if (++inside != 1) ++overlaps;
        for (int i = 0; i < 20; ++i) std::this_thread::yield();
        --inside;
        ++lines;
    }));
    f.files.write("b/o", "content");
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([&f] {
                raw_client client(f.server.address());
                storage::GetObjectRequest request;
                request.set_bucket(bucket_name);
                request.set_object("o");
                for (int n = 0; n < 50; ++n) {
                    CHECK(client.unary(get_object, request.SerializeAsString(), bucket_params).code == 0);
                }
            });
        }
    }
    CHECK(lines == 200);
    CHECK(overlaps == 0);
}
