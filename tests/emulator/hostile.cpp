#include <rangeio/client.hpp>

#include "emulator/raw_client.hpp"
#include "support/hostile_messages.hpp"
#include "support/hostile_service.hpp"
#include "support/run.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <string>
#include <vector>

// What a peer may say, over gRPC: an error value, and never an end of the process, wrong bytes or a wait for ever.

using namespace support;
using namespace support::hostile;
using rangeio::byte_range;
using rangeio::client;
using rangeio::client_options;
using rangeio::errc;
using rangeio::error_value;
using rangeio::mrd_pool;
using rangeio::object_ref;
using rangeio::pool_options;
using rangeio::retry_policy;
using request = rangeio::proto::storage::v2::BidiReadObjectRequest;

namespace {

const object_ref object("b-1", "o");

std::string content(std::int64_t offset, std::int64_t length) {
    std::string out;
    for (std::int64_t i = offset; i < offset + length; ++i) out += static_cast<char>('a' + i % 23);
    return out;
}

std::string pieces_of(const request& asked, checksum sum = checksum::right) {
    std::string out;
    for (const auto& r : asked.read_ranges()) {
        out += piece(r.read_id(), r.read_offset(), content(r.read_offset(), r.read_length()), true, sum);
    }
    return out;
}

/// A client of a service that answers as the test likes.
struct hostile_fixture {
    explicit hostile_fixture(hostile_service::answer how, client_options options = {})
        : service(std::move(how)),
          user(
              context.get_executor(),
              options.endpoint(service.address()).auth(rangeio::credentials::insecure()).retry(quick())
          ) {}

    static retry_policy quick() {
        return retry_policy()
            .initial_backoff(std::chrono::milliseconds(1))
            .max_backoff(std::chrono::milliseconds(4));
    }

    void run(asio::awaitable<void> body) { support::run(context, std::move(body)); }
    /// What opening a pool fails with.
    error_value opening() {
        error_value out;
        run(open_into(out));
        return out;
    }
    asio::awaitable<void> open_into(error_value& out) {
        const auto one = pool_options().size(1);
        out = co_await failure_of(user.async_open(object, one));
    }
    /// What a read of the bytes ends with, through a pool that opens; nothing if it is right.
    error_value reading(byte_range range) {
        error_value out;
        run(read_into(range, out));
        return out;
    }
    asio::awaitable<void> read_into(byte_range range, error_value& out) {
        const auto one = pool_options().size(1);
        mrd_pool pool = co_await user.async_open(object, one);
        std::vector<std::byte> memory(range.length());
        const auto got = co_await support::try_fetch(pool, range, std::span(memory));
        if (!got) out = got.error();
        const std::string right =
            content(static_cast<std::int64_t>(range.offset()), static_cast<std::int64_t>(range.length()));
        if (got) CHECK(std::ranges::equal(memory, std::as_bytes(std::span(right))));
        streams = pool.stats().streams;
    }

    hostile_service service;
    asio::io_context context;
    client user;
    rangeio::stream_stats streams;
};

}  // namespace

TEST_CASE("hostile service: a redirect with a token that no header can carry is an error, not a crash") {
    for (const std::string& token :
         {std::string("there\nnow"),
          std::string("gr\xc3\xbc\xc3\x9f"),
          std::string(1, '\0'),
          std::string("\xff"),
          std::string(100'000, 't')}) {
        hostile_fixture f([&token](hostile_call& call, const request&) {
            call.end(code::aborted, "go elsewhere", redirect(token));
        });
        const error_value why = f.opening();
        CHECK(why.code() == errc::protocol_error);
        CHECK(f.service.calls() == 1);
    }
}

TEST_CASE("hostile service: a first response without a generation is an error, and no byte is read from it") {
    const std::vector<std::string> openings{
        "",
        handle("h"),
        metadata(0, 1000),
        metadata(-1, 1000),
        metadata(std::numeric_limits<std::int64_t>::min(), 1000)
    };
    for (const std::string& opening : openings) {
        hostile_fixture f([&opening](hostile_call& call, const request& asked) {
            call.send(opening + pieces_of(asked));
        });
        CHECK(f.opening().code() == errc::protocol_error);
        CHECK(f.service.calls() == 1);
        std::vector<std::byte> memory(10);
        const auto read_at_once = [&]() -> asio::awaitable<void> {
            const byte_range range(0, 10);
            const error_value why = co_await failure_of(f.user.async_fetch(object, range, memory));
            CHECK(why.code() == errc::protocol_error);
        };
        f.run(read_at_once());
    }
}

TEST_CASE("hostile service: of ranges refused by name, a hundred with long texts, only these fail") {
    constexpr std::size_t bad = 100;
    hostile_fixture f([](hostile_call& call, const request& asked) {
        if (call.message == 1) call.send(metadata(7, 1000));
        std::string errors;
        for (const auto& r : asked.read_ranges()) {
            if (r.read_offset() > 1000)
                errors += range_error(r.read_id(), code::out_of_range, std::string(2000, 'x'));
        }
        if (!errors.empty())
            return call.end(code::out_of_range, std::string(2000, 'y'), range_errors(errors));
        call.send(pieces_of(asked));
    });
    const auto all = [&]() -> asio::awaitable<void> {
        const auto one_stream = pool_options().size(1);
        mrd_pool pool = co_await f.user.async_open(object, one_stream);
        rangeio::lease held = co_await pool.async_acquire();
        std::vector<error_value> good;
        std::vector<error_value> refused;
        std::vector<std::byte> memory(10);
        const auto one = [&](std::uint64_t offset, std::vector<error_value>& into) -> asio::awaitable<void> {
            const byte_range range(offset, 10);
            error_value why = co_await failure_of(held.async_fetch(range, memory));
            into.push_back(why);
        };
        for (std::size_t i = 0; i < bad; ++i)
            asio::co_spawn(f.context, one(2000 + 10 * i, refused), asio::detached);
        for (std::size_t i = 0; i < 2; ++i) asio::co_spawn(f.context, one(10 * i, good), asio::detached);
        while (good.size() + refused.size() < bad + 2) co_await asio::post(asio::use_awaitable);
        CHECK(std::ranges::none_of(good, [](const error_value& why) { return static_cast<bool>(why); }));
        CHECK(std::ranges::all_of(refused, [](const error_value& why) {
            return why.code() == errc::range_not_satisfiable;
        }));
        CHECK(pool.stats().streams.refused == bad);
        CHECK(pool.stats().failed == 0);
    };
    f.run(all());
}

TEST_CASE("hostile service: malformed or oversized details fail only the range that they concern") {
    for (const bool garbled : {false, true}) {
        CAPTURE(garbled);
        hostile_fixture f([garbled](hostile_call& call, const request& asked) {
            if (call.message == 1) call.send(metadata(7, 1000));
            for (const auto& r : asked.read_ranges()) {
                if (r.read_offset() != 500) continue;
                const std::string text(garbled ? 10 : 2'000'000, 'x');
                const std::string details = range_errors(range_error(r.read_id(), code::out_of_range, text));
                return call.end(
                    code::out_of_range, "bad", garbled ? details.substr(0, details.size() - 3) : details
                );
            }
            call.send(pieces_of(asked));
        });
        const auto all = [&]() -> asio::awaitable<void> {
            const auto one_stream = pool_options().size(1);
            mrd_pool pool = co_await f.user.async_open(object, one_stream);
            rangeio::lease held = co_await pool.async_acquire();
            std::size_t done = 0;
            const auto one = [&](std::uint64_t offset) -> asio::awaitable<void> {
                std::vector<std::byte> memory(10);
                const byte_range range(offset, 10);
                const error_value why = co_await failure_of(held.async_fetch(range, memory));
                CHECK(static_cast<bool>(why) == (offset == 500));
                ++done;
            };
            for (std::uint64_t offset = 0; offset < 1000; offset += 100) {
                asio::co_spawn(f.context, one(offset), asio::detached);
            }
            while (done < 10) co_await asio::post(asio::use_awaitable);
            CHECK(pool.stats().streams.refused == 1);
        };
        f.run(all());
    }
}

TEST_CASE("hostile service: an unknown status becomes UNKNOWN, and the range's own text appears once") {
    hostile_fixture f([](hostile_call& call, const request& asked) {
        if (call.message == 1) call.send(metadata(7, 1000));
        if (asked.read_ranges_size() == 0) return;
        const auto id = asked.read_ranges(0).read_id();
        call.end(code::out_of_range, "bad", range_errors(range_error(id, 99, "odd\x1b[31m")));
    });
    const error_value why = f.reading(byte_range(0, 10));
    CHECK(why.kind() == rangeio::error_class::unknown);
    CHECK(why.message().ends_with("odd [31m (UNKNOWN, status 99)"));
}

TEST_CASE("hostile service: a message above the limit is an error that names it, for streams and metadata") {
    const std::string limit = "a message is longer than max_message_bytes, 65536";
    {
        hostile_fixture f(
            [](hostile_call& call, const request& asked) {
                if (call.message == 1) call.send(metadata(7, 1'000'000));
                if (asked.read_ranges_size() != 0) call.send(pieces_of(asked));
            },
            client_options().max_message_bytes(65536)
        );
        CHECK_FALSE(f.reading(byte_range(0, 60'000)));
        const error_value why = f.reading(byte_range(0, 100'000));
        CHECK(why.code() == errc::protocol_error);
        CHECK(why.message().ends_with(limit));
        CHECK(f.service.calls() == 2);
    }
    hostile_fixture f(
        [](hostile_call& call, const request&) {
            call.send(bytes_field(1, "o") + bytes_field(8, std::string(100'000, 'x')));
            call.end(0);
        },
        client_options().max_message_bytes(65536)
    );
    const auto ask = [&]() -> asio::awaitable<void> {
        const error_value why = co_await failure_of(f.user.async_stat(object));
        CHECK(why.code() == errc::protocol_error);
        CHECK(why.message().ends_with(limit));
    };
    f.run(ask());
    CHECK(f.service.calls() == 1);
}

TEST_CASE("hostile service: RESOURCE_EXHAUSTED that the service itself reports is retried") {
    hostile_fixture f([](hostile_call& call, const request& asked) {
        if (call.number == 1) return call.end(8, "Received message larger than max (3 vs. 2)");
        call.send((call.message == 1 ? metadata(7, 1000) : std::string()) + pieces_of(asked));
    });
    CHECK_FALSE(f.reading(byte_range(0, 10)));
    CHECK(f.service.calls() == 2);
}

TEST_CASE("client_options: a message limit out of its range is rejected by name") {
    asio::io_context context;
    for (const std::size_t wrong : {std::size_t{0}, std::size_t{65535}, std::size_t{1} << 31}) {
        try {
            const client made(
                context.get_executor(), client_options().endpoint("localhost:1").max_message_bytes(wrong)
            );
            FAIL("taken");
        } catch (const rangeio::error& e) {
            CHECK(e.code() == errc::invalid_argument);
            CHECK(
                e.why().message() ==
                "max_message_bytes: " + std::to_string(wrong) + " is not in 65536..2147483647"
            );
        }
    }
}

TEST_CASE("hostile service: a message of empty pieces or metadata parts is rejected before it takes memory") {
    for (const std::string& part : {bytes_field(6, ""), bytes_field(4, "")}) {
        std::string message = metadata(7, 1000);
        while (message.size() < 4'000'000) message += part;
        hostile_fixture f([&message](hostile_call& call, const request&) { call.send(message); });
        CHECK(f.opening().code() == errc::protocol_error);
        CHECK(f.service.calls() == 1);
    }
}

TEST_CASE("hostile service: a page of empty entries is rejected before it takes memory") {
    std::string page;
    while (page.size() < 4'000'000) page += bytes_field(1, "");
    hostile_fixture f([&page](hostile_call& call, const request&) {
        call.send(page);
        call.end(0);
    });
    const auto list = [&]() -> asio::awaitable<void> {
        const error_value why = co_await failure_of(f.user.async_list("b-1"));
        CHECK(why.code() == errc::protocol_error);
        CHECK(why.message() == "gs://b-1: a page has more than 10000 entries");
    };
    f.run(list());
}

TEST_CASE("hostile service: pieces without a checksum are counted, or rejected where checksums are required"
) {
    const auto without = [](hostile_call& call, const request& asked) {
        if (call.message == 1) call.send(metadata(7, 1000));
        if (asked.read_ranges_size() != 0) call.send(pieces_of(asked, checksum::none));
    };
    hostile_fixture lenient(without);
    CHECK_FALSE(lenient.reading(byte_range(0, 10)));
    CHECK(lenient.streams.unchecked_chunks == 1);
    hostile_fixture strict(without, client_options().require_checksums(true));
    const error_value why = strict.reading(byte_range(0, 10));
    CHECK(why.code() == errc::protocol_error);
    CHECK(why.message().ends_with("a chunk of 10 bytes at offset 0 has no checksum"));
    CHECK(strict.streams.unchecked_chunks == 0);
    CHECK(strict.streams.rejected_chunks == 4);
}

TEST_CASE("hostile service: times out of the clock's range are clamped to it, for streams and metadata") {
    constexpr auto most = std::numeric_limits<std::int64_t>::max();
    constexpr auto least = std::numeric_limits<std::int64_t>::min();
    const std::string fields = timestamp(14, most, std::numeric_limits<std::int32_t>::max()) +
                               timestamp(17, least, std::numeric_limits<std::int32_t>::min());
    hostile_fixture f([&fields](hostile_call& call, const request&) {
        if (call.method.ends_with("/BidiReadObject")) return call.send(metadata(7, 1000, fields));
        call.send(fields);
        call.end(0);
    });
    const auto check = [](const rangeio::object_info& info) {
        CHECK(info.create_time == std::chrono::system_clock::time_point::max());
        CHECK(info.update_time == std::chrono::system_clock::time_point::min());
    };
    const auto look = [&]() -> asio::awaitable<void> {
        mrd_pool pool = co_await f.user.async_open(object);
        check(*pool.info());
        check(co_await f.user.async_stat(object));
    };
    f.run(look());
}

TEST_CASE("streams: an idle stream holds no memory of the data that it has read") {
    constexpr std::uint64_t piece_bytes = std::uint64_t{2} << 20;
    constexpr std::uint64_t streams = 32;
    hostile_fixture f(
        [](hostile_call& call, const request& asked) {
            if (call.message == 1) call.send(metadata(7, 1 << 30));
            if (asked.read_ranges_size() != 0) call.send(pieces_of(asked));
        },
        client_options().channels(1)
    );
    const auto in_use = [] {
        const auto now = ::mallinfo2();
        return static_cast<std::uint64_t>(now.uordblks + now.hblkhd);
    };
    const auto read = [&]() -> asio::awaitable<void> {
        const auto size = pool_options().size(streams);
        mrd_pool pool = co_await f.user.async_open(object, size);
        std::vector<std::byte> memory(piece_bytes);
        const std::uint64_t before = in_use();
        std::vector<rangeio::lease> held;
        while (held.size() < streams) held.push_back(co_await pool.async_acquire());
        CHECK(pool.stats().ready == streams);
        // One after the other: gRPC keeps a read buffer for each connection, as large as the largest burst that came.
        for (rangeio::lease& one : held)
            CHECK(co_await one.async_fetch({0, piece_bytes}, memory) == piece_bytes);
        held.clear();
        // The service may be about to drop what it has sent. Half of it would be kept by the streams alone.
        while (in_use() > before + streams * piece_bytes / 2) co_await asio::post(asio::use_awaitable);
    };
    f.run(read());
}
