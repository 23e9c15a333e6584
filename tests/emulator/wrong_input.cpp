#include "emulator/engine_fixture.hpp"

#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <limits>
#include <memory>
#include <vector>

using namespace support;
using rangeio::byte_range;
using rangeio::errc;
using rangeio::fetch_options;
using rangeio::mrd_pool;
using rangeio::object_ref;
using rangeio::pool_options;

namespace {

/// Code and message of what `operation` fails with.
template <class Make>
rangeio::error_value refused(engine_fixture& f, Make make) {
    rangeio::error_value out;
    const auto body = [&]() -> asio::awaitable<void> { out = co_await failure_of(make()); };
    f.run(body());
    return out;
}

}  // namespace

TEST_CASE("open: a missing bucket, a missing object and a wrong generation are not found") {
    engine_fixture f;
    const object_ref there = f.put("o", "content");
    const object_ref no_bucket("missing-bucket", "o");
    const object_ref no_object("b-1", "missing/object");
    const object_ref no_generation("b-1", "o", 12345);
    for (const object_ref& object : {no_bucket, no_object, no_generation}) {
        CAPTURE(object.to_string());
        const auto opening = refused(f, [&] { return f.client.async_open(object); });
        CHECK(opening.code() == errc::not_found);
        CHECK(opening.kind() == rangeio::error_class::gone);
        CHECK(opening.message().starts_with(object.to_string() + ": "));
        std::array<std::byte, 4> memory{};
        const auto reading =
            refused(f, [&] { return f.client.async_fetch(object, byte_range(0, 4), memory); });
        CHECK(reading.code() == errc::not_found);
        const auto asking = refused(f, [&] { return f.client.async_stat(object); });
        CHECK(asking.code() == errc::not_found);
    }
    CHECK(refused(f, [&] { return f.client.async_list("missing-bucket"); }).code() == errc::not_found);
    CHECK(refused(f, [&] { return f.client.async_layout("missing-bucket"); }).code() == errc::not_found);
}

TEST_CASE("client::async_fetch: the error of a range past the end includes the service's text") {
    engine_fixture f;
    const object_ref object = f.put("o", "0123456789");
    std::array<std::byte, 20> memory{};
    const auto past = refused(f, [&] { return f.client.async_fetch(object, byte_range(11, 5), memory); });
    CHECK(past.code() == errc::range_not_satisfiable);
    CHECK(past.kind() == rangeio::error_class::out_of_range);
    const auto across = refused(f, [&] { return f.client.async_fetch(object, byte_range(5, 10), memory); });
    CHECK(across.code() == errc::range_not_satisfiable);
    CHECK(across.message() == "gs://b-1/o [5, 15): the object ends at 10");
}

TEST_CASE("async_fetch: memory that is too small and options out of range are invalid arguments") {
    engine_fixture f;
    const object_ref object = f.put("o", pattern(1000));
    std::array<std::byte, 4> memory{};
    const mrd_pool pool = f.client.pool(object);
    const byte_range range(0, 5);
    const auto small = refused(f, [&] { return pool.async_fetch(range, memory); });
    CHECK(small.code() == errc::invalid_argument);
    CHECK(small.message() == "gs://b-1/o [0, 5): destination: 4 bytes are fewer than 5");
    for (const std::size_t concurrency :
         {std::size_t{0}, std::size_t{1025}, std::numeric_limits<std::size_t>::max()}) {
        const fetch_options options = fetch_options().concurrency(concurrency);
        const auto why = refused(f, [&] { return pool.async_fetch(byte_range(0, 4), memory, options); });
        CHECK(why.code() == errc::invalid_argument);
    }
    const fetch_options most = fetch_options().concurrency(1024);
    CHECK_FALSE(refused(f, [&] { return pool.async_fetch(byte_range(0, 4), memory, most); }));
    const fetch_options no_chunk = fetch_options().min_chunk_bytes(0);
    CHECK(refused(f, [&] {
              return pool.async_fetch(byte_range(0, 4), memory, no_chunk);
          }).code() == errc::invalid_argument);
}

TEST_CASE("pool and client: a size out of range is rejected at construction, with its range") {
    engine_fixture f;
    const object_ref object = f.put("o", "x");
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{1025}, std::numeric_limits<std::size_t>::max()}) {
        CHECK_THROWS_WITH_AS(
            (void)f.client.pool(object, pool_options().size(size)),
            doctest::Contains("pool size: "),
            rangeio::error
        );
    }
    for (const std::size_t size : {1U, 1024U}) {
        CHECK_NOTHROW((void)f.client.pool(object, pool_options().size(size)));
    }
    CHECK_NOTHROW(rangeio::client(
        f.context.get_executor(), rangeio::client_options().channels(64).endpoint("localhost:1")
    ));
    for (const std::size_t count : {std::size_t{0}, std::size_t{65}}) {
        CHECK_THROWS_WITH_AS(
            rangeio::client(f.context.get_executor(), rangeio::client_options().channels(count)),
            doctest::Contains("is not in 1..64"),
            rangeio::error
        );
    }
    CHECK_THROWS_AS((void)object_ref("b", "o"), rangeio::error);
    CHECK_THROWS_AS((void)object_ref("a bucket", "o"), rangeio::error);
    CHECK_THROWS_AS((void)object_ref("bucket&routing_token=x", "o"), rangeio::error);
    CHECK_THROWS_AS((void)object_ref("b-1", ""), rangeio::error);
    CHECK_THROWS_AS((void)object_ref("b-1", "a\nb"), rangeio::error);
    CHECK_THROWS_AS((void)object_ref("b-1", "\xff\xfe"), rangeio::error);
    CHECK_THROWS_AS((void)object_ref("b-1", "o", -1), rangeio::error);
}

TEST_CASE("open: an endpoint that refuses connections is UNAVAILABLE") {
    engine_fixture f;
    // A port that this process has just closed.
    std::string nobody;
    {
        asio::ip::tcp::acceptor acceptor(f.context, {asio::ip::address_v4::loopback(), 0});
        nobody = "127.0.0.1:" + std::to_string(acceptor.local_endpoint().port());
    }
    rangeio::client client(f.context.get_executor(), rangeio::client_options().endpoint(nobody));
    const auto limits = rangeio::pool_options().open_timeout(std::chrono::seconds(1));
    const auto why = refused(f, [&] { return client.async_open(object_ref("b-1", "o"), limits); });
    CHECK(why.code() == rangeio::error_code(14, rangeio::grpc_category()));
    CHECK(why.message().starts_with("gs://b-1/o: "));
    CHECK(why.message().find(nobody) != std::string::npos);
    CHECK(why.message().find('\n') == std::string::npos);
}

namespace {

asio::awaitable<void> answer_in_http(asio::ip::tcp::acceptor& acceptor) {
    for (;;) {
        auto socket = co_await acceptor.async_accept(asio::use_awaitable);
        static constexpr std::string_view reply = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
        boost::system::error_code ignored;
        co_await asio::async_write(
            socket, asio::buffer(reply), asio::redirect_error(asio::use_awaitable, ignored)
        );
    }
}

}  // namespace

TEST_CASE("open: an endpoint that is not gRPC is an error, not a hang") {
    engine_fixture f;
    asio::io_context other;
    asio::ip::tcp::acceptor acceptor(f.context, {asio::ip::address_v4::loopback(), 0});
    asio::co_spawn(f.context, answer_in_http(acceptor), asio::detached);
    const std::string address = "127.0.0.1:" + std::to_string(acceptor.local_endpoint().port());
    rangeio::client client(f.context.get_executor(), rangeio::client_options().endpoint(address));
    const pool_options quick = pool_options().open_timeout(5s);
    const auto why = refused(f, [&] { return client.async_open(object_ref("b-1", "o"), quick); });
    CHECK(why.code().failed());
    CHECK(why.message().starts_with("gs://b-1/o: "));
}

TEST_CASE("open: an endpoint that accepts and never responds runs into the open timeout") {
    engine_fixture f;
    asio::ip::tcp::acceptor silent(f.context, {asio::ip::address_v4::loopback(), 0});
    const std::string address = "127.0.0.1:" + std::to_string(silent.local_endpoint().port());
    rangeio::client client(
        f.context.get_executor(), rangeio::client_options().endpoint(address).rpc_timeout(50ms)
    );
    const pool_options quick = pool_options().open_timeout(50ms);
    const auto why = refused(f, [&] { return client.async_open(object_ref("b-1", "o"), quick); });
    CHECK(why.code() == errc::timed_out);
    CHECK(refused(f, [&] { return client.async_stat(object_ref("b-1", "o")); }).code() == errc::timed_out);
}

TEST_CASE("credentials: a secret is never sent without encryption") {
    engine_fixture f;
    const auto no_token = rangeio::client_options().auth(rangeio::credentials::access_token(""));
    CHECK_THROWS_AS(rangeio::client(f.context.get_executor(), no_token), rangeio::error);
    const auto broken = rangeio::client_options().auth(rangeio::credentials::access_token("a\nb"));
    CHECK_THROWS_AS(rangeio::client(f.context.get_executor(), broken), rangeio::error);
    // The emulator speaks plain text: a client with a token speaks TLS to it, or not at all.
    const auto secret = rangeio::client_options()
                            .endpoint(f.server.address())
                            .auth(rangeio::credentials::access_token("secret-token"))
                            .rpc_timeout(2s);
    rangeio::client client(f.context.get_executor(), secret);
    const object_ref object = f.put("o", "x");
    const auto why = refused(f, [&] { return client.async_stat(object); });
    CHECK(why.code().failed());
    CHECK(why.message().find("secret-token") == std::string::npos);
    CHECK(f.server.stats().get_object.calls == 0);
}
