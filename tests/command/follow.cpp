#include "command/fixture.hpp"

#include <doctest/doctest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace support {
namespace {

/// An emulator with an object that is being appended to.
struct growing : fixture {
    growing() : fixture({"--unfinalized", "bucket/log"}) { put("log", "first line\n"); }

    void append(std::string_view text) const {
        std::ofstream(root.path() / "bucket/log", std::ios::app | std::ios::binary) << text;
    }
    void finalize() const {
        using std::filesystem::perms;
        const auto writers = perms::owner_write | perms::group_write | perms::others_write;
        std::filesystem::permissions(
            root.path() / "bucket/log", writers, std::filesystem::perm_options::remove
        );
    }
};

TEST_SUITE_BEGIN("follow");

TEST_CASE("cat --follow: existing bytes are written, then appended ones, until the object is finalized") {
    const growing here;
    process cat({"cat", "--follow", "--poll", "10ms", "gs://bucket/log"}, here.here());
    CHECK(cat.read_line() == "first line");
    here.append("second line\n");
    CHECK(cat.read_line() == "second line");
    const std::string long_line = std::string(block_bytes, 'x') + "third line";
    here.append(long_line + '\n');
    CHECK((cat.read_line() == long_line));
    here.append("last");
    here.finalize();
    const outcome got = cat.wait();
    CHECK(got.code == 0);
    CHECK(got.out == "last");
    CHECK(got.err.empty());
}

TEST_CASE("cat --follow: output begins at the last N bytes or at an offset") {
    const growing here;
    std::string first;
    std::string range;
    SUBCASE("-5") {
        range = "-5";
        first = "line";
    }
    SUBCASE("6-") {
        range = "6-";
        first = "line";
    }
    SUBCASE("more bytes than the object has") {
        range = "-100";
        first = "first line";
    }
    if (range.empty()) return;
    process cat({"cat", "--follow", "--poll", "10ms", "--range", range, "gs://bucket/log"}, here.here());
    CHECK(cat.read_line() == first);
    here.append("more\n");
    CHECK(cat.read_line() == "more");
    here.finalize();
    CHECK(cat.wait().code == 0);
}

TEST_CASE("cat --follow: a finalized object is written once, then the command ends") {
    const fixture here;
    here.put("object", "content");
    const outcome got = here.run({"cat", "--follow", "gs://bucket/object"});
    CHECK(got.code == 0);
    CHECK(got.out == "content");
}

TEST_CASE("cat --follow: an object that is replaced or deleted is an error") {
    const growing here;
    process cat({"cat", "--follow", "--poll", "10ms", "gs://bucket/log"}, here.here());
    CHECK(cat.read_line() == "first line");
    const auto log = here.root.path() / "bucket/log";
    SUBCASE("replaced") {
        here.put("other", "another object");
        std::filesystem::rename(here.root.path() / "bucket/other", log);
    }
    SUBCASE("deleted") {
        std::filesystem::remove(log);
    }
    const outcome got = cat.wait();
    CAPTURE(got.err);
    CHECK(got.code == 1);
    CHECK(got.one_line());
    CHECK(got.err.find("gs://bucket/log") != std::string::npos);
    CHECK(got.err.find("generation") != std::string::npos);
}

TEST_CASE("cat --follow: SIGINT ends the command while it waits for appended bytes") {
    const growing here;
    process cat({"cat", "--follow", "--poll", "1h", "gs://bucket/log"}, here.here());
    CHECK(cat.read_line() == "first line");
    cat.signal(SIGINT);
    CHECK(cat.wait().code == 128 + SIGINT);
}

TEST_CASE("cat --follow: several objects, or a range with an end, are a usage error") {
    const fixture here;
    here.put("a", "");
    for (const std::vector<std::string>& words : {
             std::vector<std::string>{"cat", "--follow", "gs://bucket/a", "gs://bucket/a"},
             {"cat", "--follow", "--range", "0-3", "gs://bucket/a"},
             {"cat", "--follow", "--range", "0-", "--range", "-3", "gs://bucket/a"},
         }) {
        const outcome got = here.run(words);
        CHECK(got.code == 2);
        CHECK(got.one_line());
        CHECK(got.err.find("--follow") != std::string::npos);
    }
}

TEST_CASE("--verbose: standard error has a line for each event and a summary, the output is unchanged") {
    const fixture here;
    here.put("a b\n", "content");
    const auto lines_with = [](const outcome& got, std::string_view what) {
        std::size_t count = 0;
        for (std::size_t at = got.err.find(what); at != std::string::npos; at = got.err.find(what, at + 1)) {
            ++count;
        }
        return count;
    };
    here.put("object", "content");
    SUBCASE("cat") {
        const outcome got = here.run({"cat", "-v", "gs://bucket/object"});
        CAPTURE(got.err);
        CHECK(got.code == 0);
        CHECK(got.out == "content");
        CHECK(got.err.starts_with("rangeio: gs://bucket/object: stream 1 opened after "));
        CHECK(lines_with(got, "rangeio: summary: opened=1 ") == 1);
        CHECK(lines_with(got, "resumed=0") == 1);
    }
    SUBCASE("cp") {
        const scratch target;
        const outcome got = here.run({"cp", "--verbose", "gs://bucket/object", target / "copy"});
        CAPTURE(got.err);
        CHECK(got.code == 0);
        CHECK(target.read("copy") == "content");
        CHECK(lines_with(got, "stream 1 opened after ") == 1);
        CHECK(lines_with(got, "summary: opened=1 ") == 1);
    }
    SUBCASE("bench") {
        const outcome got = here.run(
            {"bench", "-v", "--duration", "1ms", "--warmup", "0ms", "--pool-size", "1", "gs://bucket/object"}
        );
        CAPTURE(got.err);
        CHECK(got.code == 0);
        CHECK(lines_with(got, "stream 1 opened after ") == 1);
        CHECK(lines_with(got, "summary: opened=1 ") == 1);
    }
    SUBCASE("a failure is printed after the summary") {
        const outcome got = here.run({"cat", "-v", "gs://bucket/missing"});
        CAPTURE(got.err);
        CHECK(got.code == 1);
        CHECK(lines_with(got, "gs://bucket/missing: stream 1 broke: ") == 1);
        CHECK(lines_with(got, "gs://bucket/missing: stream 1 failed: ") == 1);
        const std::size_t summary = got.err.find("summary: opened=0 ");
        REQUIRE(summary != std::string::npos);
        CHECK(got.err.find("gs://bucket/missing", summary) != std::string::npos);
    }
    SUBCASE("streams that are redirected and break") {
        const fixture faulty({"--faults", "redirect byte=100000; reset byte=1000 call=2"});
        const std::string content = pattern(300'000);
        faulty.put("object", content);
        const outcome got = faulty.run({"cat", "-v", "gs://bucket/object"});
        CAPTURE(got.err);
        CHECK(got.code == 0);
        CHECK(got.out == content);
        CHECK(lines_with(got, "gs://bucket/object: stream 1 was redirected\n") == 1);
        CHECK(lines_with(got, "gs://bucket/object: stream 1 continues with another call\n") == 1);
        CHECK(lines_with(got, "gs://bucket/object: stream 1 broke: the stream broke (UNAVAILABLE)\n") == 1);
        CHECK(lines_with(got, "gs://bucket/object: stream 1 resumes after ") == 1);
        CHECK(lines_with(got, "gs://bucket/object: stream 1 resumed after ") == 2);
        CHECK(lines_with(got, "summary: opened=1 ") == 1);
        CHECK(lines_with(got, " resumed=2 redirected=1 ") == 1);
    }
    SUBCASE("without the option standard error is empty") {
        CHECK(here.run({"cat", "gs://bucket/object"}).err.empty());
    }
}

TEST_SUITE_END();

}  // namespace
}  // namespace support
