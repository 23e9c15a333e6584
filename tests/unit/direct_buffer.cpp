#include <rangeio/direct_buffer.hpp>

#include "support/bytes_of.hpp"
#include "unit/message_of.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

using rangeio::byte_block;
using rangeio::direct_buffer;
using rangeio::errc;
using support::bytes_of;

static_assert(!std::is_copy_constructible_v<direct_buffer>);
static_assert(!std::is_copy_constructible_v<direct_buffer::view>);
static_assert(std::is_nothrow_move_assignable_v<direct_buffer::view>);

namespace {

std::string text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <class Action>
std::string misuse(Action action) {
    return message_of(errc::buffer_misuse, action);
}

}  // namespace

TEST_CASE("direct_buffer: parts written in any order make the whole") {
    direct_buffer buffer(10);
    auto b = buffer.make_view(6, 4);
    auto a = buffer.make_view(0, 6);
    b.write(bytes_of("6789"));
    a.write(bytes_of("01"));
    CHECK(a.written() == 2);
    CHECK(a.size() == 6);
    CHECK_FALSE(a.complete());
    CHECK(buffer.written() == 6);
    const auto rest = a.prepare();
    REQUIRE(rest.size() == 4);
    std::ranges::copy(bytes_of("2345"), rest.begin());
    a.commit(4);
    CHECK(a.complete());
    CHECK(a.prepare().empty());
    CHECK(text(buffer.data()) == "0123456789");

    const byte_block block = std::move(buffer).take();
    CHECK(text(block.span()) == "0123456789");
}

TEST_CASE("direct_buffer: the caller's memory is written in place and cannot be taken") {
    std::string memory = "......";
    direct_buffer buffer(std::as_writable_bytes(std::span(memory)));
    buffer.make_view(0, 6).write(bytes_of("abcdef"));
    CHECK(memory == "abcdef");
    CHECK(text(buffer.data()) == "abcdef");
    CHECK(buffer.data().data() == reinterpret_cast<const std::byte*>(memory.data()));
    CHECK(misuse([&] {
              (void)std::move(buffer).take();
          }) == "direct_buffer: take: the 6 bytes are the caller's");
    CHECK_FALSE(buffer.closed());
}

TEST_CASE("direct_buffer: an empty buffer is complete from the start") {
    direct_buffer buffer(0);
    CHECK(buffer.data().empty());
    CHECK(std::move(buffer).take().empty());
    CHECK(direct_buffer(std::span<std::byte>()).data().empty());
}

TEST_CASE("direct_buffer: overlapping views are rejected, and the error gives both ranges") {
    direct_buffer buffer(100);
    const auto held = buffer.make_view(10, 10);
    const auto overlap = [&](std::uint64_t offset, std::uint64_t length) {
        return misuse([&] { (void)buffer.make_view(offset, length); });
    };
    CHECK(overlap(10, 10) == "direct_buffer: view [10, 20) overlaps [10, 20), which is taken");
    CHECK(overlap(0, 11) == "direct_buffer: view [0, 11) overlaps [10, 20), which is taken");
    CHECK(overlap(19, 1) == "direct_buffer: view [19, 20) overlaps [10, 20), which is taken");
    CHECK(overlap(12, 2) == "direct_buffer: view [12, 14) overlaps [10, 20), which is taken");
    CHECK(overlap(0, 100) == "direct_buffer: view [0, 100) overlaps [10, 20), which is taken");
    CHECK_NOTHROW((void)buffer.make_view(0, 10));
    CHECK_NOTHROW((void)buffer.make_view(20, 80));
}

TEST_CASE("direct_buffer: a view out of bounds is an error, also when its end overflows") {
    direct_buffer buffer(100);
    const auto out = [&](std::uint64_t offset, std::uint64_t length) {
        return misuse([&] { (void)buffer.make_view(offset, length); });
    };
    CHECK(out(90, 11) == "direct_buffer: view of 11 bytes at 90 exceeds 100 bytes");
    CHECK(out(101, 0) == "direct_buffer: view of 0 bytes at 101 exceeds 100 bytes");
    CHECK(
        out(90, ~std::uint64_t(0)) ==
        "direct_buffer: view of 18446744073709551615 bytes at 90 exceeds 100 bytes"
    );
    CHECK_NOTHROW((void)buffer.make_view(90, 10));
    CHECK_NOTHROW((void)buffer.make_view(100, 0));
}

TEST_CASE("direct_buffer: an empty view occupies no bytes and is complete") {
    direct_buffer buffer(10);
    const auto held = buffer.make_view(0, 10);
    auto empty = buffer.make_view(5, 0);
    CHECK(empty.complete());
    CHECK(empty.prepare().empty());
    CHECK_NOTHROW(empty.write({}));
    CHECK(misuse([&] { empty.commit(1); }) == "direct_buffer: view [0, 0): 1 bytes given, 0 of 0 remain");
}

TEST_CASE("direct_buffer: a write beyond a view is rejected, and nothing is written") {
    std::string memory = "..........";
    direct_buffer buffer(std::as_writable_bytes(std::span(memory)));
    auto view = buffer.make_view(2, 4);
    view.write(bytes_of("a"));
    CHECK(misuse([&] {
              view.write(bytes_of("bcde"));
          }) == "direct_buffer: view [2, 6): 4 bytes given, 3 of 4 remain");
    CHECK(misuse([&] { view.commit(4); }) == "direct_buffer: view [2, 6): 4 bytes given, 3 of 4 remain");
    CHECK(memory == "..a.......");
    CHECK(view.written() == 1);
    CHECK(buffer.written() == 1);
}

TEST_CASE("direct_buffer: an incomplete buffer returns no data, and the error gives the first hole") {
    direct_buffer buffer(10);
    const auto hole = [&] {
        const auto message = misuse([&] { (void)buffer.data(); });
        CHECK(misuse([&] { (void)std::move(buffer).take(); }) == message);
        return message;
    };
    CHECK(hole() == "direct_buffer: 0 of 10 bytes are written; the first hole is [0, 10)");
    auto middle = buffer.make_view(4, 4);
    middle.write(bytes_of("45"));
    CHECK(hole() == "direct_buffer: 2 of 10 bytes are written; the first hole is [0, 4)");
    auto front = buffer.make_view(0, 4);
    front.write(bytes_of("0"));
    CHECK(hole() == "direct_buffer: 3 of 10 bytes are written; the first hole is [1, 4)");
    front.write(bytes_of("123"));
    CHECK(hole() == "direct_buffer: 6 of 10 bytes are written; the first hole is [6, 10)");
    middle.write(bytes_of("67"));
    CHECK(hole() == "direct_buffer: 8 of 10 bytes are written; the first hole is [8, 10)");
    buffer.make_view(8, 2).write(bytes_of("89"));
    CHECK(text(std::move(buffer).take().span()) == "0123456789");
}

TEST_CASE("direct_buffer: after a view is dropped its unwritten rest is free again, its written bytes are not"
) {
    direct_buffer buffer(10);
    {
        auto dropped = buffer.make_view(0, 10);
        dropped.write(bytes_of("012"));
    }
    CHECK(misuse([&] {
              (void)buffer.make_view(2, 8);
          }) == "direct_buffer: view [2, 10) overlaps [0, 3), which is taken");
    auto retry = buffer.make_view(3, 7);
    retry.write(bytes_of("3456789"));
    CHECK(text(buffer.data()) == "0123456789");
}

TEST_CASE("direct_buffer: a moved view keeps its region, and an overwritten one releases it") {
    direct_buffer buffer(4);
    auto a = buffer.make_view(0, 2);
    a.write(bytes_of("0"));
    auto b = std::move(a);
    CHECK(a.complete());
    CHECK(a.size() == 0);
    CHECK(b.written() == 1);
    b.write(bytes_of("1"));
    b = buffer.make_view(2, 2);
    b = direct_buffer::view();
    CHECK_NOTHROW(b = buffer.make_view(2, 2));
    auto& same = b;
    b = std::move(same);
    CHECK(b.size() == 2);
    b.write(bytes_of("23"));
    CHECK(text(buffer.data()) == "0123");
}

TEST_CASE("direct_buffer: after close() every use is an error") {
    std::array<std::byte, 4> memory{};
    direct_buffer buffer(memory);
    auto view = buffer.make_view(0, 4);
    view.write(bytes_of("0"));
    buffer.close();
    buffer.close();
    CHECK(buffer.closed());
    CHECK(misuse([&] { (void)view.prepare(); }) == "direct_buffer: view [0, 4): the buffer is closed");
    CHECK(misuse([&] { view.commit(1); }) == "direct_buffer: view [0, 4): the buffer is closed");
    CHECK(misuse([&] { view.write(bytes_of("1")); }) == "direct_buffer: view [0, 4): the buffer is closed");
    CHECK(memory[1] == std::byte(0));
    CHECK(misuse([&] {
              (void)buffer.make_view(1, 2);
          }) == "direct_buffer: view of 2 bytes at 1: the buffer is closed");
    CHECK(misuse([&] { (void)buffer.data(); }) == "direct_buffer: data: the buffer is closed");
    CHECK_THROWS_AS((void)std::move(buffer).take(), rangeio::error);
}

TEST_CASE("direct_buffer: a taken or moved-from buffer is closed") {
    direct_buffer buffer(2);
    buffer.make_view(0, 2).write(bytes_of("ab"));
    direct_buffer other = std::move(buffer);
    CHECK(buffer.closed());
    CHECK(buffer.size() == 0);
    CHECK(buffer.written() == 0);
    CHECK_NOTHROW(buffer.close());
    CHECK_THROWS_AS((void)buffer.data(), rangeio::error);
    CHECK_THROWS_AS((void)buffer.make_view(0, 0), rangeio::error);
    byte_block block = std::move(other).take();
    CHECK(other.closed());
    CHECK_THROWS_AS((void)other.data(), rangeio::error);
    const byte_block moved = std::move(block);
    CHECK(block.empty());
    CHECK(text(moved.span()) == "ab");
}

TEST_CASE("direct_buffer: owned memory outlives the buffer while a view can write to it") {
    direct_buffer::view late;
    {
        direct_buffer buffer(1 << 20);
        late = buffer.make_view(0, 1 << 20);
    }
    const auto memory = late.prepare();
    std::ranges::fill(memory, std::byte(1));
    CHECK_NOTHROW(late.commit(memory.size()));
    CHECK(late.complete());
}

TEST_CASE("direct_buffer: a size beyond any memory is an error that gives the size") {
    CHECK(message_of(errc::invalid_argument, [] {
              direct_buffer(std::uint64_t(1) << 63);
          }) == "direct_buffer: no memory for 9223372036854775808 bytes");
}

TEST_CASE("direct_buffer: random views, writes and drops agree with a bitmap") {
    std::mt19937_64 random(10);
    for (int round = 0; round < 300; ++round) {
        const std::size_t size = random() % 60 + 1;
        direct_buffer buffer(size);
        std::vector<bool> written(size);
        std::vector<bool> taken(size);
        std::map<std::size_t, direct_buffer::view> live;  // by begin
        for (int step = 0; step < 200; ++step) {
            const auto pick =
                live.empty() ? live.end() : std::next(live.begin(), long(random() % live.size()));
            const auto action = random() % 4;
            if (action == 0) {
                const std::size_t begin = random() % (size + 2);
                const std::size_t length = random() % 12;
                bool free = begin + length <= size;
                for (std::size_t i = begin; i < std::min(begin + length, size); ++i) free = free && !taken[i];
                if (!free) {
                    REQUIRE_THROWS_AS((void)buffer.make_view(begin, length), rangeio::error);
                } else if (length == 0) {
                    REQUIRE(buffer.make_view(begin, 0).complete());
                } else {
                    live.insert_or_assign(begin, buffer.make_view(begin, length));
                    for (std::size_t i = begin; i < begin + length; ++i) taken[i] = true;
                }
            } else if (pick == live.end()) {
                continue;
            } else if (action == 1) {
                auto& [begin, view] = *pick;
                for (std::size_t i = begin + view.written(); i < begin + view.size(); ++i) taken[i] = false;
                live.erase(pick);
            } else {
                auto& [begin, view] = *pick;
                const std::size_t n = random() % 8;
                std::vector<std::byte> bytes;
                for (std::size_t i = 0; i < n; ++i) bytes.push_back(std::byte(begin + view.written() + i));
                if (n > view.size() - view.written()) {
                    REQUIRE_THROWS_AS(view.write(bytes), rangeio::error);
                    continue;
                }
                for (std::size_t i = 0; i < n; ++i) written[begin + view.written() + i] = true;
                view.write(bytes);
            }
            const auto there = std::size_t(std::count(written.begin(), written.end(), true));
            REQUIRE(buffer.written() == there);
            if (there != size) {
                const auto hole = std::size_t(std::ranges::find(written, false) - written.begin());
                const auto message = misuse([&] { (void)buffer.data(); });
                REQUIRE(message.find("hole is [" + std::to_string(hole) + ",") != std::string::npos);
            }
        }
        live.clear();
        for (std::size_t i = 0; i < size; ++i) {
            if (!written[i]) buffer.make_view(i, 1).write(std::vector{std::byte(i)});
        }
        const auto block = std::move(buffer).take();
        for (std::size_t i = 0; i < size; ++i) REQUIRE(block.span()[i] == std::byte(i));
    }
}
