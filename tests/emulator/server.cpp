#include <rangeio/error.hpp>

#include "emulator/fixture.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <thread>

using namespace support;
using rangeio::emulator::server;
using rangeio::emulator::server_options;

namespace {

std::string message_of(const server_options& options) {
    try {
        const server never(options);
    } catch (const rangeio::error& e) {
        return e.what();
    }
    return "(no error)";
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("server: a free loopback port is the default, and an unknown method is UNIMPLEMENTED") {
    fixture f;
    CHECK(f.server.address().starts_with("127.0.0.1:"));
    CHECK_FALSE(f.server.address().ends_with(":0"));
    CHECK(
        f.client.unary("/google.storage.v2.Storage/DeleteObject", "", bucket_params).code ==
        code::unimplemented
    );
    const call_outcome unknown = f.client.unary("/no.such.Service/Method", "", "");
    CHECK(unknown.code == code::unimplemented);
    CHECK(contains(unknown.message, "/no.such.Service/Method"));
}

TEST_CASE("server: a failed start is reported with its cause") {
    const scratch files;
    const std::string root = files.path().string();
    SUBCASE("a root that does not exist") {
        const std::string message = message_of(server_options().root(root + "/none"));
        CHECK(contains(message, root + "/none"));
        CHECK(contains(message, "No such file or directory"));
    }
    SUBCASE("a root that is a file") {
        files.write("file", "");
        CHECK(contains(message_of(server_options().root(root + "/file")), "Not a directory"));
    }
    SUBCASE("a root that is not readable") {
        REQUIRE(::mkdir((root + "/closed").c_str(), 0) == 0);
        if (::geteuid() != 0) {
            CHECK(contains(message_of(server_options().root(root + "/closed")), "Permission denied"));
        }
    }
    SUBCASE("an address in use") {
        const server first(server_options().root(root));
        const std::string message = message_of(server_options().root(root).listen(first.address()));
        CHECK(contains(message, first.address()));
        CHECK(contains(message, "Address already in use"));
    }
    SUBCASE("an address of another machine") {
        const std::string message = message_of(server_options().root(root).listen("192.0.2.1:0"));
        CHECK(contains(message, "192.0.2.1:0"));
        CHECK(contains(message, "Cannot assign requested address"));
    }
    SUBCASE("no address") {
        CHECK(contains(message_of(server_options().root(root).listen("nonsense")), "nonsense"));
    }
    SUBCASE("an unfinalized object without a bucket") {
        CHECK(contains(message_of(server_options().root(root).unfinalized("log")), "'log'"));
    }
    SUBCASE("unusable chunk sizes") {
        CHECK(contains(message_of(server_options().root(root).max_chunk_bytes(0)), "max_chunk_bytes"));
        CHECK(contains(
            message_of(server_options().root(root).max_chunk_bytes((2 << 20) + 1)), "max_chunk_bytes"
        ));
    }
}

TEST_CASE("server: chunks are no larger than configured") {
    fixture f(server_options().max_chunk_bytes(3));
    f.files.write("b/o", "0123456789");
    const auto [got, outcome] = read_ranges(f, bidi_request("o", {{0, 0, 1}, {4, 4, 2}}));
    CHECK(outcome.code == code::ok);
    CHECK(got.bytes.at(1) == "0123456789");
    CHECK(got.bytes.at(2) == "4567");
    CHECK(got.order == std::vector<std::int64_t>{1, 2, 1, 2, 1, 1});
}

TEST_CASE("server: calls, messages, ranges and bytes are counted") {
    fixture f;
    f.files.write("b/o", pattern(5000));
    raw_call call = f.open_stream();
    call.write(bidi_request("o", {{0, 100, 1}}).SerializeAsString());
    received got;
    got.read(call, 1);
    CHECK(f.server.stats().bidi_read_object.open == 1);
    call.write(bidi_request("", {{0, 100, 2}, {100, 0, 3}}).SerializeAsString());
    got.read(call, 3);
    call.half_close();
    CHECK(got.read_all(call).code == code::ok);
    f.stat("o");
    const auto stats = f.server.stats();
    CHECK(stats.bidi_read_object.calls == 1);
    CHECK(stats.bidi_read_object.requests == 2);
    CHECK(stats.bidi_read_object.responses == 3);
    CHECK(stats.ranges_requested == 3);
    CHECK(stats.ranges_served == 3);
    CHECK(stats.bytes_sent == 100 + 100 + 4900);
    CHECK(stats.get_object.calls == 1);
    CHECK(stats.get_object.responses == 1);
    CHECK(stats.list_objects.calls == 0);
    f.server.shutdown();
    CHECK(f.server.stats().bidi_read_object.open == 0);
}

TEST_CASE("server: messages and bytes of ReadObject calls add to the counts") {
    fixture f;
    const std::string content = pattern((std::size_t{5} << 20) + 3);
    f.files.write("b/o", content);
    storage::ReadObjectRequest request;
    request.set_bucket(bucket_name);
    request.set_object("o");
    for (const std::uint64_t times : {1U, 2U}) {
        raw_call call = f.client.start(read_object, bucket_params);
        call.write(request.SerializeAsString());
        call.half_close();
        while (call.read()) {
        }
        CHECK(call.finish().code == code::ok);
        const auto stats = f.server.stats();
        CHECK(stats.bytes_sent == times * content.size());
        CHECK(stats.read_object.calls == times);
        CHECK(stats.read_object.requests == times);
        CHECK(stats.read_object.responses == times * 3);  // of 2 MiB at most
        CHECK(stats.ranges_requested == 0);
    }
}

TEST_CASE("server: at most a hundred unknown bucket names are kept") {
    fixture f;
    storage::GetObjectRequest request;
    request.set_object("o");
    for (int i = 0; i < 150; ++i) {
        const std::string bucket = "projects/_/buckets/missing-" + std::to_string(i);
        request.set_bucket(bucket);
        CHECK(f.refused(get_object, request, "bucket=" + bucket).code == code::not_found);
    }
    CHECK(f.server.stats().missing_buckets.size() == 100);
}

TEST_CASE("server: shutdown ends open calls of every kind, and may be repeated") {
    fixture f;
    f.files.write("b/o", pattern(std::size_t{64} << 20));
    raw_call idle = f.open_stream();
    idle.write(bidi_request("o", {}).SerializeAsString());
    REQUIRE(idle.read());
    raw_call silent = f.open_stream();
    raw_call unread = f.open_stream();  // its client takes one message and then nothing
    unread.write(bidi_request("o", {{0, 0, 1}}).SerializeAsString());
    REQUIRE(unread.read());
    raw_call plain = f.client.start(read_object, bucket_params);
    raw_call unary = f.client.start(get_object, bucket_params);
    std::thread other([&] { f.server.shutdown(); });
    f.server.shutdown();
    other.join();
    for (raw_call* call : {&idle, &silent, &unread, &plain, &unary}) {
        while (call->read()) {
        }
        const int ended = call->finish().code;
        CHECK((ended == code::cancelled || ended == code::unavailable));
    }
    const auto stats = f.server.stats();
    CHECK(stats.bidi_read_object.open == 0);
    CHECK(stats.read_object.open == 0);
    CHECK(stats.get_object.open == 0);
    f.server.shutdown();
}

TEST_CASE("server: many streams at once are served, each with its own ranges") {
    fixture f;
    const std::string content = pattern(std::size_t{6} << 20);
    f.files.write("b/o", content);
    std::vector<std::thread> threads;
    std::vector<int> good(8);
    for (std::size_t i = 0; i < good.size(); ++i) {
        threads.emplace_back([&, i] {
            raw_client client(f.server.address());
            raw_call call = client.start(bidi_read_object, bucket_params);
            const auto offset = static_cast<std::int64_t>(i * 100'000 + 7);
            call.write(
                bidi_request("o", {{offset, 0, 1}, {-offset, 0, 2}, {offset, offset, 3}}).SerializeAsString()
            );
            call.half_close();
            received got;
            const call_outcome outcome = got.read_all(call);
            const auto at = static_cast<std::size_t>(offset);
            good[i] = outcome.code == code::ok && got.bytes[1] == content.substr(at) &&
                      got.bytes[2] == content.substr(content.size() - at) &&
                      got.bytes[3] == content.substr(at, at);
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(good == std::vector<int>(good.size(), 1));
}

TEST_CASE("server: a client that disconnects leaves nothing behind") {
    fixture f;
    f.files.write("b/o", pattern(std::size_t{64} << 20));
    {
        raw_call call = f.open_stream();
        call.write(bidi_request("o", {{0, 0, 1}, {0, 0, 2}}).SerializeAsString());
        REQUIRE(call.read());
        call.cancel();
    }
    // The next call is served, and shutdown finds the first one ended.
    CHECK(f.stat("o").size() == 64 << 20);
    f.server.shutdown();
    CHECK(f.server.stats().bidi_read_object.open == 0);
}
