#include <rangeio/crc32c.hpp>

#include "emulator/fixture.hpp"
#include "emulator/store/object_store.hpp"
#include "support/bytes_of.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

// What the files under the objects do: they are huge, change in place, are cut short, are many.

using namespace support;
using rangeio::crc32c;
using rangeio::crc32c_combine;

namespace {

std::uint32_t checksum_of_zeros(std::uint64_t count) {
    const std::string one(1, '\0');
    std::uint32_t crc = 0;
    std::uint32_t power = crc32c(bytes_of(one));
    for (std::uint64_t size = 1; count != 0; count >>= 1, size *= 2) {
        if (count % 2 != 0) crc = crc32c_combine(crc, power, size);
        power = crc32c_combine(power, power, size);
    }
    return crc;
}

// Writes without making a new file of it; what lies beyond stays.
void write_in_place(const std::filesystem::path& path, std::uint64_t offset, std::string_view text) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT, 0600);
    REQUIRE(fd >= 0);
    CHECK(
        ::pwrite(fd, text.data(), text.size(), static_cast<off_t>(offset)) ==
        static_cast<ssize_t>(text.size())
    );
    ::close(fd);
}

bool holds_soon(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + raw_client::deadline;
    while (std::chrono::steady_clock::now() < end) {
        if (condition()) return true;
        std::this_thread::yield();
    }
    return false;
}

}  // namespace

TEST_CASE("files: a huge sparse file costs only what its data costs") {
    constexpr std::uint64_t size = std::uint64_t{200} << 30;
    fixture f;
    const std::filesystem::path path = f.files.path() / "b/huge";
    write_in_place(path, 0, "BEGIN");
    std::filesystem::resize_file(path, size);
    write_in_place(path, size - 4, "END!");
    std::uint32_t expected = crc32c(bytes_of("BEGIN"));
    expected = crc32c_combine(expected, checksum_of_zeros(size - 9), size - 9);
    expected = crc32c_combine(expected, crc32c(bytes_of("END!")), 4);

    const std::int64_t middle = std::int64_t{100} << 30;
    const auto [got, outcome] = read_ranges(
        f, bidi_request("huge", {{-4, 0, 1}, {0, 5, 2}, {middle, 3, 3}, {(std::int64_t{1} << 32) - 2, 4, 4}})
    );
    CHECK(outcome.code == code::ok);
    CHECK(got.bytes.at(1) == "END!");
    CHECK(got.bytes.at(2) == "BEGIN");
    CHECK(got.bytes.at(3) == std::string(3, '\0'));
    CHECK(got.bytes.at(4) == std::string(4, '\0'));
    CHECK(got.responses.front().metadata().checksums().crc32c() == expected);
    CHECK(f.stat("huge").checksums().crc32c() == expected);
    CHECK(f.stat("huge").size() == static_cast<std::int64_t>(size));
}

TEST_CASE("files: the checksum of a file of 64 MiB is sent in the first response") {
    fixture f;
    const std::string content = pattern(std::size_t{64} << 20);
    f.files.write("b/largest", content);
    const auto opened = read_ranges(f, bidi_request("largest", {{0, 1, 1}})).got.responses.front();
    CHECK(opened.metadata().checksums().crc32c() == crc32c(bytes_of(content)));
}

TEST_CASE("files: the checksum of a larger file is omitted until it is computed, and then right") {
    fixture f;
    const std::string content = pattern((std::size_t{64} << 20) + 1);
    f.files.write("b/large", content);
    const std::uint32_t expected = crc32c(bytes_of(content));
    const auto right_if_there = [&](const storage::Object& object) {
        CHECK(object.size() == static_cast<std::int64_t>(content.size()));
        CHECK((!object.checksums().has_crc32c() || object.checksums().crc32c() == expected));
        return object.checksums().has_crc32c();
    };
    right_if_there(read_ranges(f, bidi_request("large", {{0, 1, 1}})).got.responses.front().metadata());
    CHECK(holds_soon([&] { return right_if_there(f.stat("large")); }));
    const auto later = read_ranges(f, bidi_request("large", {{0, 1, 1}}));
    CHECK(right_if_there(later.got.responses.front().metadata()));
}

TEST_CASE("files: a file modified in place is another generation, even within one tick of the clock") {
    const scratch files;
    std::filesystem::create_directory(files.path() / "b");
    const std::filesystem::path path = files.path() / "b/o";
    // Not over a call, which takes longer than a tick.
    rangeio::emulator::object_store store(files.path(), {});
    std::int64_t last = 0;
    for (int i = 0; i < 50; ++i) {
        const std::string content = pattern(1000, static_cast<unsigned>(i) + 1);
        write_in_place(path, 0, content);
        const rangeio::emulator::object_ptr object = store.open("b", "o");
        CHECK(object->generation() > last);
        CHECK(object->checksum() == crc32c(bytes_of(content)));
        last = object->generation();
    }
}

TEST_CASE("files: a replaced file is another generation, even within one tick of the clock") {
    fixture f;
    std::int64_t last = 0;
    for (int i = 0; i < 100; ++i) {
        f.files.write("b/o", pattern(1000, static_cast<unsigned>(i) + 1));
        const std::int64_t now = f.stat("o").generation();
        CHECK(now > last);
        last = now;
    }
}

TEST_CASE("files: a file truncated in place ends its readers with NOT_FOUND and affects no other stream") {
    fixture f(rangeio::emulator::server_options().max_chunk_bytes(1000));
    f.files.write("b/o", pattern(100'000));
    f.files.write("b/other", "other");
    raw_call call = f.open_stream();
    call.write(bidi_request("o", {{0, 10, 1}}).SerializeAsString());
    received got;
    got.read(call, 1);
    raw_call other = f.open_stream();
    other.write(bidi_request("other", {{0, 0, 1}}).SerializeAsString());
    std::filesystem::resize_file(f.files.path() / "b/o", 10);
    call.write(bidi_request("", {{50'000, 10, 2}}).SerializeAsString());
    const call_outcome outcome = got.read_all(call);
    CHECK(outcome.code == code::not_found);
    CHECK(outcome.message.find("modified in place") != std::string::npos);
    received unharmed;
    unharmed.read(other, 1);
    CHECK(unharmed.bytes[1] == "other");
}

TEST_CASE("files: a file truncated at any moment of a read crashes no reader") {
    constexpr std::uintmax_t full = std::uintmax_t{4} << 20;
    fixture f;
    const std::filesystem::path path = f.files.path() / "b/o";
    write_in_place(path, 0, pattern(full));
    std::atomic<bool> over{false};
    std::thread cutter([&] {
        while (!over) {
            std::filesystem::resize_file(path, 0);
            std::filesystem::resize_file(path, full);
        }
    });
    for (int i = 0; i < 60; ++i) {
        const int ended = read_ranges(f, bidi_request("o", {{0, 0, 1}, {0, 0, 2}})).outcome.code;
        CHECK((ended == code::ok || ended == code::not_found));
    }
    over = true;
    cutter.join();
    CHECK(read_ranges(f, bidi_request("o", {{0, 0, 1}})).got.bytes.at(1) == std::string(full, '\0'));
}

TEST_CASE("files: thousands of objects hold few descriptors, no mapping, and nothing after the end") {
    scratch files;
    const auto held = [&] {
        std::size_t count = 0;
        std::error_code gone;
        for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
            const auto target = std::filesystem::read_symlink(entry.path(), gone);
            count += target.string().starts_with(files.path().string() + "/b/") ? 1 : 0;
        }
        return count;
    };
    constexpr int objects = 2000;
    for (int i = 0; i < objects; ++i) files.write("b/" + std::to_string(i), "content");
    {
        const rangeio::emulator::server server(rangeio::emulator::server_options().root(files.path()));
        raw_client client(server.address());
        storage::GetObjectRequest request;
        request.set_bucket(bucket_name);
        for (int i = 0; i < objects; ++i) {
            request.set_object(std::to_string(i));
            CHECK(client.unary(get_object, request.SerializeAsString(), bucket_params).code == code::ok);
        }
        CHECK(held() > 0);
        CHECK(held() <= 256);
        std::ifstream maps("/proc/self/maps");
        const std::string text(std::istreambuf_iterator<char>(maps), {});
        CHECK(text.find(files.path().string()) == std::string::npos);
    }
    CHECK(held() == 0);
}
