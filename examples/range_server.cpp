#include <rangeio/client.hpp>
#include <rangeio/object_reader.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <iostream>
#include <list>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

// Serves objects over HTTP/1.1: http://127.0.0.1:PORT/BUCKET/OBJECT, as a whole or one range of it.
//
//     example_range_server PORT [SECONDS]
//
// One thread runs everything. A session holds one block of its object, and reads the next when this one is written: a
// slow client slows down its own reads. No wait for a client or for the service exceeds SECONDS, by default 30.

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;

constexpr std::uint64_t block_bytes = std::uint64_t{1} << 20;

// `FIRST-LAST`, `FIRST-`, or `-LAST` for the last LAST bytes. rangeio::range_spec is not HTTP: there LAST is excluded,
// and has to exist.
struct http_range {
    std::optional<std::uint64_t> first;
    std::optional<std::uint64_t> last;

    // The requested bytes of an object of this size; empty if it has none of them.
    rangeio::byte_range of(std::uint64_t size) const {
        if (!first) return rangeio::byte_range::from_to(size - std::min(size, *last), size);
        if (*first >= size) return {};
        return rangeio::byte_range::from_to(*first, last && *last < size ? *last + 1 : size);
    }
};

bool parse_number(std::string_view text, std::optional<std::uint64_t>& to) {
    if (text.empty()) return true;
    const auto [end, why] = std::from_chars(text.data(), text.data() + text.size(), to.emplace());
    return why == std::errc() && end == text.data() + text.size();
}

// Empty for several ranges, other units and malformed ones, which a server may ignore (RFC 9110, 14.2).
std::optional<http_range> parse_range(std::string_view text) {
    constexpr std::string_view unit = "bytes=";
    if (!beast::iequals(text.substr(0, unit.size()), unit)) return std::nullopt;
    text.remove_prefix(unit.size());
    const std::size_t dash = text.find('-');
    http_range range;
    if (dash == text.npos || !parse_number(text.substr(0, dash), range.first)) return std::nullopt;
    if (!parse_number(text.substr(dash + 1), range.last)) return std::nullopt;
    if (!range.first && !range.last) return std::nullopt;
    if (range.first && range.last && *range.last < *range.first) return std::nullopt;
    return range;
}

http::status status_of(rangeio::error_code why) {
    if (why == rangeio::errc::not_found) return http::status::not_found;
    if (why == rangeio::errc::timed_out) return http::status::gateway_timeout;
    const rangeio::error_code unavailable(14, rangeio::grpc_category());
    return why == unavailable ? http::status::service_unavailable : http::status::bad_gateway;
}

// A connection, and the object of its current request.
struct session {
    session(tcp::socket socket, rangeio::client& from, std::chrono::seconds wait)
        : client(std::move(socket)), service(from), limit(wait) {}

    asio::awaitable<void> run();
    asio::awaitable<void> open(
        const http::request<http::empty_body>& request, http::response<http::empty_body>& response
    );
    asio::awaitable<rangeio::error_code> read_block(std::uint64_t max);
    asio::awaitable<void> send_body();

    beast::tcp_stream client;
    rangeio::client& service;
    const std::chrono::seconds limit;
    rangeio::object_reader reader;
    rangeio::byte_range body;   // what is left to send
    rangeio::byte_slice block;  // its first bytes, once they are read
};

// Reads the next block, unless the client hangs up before: then the read is cancelled. A failure of the service is
// returned; one of the connection is thrown, and ends the session.
asio::awaitable<rangeio::error_code> session::read_block(std::uint64_t max) {
    // A client that has sent its next request already cannot be watched: the next write detects that it has hung up.
    while (client.socket().available() == 0) {
        auto [order, why, bytes, hung_up] =
            co_await asio::experimental::make_parallel_group(
                reader.async_read_block(max, asio::deferred),
                client.socket().async_wait(tcp::socket::wait_read, asio::deferred)
            )
                .async_wait(asio::experimental::wait_for_one(), asio::use_awaitable);
        block = std::move(bytes);
        if (!why || order[0] == 0) co_return why;
        if (client.socket().available() == 0)
            throw boost::system::system_error(asio::error::connection_reset);
    }
    auto [why, bytes] = co_await reader.async_read_block(max, asio::as_tuple(asio::deferred));
    block = std::move(bytes);
    co_return why;
}

// What is thrown closes the connection: the header has promised more bytes, so the client detects the failure.
asio::awaitable<void> session::send_body() {
    while (!body.empty()) {
        if (block.empty()) {
            const rangeio::error_code why = co_await read_block(std::min(block_bytes, body.length()));
            if (why) throw boost::system::system_error(why);
        }
        // An object that is being appended to may have more bytes than the header announced.
        const auto bytes = asio::buffer(asio::const_buffer(block), body.length());
        client.expires_after(limit);
        co_await asio::async_write(client, bytes, asio::use_awaitable);
        body = rangeio::byte_range::from_to(body.offset() + bytes.size(), body.end());
        block = {};
    }
}

// Opens the object, and completes the header of the response, which is a bad request until then.
asio::awaitable<void> session::open(
    const http::request<http::empty_body>& request, http::response<http::empty_body>& response
) {
    try {
        const std::string target = request.target();
        if (target.find_first_of("%?") != target.npos) co_return;  // names are not decoded here
        const auto options = rangeio::reader_options().fetching(rangeio::fetch_options().timeout(limit));
        reader = service.reader(rangeio::object_ref::parse("gs:/" + target), options);
    } catch (const rangeio::error&) {
        co_return;
    }

    // The header contains the size, which the first read reports. Where the place of the body is known without the
    // size, that read is its first block, so that a small answer costs one round trip.
    const bool get = request.method() == http::verb::get;
    const http_range whole{0, std::nullopt};
    std::optional<http_range> range;
    if (get) range = parse_range(request[http::field::range]);
    const http_range asked = range.value_or(whole);
    const auto likely = asked.first ? asked.of(rangeio::byte_range::max_end) : rangeio::byte_range();
    reader.seek(static_cast<std::int64_t>(likely.offset()));
    const rangeio::error_code why =
        co_await read_block(std::clamp<std::uint64_t>(likely.length(), 1, get ? block_bytes : 1));
    const std::optional<rangeio::object_info> info = reader.info();
    if (!info || (why && why != asio::error::eof)) {
        response.result(status_of(why));
        co_return;
    }

    const std::string etag = '"' + std::to_string(info->generation) + '"';
    // A client that resumes a download wants the rest of the same generation, or all of another one.
    if (request.count(http::field::if_range) != 0 && request[http::field::if_range] != etag) range.reset();
    body = range.value_or(whole).of(info->size);
    if (body.offset() != likely.offset()) {
        reader.seek(static_cast<std::int64_t>(body.offset()));
        block = {};
    }
    response.result(http::status::ok);
    if (range) {
        const auto bounds = std::to_string(body.offset()) + '-' + std::to_string(body.end() - 1);
        const auto size = '/' + std::to_string(info->size);
        response.result(body.empty() ? http::status::range_not_satisfiable : http::status::partial_content);
        response.set(http::field::content_range, "bytes " + (body.empty() ? "*" : bounds) + size);
    }
    response.set(http::field::accept_ranges, "bytes");
    response.set(http::field::etag, etag);
    response.content_length(body.length());
    if (!get) body = {};
}

asio::awaitable<void> session::run() {
    beast::flat_buffer buffer;
    for (bool keep_alive = true; keep_alive;) {
        http::request_parser<http::empty_body> parser;
        client.expires_after(limit);
        const auto [why, n] =
            co_await http::async_read_header(client, buffer, parser, asio::as_tuple(asio::use_awaitable));
        if (why == http::error::end_of_stream) break;
        const rangeio::error_code malformed = http::error::bad_method;
        if (why && why.category() != malformed.category()) throw boost::system::system_error(why);

        // Where the body of a request ends is not determined here, so a request that has one is the last.
        const http::request<http::empty_body>& request = parser.get();
        keep_alive = !why && parser.is_done() && request.keep_alive();
        http::response<http::empty_body> response(http::status::bad_request, 11);
        response.keep_alive(keep_alive);
        response.content_length(0);
        if (!why && request.method() != http::verb::get && request.method() != http::verb::head) {
            response.result(http::status::method_not_allowed);
            response.set(http::field::allow, "GET, HEAD");
        } else if (!why && parser.is_done()) {
            co_await open(request, response);
        }
        client.expires_after(limit);
        co_await http::async_write(client, response, asio::use_awaitable);
        co_await send_body();
        reader = {};  // a connection that waits for a request keeps no stream open
    }
    rangeio::error_code ignored;  // the client may be gone
    client.socket().shutdown(tcp::socket::shutdown_send, ignored);
}

asio::awaitable<void> accept(
    tcp::acceptor& acceptor,
    std::list<session>& sessions,
    rangeio::client& service,
    std::chrono::seconds limit
) {
    for (;;) {
        auto [why, socket] = co_await acceptor.async_accept(asio::as_tuple(asio::use_awaitable));
        if (!acceptor.is_open()) co_return;
        if (why) throw boost::system::system_error(why);
        const auto added = sessions.emplace(sessions.end(), std::move(socket), service, limit);
        const auto ended = [&sessions, added](std::exception_ptr thrown) {
            try {
                if (thrown) std::rethrow_exception(thrown);
            } catch (const std::exception& e) {
                std::cerr << "session: " << e.what() << '\n';
            }
            sessions.erase(added);
        };
        asio::co_spawn(acceptor.get_executor(), added->run(), ended);
    }
}

int main(int argc, char** argv) try {
    if (argc < 2) throw std::invalid_argument("usage: example_range_server PORT [SECONDS]");
    const auto port = static_cast<std::uint16_t>(std::stoi(argv[1]));
    const std::chrono::seconds limit(argc > 2 ? std::stoi(argv[2]) : 30);
    asio::io_context context(1);
    rangeio::client service(context);
    std::list<session> sessions;
    tcp::acceptor acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), port));

    // run() returns when the sessions have ended. Each ends soon, since nothing works on a closed socket.
    asio::signal_set signals(context, SIGINT, SIGTERM);
    signals.async_wait([&](rangeio::error_code, int) {
        acceptor.close();
        for (session& s : sessions) s.client.close();
    });
    std::cout << "http://" << acceptor.local_endpoint() << std::endl;

    const auto rethrow = [](std::exception_ptr thrown) {
        if (thrown) std::rethrow_exception(thrown);
    };
    asio::co_spawn(context, accept(acceptor, sessions, service, limit), rethrow);
    context.run();
} catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
