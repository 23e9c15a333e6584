#include <rangeio/mrd_pool.hpp>
#include <rangeio/sim/context.hpp>
#include <rangeio/sim/explore.hpp>
#include <rangeio/testing/scripted_service.hpp>

#include <boost/asio/buffer.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <vector>

// A scripted stream that serves one range at a time reads into the destination, as a socket does.

namespace asio = boost::asio;
namespace sim = rangeio::sim;
using rangeio::byte_range;
using rangeio::mrd_pool;
using rangeio::pool_options;
using rangeio::range_request;
using rangeio::testing::scripted_service;

namespace {

using bytes = std::vector<std::byte>;

asio::awaitable<void> into_buffers(mrd_pool& pool, std::span<bytes> pieces) {
    std::vector<asio::mutable_buffer> buffers;
    for (bytes& piece : pieces) buffers.push_back(asio::buffer(piece));
    const byte_range range(3, 40);
    co_await pool.async_fetch(range, buffers);
    co_await pool.async_close();
}

asio::awaitable<void> into_ranges(mrd_pool& pool, const std::vector<range_request>& requests) {
    co_await pool.async_fetch_ranges(requests);
    co_await pool.async_close();
}

}  // namespace

TEST_CASE("in place: a destination of several buffers, one empty and one of a byte, is filled") {
    const auto result = sim::explore([](sim::world& w) {
        const scripted_service service(w);
        sim::context io(w, "io");
        mrd_pool pool(io.get_executor(), service.streams(false), pool_options().size(2));
        std::array<bytes, 6> pieces{bytes(5), bytes(0), bytes(1), bytes(11), bytes(20), bytes(3)};
        sim::spawn(io.get_executor(), "reader", into_buffers(pool, pieces));
        w.run();
        std::uint64_t at = 3;
        for (const bytes& piece : pieces) {
            w.check(service.holds(piece, at), "a buffer has other bytes");
            at += piece.size();
        }
    });
    CHECK_MESSAGE(!result.found, result.text());
}

TEST_CASE("in place: joined ranges that overlap, repeat, nest and leave gaps are filled") {
    const auto result = sim::explore([](sim::world& w) {
        const scripted_service service(w);
        sim::context io(w, "io");
        mrd_pool pool(io.get_executor(), service.streams(false), pool_options().size(2));
        const std::array<byte_range, 6> ranges{
            byte_range(2, 9),
            byte_range(13, 4),
            byte_range(8, 7),
            byte_range(13, 4),
            byte_range(20, 30),
            byte_range(25, 2)
        };
        std::vector<bytes> memory;
        for (const byte_range& range : ranges) memory.emplace_back(range.length());
        std::vector<range_request> requests;
        for (std::size_t i = 0; i < ranges.size(); ++i)
            requests.emplace_back(ranges[i], std::span(memory[i]));
        sim::spawn(io.get_executor(), "reader", into_ranges(pool, requests));
        w.run();
        for (std::size_t i = 0; i < ranges.size(); ++i) {
            w.check(service.holds(memory[i], ranges[i].offset()), "a range has other bytes");
        }
    });
    CHECK_MESSAGE(!result.found, result.text());
}
