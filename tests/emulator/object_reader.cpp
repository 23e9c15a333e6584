#include <rangeio/object_reader.hpp>

#include "emulator/engine_fixture.hpp"
#include "support/bytes_of.hpp"
#include "support/mib.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/completion_condition.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_at.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/stream_traits.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

using namespace support;
using rangeio::byte_range;
using rangeio::errc;
using rangeio::error_code;
using rangeio::fetch_options;
using rangeio::footer;
using rangeio::object_reader;
using rangeio::object_ref;
using rangeio::prefetching;
using rangeio::reader_options;
using rangeio::seek_basis;
using rangeio::emulator::server_options;
namespace beast = boost::beast;

// A reader over gRPC: with the algorithms of Asio and Beast, with all kinds of tokens and buffers, and its round trips.

static_assert(beast::is_async_read_stream<object_reader>::value);
static_assert(std::is_same_v<beast::executor_type<object_reader>, asio::any_io_executor>);
static_assert(std::is_nothrow_move_constructible_v<object_reader>);
static_assert(std::is_nothrow_move_assignable_v<object_reader>);
static_assert(!std::is_copy_constructible_v<object_reader>);

namespace {

const error_code end_of_file = make_error_code(asio::error::eof);

bool has_bytes(std::span<const std::byte> bytes, std::string_view expected) {
    return std::ranges::equal(bytes, bytes_of(expected));
}

/// Runs the context until `holds`.
template <class Condition>
void run_reads_until(asio::io_context& context, Condition holds) {
    const auto limit = std::chrono::steady_clock::now() + 30s;
    context.restart();
    while (!holds() && std::chrono::steady_clock::now() < limit) context.run_one_for(1s);
    REQUIRE(holds());
}

/// What a callback has received.
struct read_result {
    std::optional<error_code> why;
    std::size_t bytes = 0;

    auto handler() {
        return [this](error_code code, std::size_t n) {
            why = code;
            bytes = n;
        };
    }
};

asio::awaitable<void> read_with_asio(engine_fixture& f, object_ref object, const std::string& content) {
    object_reader reader = f.client.reader(std::move(object));
    std::vector<std::byte> memory(content.size());
    CHECK(co_await asio::async_read(reader, asio::buffer(memory), asio::use_awaitable) == content.size());
    CHECK(has_bytes(memory, content));
    CHECK(reader.tell() == content.size());
    error_code why;
    auto token = asio::redirect_error(asio::use_awaitable, why);
    CHECK(co_await asio::async_read(reader, asio::buffer(memory), token) == 0);
    CHECK(why == end_of_file);

    reader.seek(10);
    const auto exactly = asio::transfer_exactly(100);
    CHECK(co_await asio::async_read(reader, asio::buffer(memory), exactly, token) == 100);
    CHECK_FALSE(why);
    CHECK(has_bytes(std::span(memory).first(100), content.substr(10, 100)));
    CHECK(reader.tell() == 110);

    // Into memory that grows, to the end.
    std::string rest;
    const std::size_t got = co_await asio::async_read(reader, asio::dynamic_buffer(rest), token);
    CHECK(why == end_of_file);
    CHECK(got == content.size() - 110);
    CHECK(rest == content.substr(110));

    CHECK(co_await asio::async_read_at(reader, 7, asio::buffer(memory), token) == content.size() - 7);
    CHECK(why == end_of_file);
    CHECK(has_bytes(std::span(memory).first(content.size() - 7), content.substr(7)));
    CHECK(co_await asio::async_read_at(reader, content.size(), asio::buffer(memory), token) == 0);
    CHECK(why == end_of_file);
    CHECK(reader.tell() == content.size());
    co_await reader.async_close();
}

asio::awaitable<void> read_in_one_request(engine_fixture& f, object_ref object, const std::string& content) {
    const reader_options whole =
        reader_options().fetching(fetch_options().concurrency(1)).prefetch(prefetching::off);
    object_reader reader = f.client.reader(std::move(object), whole);
    std::vector<std::byte> memory(content.size());
    const auto as_much_as_fits = [](const error_code& why, std::size_t) {
        return why ? std::size_t{0} : std::numeric_limits<std::size_t>::max();
    };
    const auto buffer = asio::buffer(memory);
    CHECK(co_await asio::async_read(reader, buffer, as_much_as_fits, asio::use_awaitable) == content.size());
    CHECK(has_bytes(memory, content));
    CHECK(f.server.stats().ranges_requested == 1);
    // The default condition of Asio reads 64 KiB at a time.
    reader.seek(0);
    CHECK(co_await asio::async_read(reader, buffer, asio::use_awaitable) == content.size());
    CHECK(has_bytes(memory, content));
    CHECK(f.server.stats().ranges_requested == 1 + (content.size() + 65535) / 65536);
}

asio::awaitable<void> read_lines(engine_fixture& f, object_ref object) {
    object_reader reader = f.client.reader(std::move(object));
    std::string text;
    auto buffer = asio::dynamic_buffer(text);
    for (int i = 0; i < 1000; ++i) {
        const std::size_t n = co_await asio::async_read_until(reader, buffer, '\n', asio::use_awaitable);
        CHECK(std::string_view(text).substr(0, n) == "line " + std::to_string(i) + "\n");
        buffer.consume(n);
    }
    error_code why;
    co_await asio::async_read_until(reader, buffer, '\n', asio::redirect_error(asio::use_awaitable, why));
    CHECK(why == end_of_file);
    CHECK(text == "the last one has no end");
}

constexpr std::string_view http_head = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\nX-Test: yes\r\n\r\n";

asio::awaitable<void> read_http(engine_fixture& f, object_ref object, const std::string& body) {
    object_reader reader = f.client.reader(std::move(object));
    beast::flat_buffer buffer;
    beast::http::response_parser<beast::http::string_body> parser;
    co_await beast::http::async_read(reader, buffer, parser, asio::use_awaitable);
    CHECK(parser.get()["X-Test"] == "yes");
    CHECK(parser.get().body() == body);
    // Another one follows in the object; this time it ends early.
    beast::http::response_parser<beast::http::string_body> next;
    error_code why;
    co_await beast::http::async_read(reader, buffer, next, asio::redirect_error(asio::use_awaitable, why));
    CHECK(why == beast::http::error::partial_message);
}

}  // namespace

TEST_CASE("object_reader: async_read and async_read_at of Asio, with awaitables, end with eof") {
    engine_fixture f;
    const std::string content = pattern(200'000);
    f.run(read_with_asio(f, f.put("o", content), content));
}

TEST_CASE("object_reader: a completion condition decides how much one request of async_read is for") {
    engine_fixture f;
    const std::string content = pattern(300'000);
    f.run(read_in_one_request(f, f.put("o", content), content));
}

TEST_CASE("object_reader: async_read_until of Asio returns the lines of a text") {
    engine_fixture f;
    std::string text;
    for (int i = 0; i < 1000; ++i) text += "line " + std::to_string(i) + "\n";
    text += "the last one has no end";
    f.run(read_lines(f, f.put("o", text)));
}

TEST_CASE("object_reader: Beast reads HTTP messages from a reader") {
    engine_fixture f;
    const std::string body = pattern(100'000);
    f.run(read_http(f, f.put("o", std::string(http_head) + body + std::string(http_head) + "x"), body));
}

TEST_CASE("object_reader: the algorithms of Asio and Beast with callbacks") {
    engine_fixture f;
    const std::string body = pattern(100'000);
    const std::string content = std::string(http_head) + body;
    object_reader reader = f.client.reader(f.put("o", content));
    std::vector<std::byte> memory(content.size());
    read_result read;
    asio::async_read(reader, asio::buffer(memory), read.handler());
    run_reads_until(f.context, [&] { return read.why.has_value(); });
    CHECK_FALSE(*read.why);
    CHECK(has_bytes(memory, content));

    read_result read_at;
    asio::async_read_at(reader, 5, asio::buffer(memory, 200), asio::transfer_all(), read_at.handler());
    run_reads_until(f.context, [&] { return read_at.why.has_value(); });
    CHECK(read_at.bytes == 200);
    CHECK(has_bytes(std::span(memory).first(200), content.substr(5, 200)));

    reader.seek(0);
    std::string text;
    read_result read_until;
    asio::async_read_until(reader, asio::dynamic_buffer(text), "\r\n", read_until.handler());
    run_reads_until(f.context, [&] { return read_until.why.has_value(); });
    CHECK(text.substr(0, read_until.bytes) == "HTTP/1.1 200 OK\r\n");

    reader.seek(0);
    beast::flat_buffer buffer;
    beast::http::response<beast::http::string_body> response;
    read_result http;
    beast::http::async_read(reader, buffer, response, http.handler());
    run_reads_until(f.context, [&] { return http.why.has_value(); });
    CHECK_FALSE(*http.why);
    CHECK(response.body() == body);
}

namespace {

template <class T>
T wait_for_read(std::future<T> future) {
    REQUIRE(future.wait_for(30s) == std::future_status::ready);
    return future.get();
}

asio::awaitable<void> read_with_tokens(object_reader& reader) {
    std::array<std::byte, 4> memory{};
    auto deferred = reader.async_read_some(asio::buffer(memory), asio::deferred);
    CHECK(reader.tell() == 0);
    CHECK(co_await std::move(deferred)(asio::use_awaitable) == 4);
    CHECK(has_bytes(memory, "0123"));
    const auto [why, bytes] =
        co_await reader.async_read_some(asio::buffer(memory), asio::as_tuple(asio::use_awaitable));
    CHECK_FALSE(why);
    CHECK(bytes == 4);
    CHECK(has_bytes(memory, "4567"));
    CHECK(co_await reader.async_read_some(asio::buffer(memory)) == 2);
    // The text of a failure has the object and the code.
    const auto at_end = co_await failure_of(reader.async_read_some(asio::buffer(memory)));
    CHECK(at_end.code() == end_of_file);
    CHECK(co_await reader.async_read_some_at(3, asio::buffer(memory)) == 4);
    CHECK(has_bytes(memory, "3456"));
    reader.seek(-2, seek_basis::end);
    const auto block = co_await reader.async_read_block(100);
    CHECK(has_bytes(block.span(), "89"));
}

}  // namespace

TEST_CASE("object_reader: deferred, as_tuple and the default token") {
    engine_fixture f;
    object_reader reader = f.client.reader(f.put("o", "0123456789"));
    f.run(read_with_tokens(reader));
}

TEST_CASE("object_reader: every operation accepts use_future, with the context on another thread") {
    engine_fixture f;
    object_reader reader = f.client.reader(f.put("o", "0123456789"));
    const auto work = asio::make_work_guard(f.context);
    std::thread runs([&f] { f.context.run_for(60s); });
    std::array<std::byte, 4> memory{};
    CHECK(wait_for_read(reader.async_read_some(asio::buffer(memory), asio::use_future)) == 4);
    CHECK(has_bytes(memory, "0123"));
    CHECK(wait_for_read(reader.async_read_some(std::span(memory), asio::use_future)) == 4);
    CHECK(wait_for_read(reader.async_read_some_at(1, std::span(memory), asio::use_future)) == 4);
    CHECK(has_bytes(memory, "1234"));
    CHECK(wait_for_read(reader.async_read_block(100, asio::use_future)).size() == 2);
    auto at_end = reader.async_read_some(asio::buffer(memory), asio::use_future);
    REQUIRE(at_end.wait_for(30s) == std::future_status::ready);
    CHECK_THROWS_AS(at_end.get(), boost::system::system_error);
    wait_for_read(reader.async_close(asio::use_future));
    f.context.stop();
    runs.join();
}

TEST_CASE("object_reader: a handler is called on its associated executor") {
    engine_fixture f;
    object_reader reader = f.client.reader(f.put("o", "0123456789"));
    CHECK(reader.get_executor() == asio::any_io_executor(f.context.get_executor()));
    auto strand = asio::make_strand(f.context);
    std::array<std::byte, 4> memory{};
    int ended = 0;
    int on_strand = 0;
    const auto count = [&](auto&&...) {
        ++ended;
        if (strand.running_in_this_thread()) ++on_strand;
    };
    reader.async_read_some(asio::buffer(memory), asio::bind_executor(strand, count));
    run_reads_until(f.context, [&] { return ended == 1; });
    reader.async_read_some_at(0, asio::buffer(memory), asio::bind_executor(strand, count));
    run_reads_until(f.context, [&] { return ended == 2; });
    reader.async_read_block(1, asio::bind_executor(strand, count));
    run_reads_until(f.context, [&] { return ended == 3; });
    reader.async_close(asio::bind_executor(strand, count));
    run_reads_until(f.context, [&] { return ended == 4; });
    CHECK(on_strand == 4);
}

namespace {

asio::awaitable<void> read_into_pieces(engine_fixture& f, object_ref object, const std::string& content) {
    object_reader reader = f.client.reader(std::move(object));
    reader.advise(footer{20});
    const auto pieces_of = [](std::string& memory) {
        std::array<asio::mutable_buffer, 5> out;
        // 30 bytes in pieces of 1, 0, 9, 4 and 16 bytes, from back to front.
        const std::array<std::size_t, 5> sizes{1, 0, 9, 4, 16};
        std::size_t end = memory.size();
        for (std::size_t i = 0; i < out.size(); ++i) {
            end -= sizes[i];
            out[i] = asio::buffer(memory.data() + end, sizes[i]);
        }
        return out;
    };
    const auto joined = [](const std::array<asio::mutable_buffer, 5>& pieces) {
        std::string out;
        for (const auto& p : pieces) out.append(static_cast<const char*>(p.data()), p.size());
        return out;
    };
    std::string memory(30, '.');
    const auto pieces = pieces_of(memory);
    CHECK(co_await reader.async_read_some(pieces) == 30);
    CHECK(joined(pieces) == content.substr(0, 30));
    // Some of it from the service, and some from the footer that was kept.
    memory.assign(30, '.');
    CHECK(co_await reader.async_read_some_at(content.size() - 25, pieces) == 25);
    CHECK(joined(pieces) == content.substr(content.size() - 25) + ".....");
    const std::span<const asio::mutable_buffer> as_span(pieces);
    memory.assign(30, '.');
    CHECK(co_await reader.async_read_some(as_span) == 30);
    CHECK(joined(pieces) == content.substr(30, 30));
    const asio::mutable_buffer one = asio::buffer(memory);
    CHECK(co_await reader.async_read_some(one) == 30);
    CHECK(memory == content.substr(60, 30));
    CHECK(co_await reader.async_read_some(std::as_writable_bytes(std::span(memory))) == 30);
    CHECK(memory == content.substr(90, 30));
    const std::vector<asio::mutable_buffer> none;
    CHECK(co_await reader.async_read_some(none) == 0);
    CHECK(reader.tell() == 120);
}

}  // namespace

TEST_CASE("object_reader: buffers of every kind are filled, also from the footer") {
    engine_fixture f;
    const std::string content = pattern(200);
    f.run(read_into_pieces(f, f.put("o", content), content));
}

namespace {

asio::awaitable<void> count_requests(engine_fixture& f, object_ref object, const std::string& content) {
    object_reader reader = f.client.reader(std::move(object));
    reader.advise(footer{100});
    std::vector<std::byte> memory(1000);
    const std::span all(memory);
    CHECK(co_await reader.async_read_some(all.first(0)) == 0);
    CHECK_FALSE(reader.size());
    CHECK(f.server.stats().bidi_read_object.calls == 0);
    CHECK(f.server.stats().get_object.calls == 0);

    CHECK(co_await reader.async_read_some(all) == 1000);
    CHECK(reader.size() == content.size());
    auto stats = f.server.stats();
    CHECK(stats.bidi_read_object.calls == 1);
    CHECK(stats.bidi_read_object.requests == 1);
    CHECK(stats.ranges_requested == 2);

    // The footer is here, and so is the end; an empty read needs nothing.
    CHECK(co_await reader.async_read_some_at(content.size() - 100, all) == 100);
    CHECK(has_bytes(all.first(100), content.substr(content.size() - 100)));
    CHECK((co_await failure_of(reader.async_read_some_at(content.size(), all))).code() == end_of_file);
    CHECK(co_await reader.async_read_some_at(0, all.first(0)) == 0);
    reader.seek(-50, seek_basis::end);
    const auto last = co_await reader.async_read_block(100);
    CHECK(has_bytes(last.span(), content.substr(content.size() - 50)));
    stats = f.server.stats();
    CHECK(stats.bidi_read_object.requests == 1);
    CHECK(stats.ranges_requested == 2);

    // A read elsewhere is one message, on the same call.
    reader.seek(500'000);
    CHECK(co_await reader.async_read_some(all) == 1000);
    CHECK(has_bytes(all, content.substr(500'000, 1000)));
    stats = f.server.stats();
    CHECK(stats.bidi_read_object.calls == 1);
    CHECK(stats.bidi_read_object.requests == 2);
    CHECK(stats.ranges_requested == 3);
    CHECK(stats.get_object.calls == 0);
}

}  // namespace

TEST_CASE("object_reader: the open, the first read and the footer cost one message, later reads one each") {
    engine_fixture f;
    const std::string content = pattern(mib);
    f.run(count_requests(f, f.put("o", content), content));
}

namespace {

/// The object is smaller than the footer.
asio::awaitable<void> read_footer(
    engine_fixture& f, object_ref object, const std::string& content, bool divides
) {
    const auto in_parts = fetch_options().concurrency(4).min_chunk_bytes(1);
    const auto how = reader_options().fetching(divides ? in_parts : fetch_options());
    object_reader reader = f.client.reader(std::move(object), how, rangeio::pool_options().size(1));
    reader.advise(footer{4 * mib});
    std::vector<std::byte> memory(content.size() + 10);
    error_code why;
    auto token = asio::redirect_error(asio::use_awaitable, why);
    const std::size_t got = co_await reader.async_read_some(std::span(memory), token);
    CHECK(got == content.size());
    CHECK(why == (content.empty() ? end_of_file : error_code()));
    CHECK(has_bytes(std::span(memory).first(got), content));
    CHECK(f.server.stats().get_object.calls == 0);
    const auto asked = f.server.stats().ranges_requested;
    memory.assign(memory.size(), std::byte{});
    CHECK(co_await reader.async_read_some_at(0, std::span(memory), token) == content.size());
    CHECK(has_bytes(std::span(memory).first(content.size()), content));
    const bool kept = reader.info()->finalized || content.empty();
    CHECK((f.server.stats().ranges_requested == asked) == kept);
    co_await reader.async_close();
    CHECK(f.server.stats().bidi_read_object.calls == 1);
}

}  // namespace

TEST_CASE("object_reader: a footer may be larger than the object, and its object empty or growing") {
    for (const bool divides : {false, true}) {
        for (const std::size_t size : {0U, 1U, 100U}) {
            for (const bool grows : {false, true}) {
                CAPTURE(size);
                CAPTURE(grows);
                CAPTURE(divides);
                server_options how;
                if (grows) how.unfinalized("b-1/o");
                engine_fixture f(how, rangeio::client_options());
                const std::string content = pattern(size);
                f.run(read_footer(f, f.put("o", content), content, divides));
            }
        }
    }
}

TEST_CASE("object_reader: a footer above 4 MiB is refused") {
    engine_fixture f;
    object_reader reader = f.client.reader(f.put("o", "content"));
    reader.advise(footer{4 * mib});
    CHECK_THROWS_WITH_AS(
        reader.advise(footer{4 * mib + 1}), "footer: 4194305 is not in 0..4194304", rangeio::error
    );
}

namespace {

asio::awaitable<void> read_far(engine_fixture& f, object_ref object, std::uint64_t size) {
    std::array<std::byte, 16> memory{};
    for (const std::uint64_t at :
         {size,
          size + 1,
          byte_range::max_end - 16,
          byte_range::max_end - 1,
          byte_range::max_end,
          byte_range::max_end + 1,
          std::numeric_limits<std::uint64_t>::max()}) {
        CAPTURE(at);
        object_reader reader = f.client.reader(object);
        reader.advise(footer{4});
        for (int i = 0; i < 2; ++i) {
            const auto why = co_await failure_of(reader.async_read_some_at(at, std::span(memory)));
            CHECK(why.code() == end_of_file);
        }
        error_code seeking;
        const bool has_position = at <= byte_range::max_end;
        reader.seek(static_cast<std::int64_t>(std::min(at, byte_range::max_end)), seek_basis::set, seeking);
        CHECK_FALSE(seeking);
        if (!has_position) continue;
        const auto why = co_await failure_of(reader.async_read_some(std::span(memory)));
        CHECK(why.code() == end_of_file);
        CHECK(reader.tell() == at);
        const auto blocked = co_await failure_of(reader.async_read_block(16));
        CHECK(blocked.code() == end_of_file);
        co_await reader.async_close();
    }
}

asio::awaitable<void> seek_everywhere(engine_fixture& f, object_ref object) {
    constexpr auto most = std::numeric_limits<std::int64_t>::max();
    constexpr auto least = std::numeric_limits<std::int64_t>::min();
    object_reader reader = f.client.reader(std::move(object));
    error_code why;
    const auto refused = [&](std::int64_t offset, seek_basis from) {
        const auto before = reader.tell();
        const auto position = reader.seek(offset, from, why);
        return why == errc::invalid_argument && position == 0 && reader.tell() == before;
    };
    CHECK(refused(0, seek_basis::end));
    CHECK(refused(-1, seek_basis::set));
    CHECK(refused(least, seek_basis::set));
    CHECK(reader.seek(most) == byte_range::max_end);
    CHECK(refused(1, seek_basis::current));
    CHECK(refused(most, seek_basis::current));
    CHECK(refused(least, seek_basis::current));
    CHECK(reader.seek(-most, seek_basis::current) == 0);
    CHECK_THROWS_AS(reader.seek(-1, seek_basis::current), rangeio::error);
    std::array<std::byte, 4> memory{};
    CHECK(co_await reader.async_read_some(std::span(memory)) == 4);
    CHECK(reader.seek(0, seek_basis::end) == 10);
    CHECK(reader.seek(-10, seek_basis::end) == 0);
    CHECK(refused(-11, seek_basis::end));
    CHECK(refused(most, seek_basis::end));
    CHECK(reader.seek(most - 10, seek_basis::end) == byte_range::max_end);
}

asio::awaitable<void> read_blocks(engine_fixture& f, object_ref object, const std::string& content) {
    object_reader reader = f.client.reader(std::move(object), reader_options().prefetch(prefetching::off));
    const auto first = co_await reader.async_read_block(std::numeric_limits<std::size_t>::max());
    CHECK(first.size() == 4 * mib);
    CHECK(has_bytes(first.span(), content.substr(0, 4 * mib)));
    const auto second = co_await reader.async_read_block(5 * mib);
    CHECK(has_bytes(second.span(), content.substr(4 * mib)));
    const auto none = co_await reader.async_read_block(0);
    CHECK(none.empty());
    CHECK((co_await failure_of(reader.async_read_block(1))).code() == end_of_file);
    // The bytes of a slice do not need the reader.
    reader = object_reader();
    CHECK(has_bytes(first.span(), content.substr(0, 4 * mib)));
}

}  // namespace

TEST_CASE("object_reader: a read at or behind the end, up to the largest offset, is eof") {
    engine_fixture f;
    f.run(read_far(f, f.put("o", pattern(10)), 10));
}

TEST_CASE("object_reader: a seek cannot leave the range of positions") {
    engine_fixture f;
    f.run(seek_everywhere(f, f.put("o", pattern(10))));
}

TEST_CASE("object_reader: without prefetching a block has at most 4 MiB; it outlives the reader") {
    engine_fixture f;
    const std::string content = pattern(5 * mib);
    f.run(read_blocks(f, f.put("o", content), content));
}

namespace {

asio::awaitable<void> hold_a_block(engine_fixture& f, object_ref object, rangeio::memory_budget budget) {
    object_reader reader = f.client.reader(object);
    object_reader other = f.client.reader(std::move(object), reader_options().memory(budget));
    reader.advise(rangeio::access_pattern::random);
    other.advise(rangeio::access_pattern::random);
    CHECK(budget.limit_bytes() != f.client.memory().limit_bytes());
    (void)co_await reader.async_read_block(10);  // comes with the open
    (void)co_await other.async_read_block(10);
    const rangeio::byte_slice one = co_await reader.async_read_block(100);
    const rangeio::byte_slice two = co_await other.async_read_block(200);
    CHECK(f.client.memory().stats().reserved_bytes == 100);
    CHECK(budget.stats().reserved_bytes == 200);
    co_await reader.async_close();
    co_await other.async_close();
}

}  // namespace

TEST_CASE("object_reader: the readers of a client have its memory, unless they are given another one") {
    engine_fixture f(rangeio::client_options().memory(rangeio::memory_budget(5 << 20)));
    CHECK(f.client.memory().limit_bytes() == 5 << 20);
    const rangeio::memory_budget budget;
    f.run(hold_a_block(f, f.put("o", std::string(1000, 'x')), budget));
    CHECK(f.client.memory().stats().reserved_bytes == 0);
    CHECK(budget.stats().reserved_bytes == 0);
}
