#include "command/fixture.hpp"
#include "command/peers.hpp"
#include "support/mib.hpp"

#include <doctest/doctest.h>

#include <csignal>
#include <cstddef>
#include <string>
#include <vector>

namespace support {
namespace {

TEST_SUITE_BEGIN("cat");

TEST_CASE("cat: objects of any size are written byte for byte") {
    std::size_t size = 0;
    SUBCASE("0") {
        size = 0;
    }
    SUBCASE("1") {
        size = 1;
    }
    SUBCASE("2 MiB - 1") {
        size = 2 * mib - 1;
    }
    SUBCASE("2 MiB") {
        size = 2 * mib;
    }
    SUBCASE("2 MiB + 1") {
        size = 2 * mib + 1;
    }
    SUBCASE("a block") {
        size = block_bytes;
    }
    SUBCASE("a block and a partial block") {
        size = block_bytes + 1;
    }
    SUBCASE("four blocks") {
        size = 4 * block_bytes;
    }
    SUBCASE("twelve blocks and a partial one") {
        size = 12 * block_bytes + 7;
    }
    const fixture here;
    const std::string content = pattern(size);
    here.put("object", content);
    const outcome got = here.run({"cat", "gs://bucket/object"});
    CHECK(got.code == 0);
    CHECK(got.err.empty());
    CHECK(got.out.size() == size);
    CHECK((got.out == content));
}

TEST_CASE("cat: the output does not depend on pool size and concurrency") {
    const fixture here;
    const std::string content = many_blocks();
    here.put("object", content);
    for (const char* pool_size : {"1", "7"}) {
        for (const char* concurrency : {"1", "64"}) {
            CAPTURE(pool_size);
            CAPTURE(concurrency);
            const outcome got =
                here.run({"cat", "gs://bucket/object", "--pool-size", pool_size, "--concurrency", concurrency}
                );
            CHECK(got.code == 0);
            CHECK((got.out == content));
        }
    }
}

TEST_CASE("cat: the output does not depend on what is read ahead, and in how much memory") {
    const fixture here;
    const std::string content = many_blocks();
    here.put("object", content);
    for (const char* how : {"off", "linear", "adaptive"}) {
        for (const char* budget : {"1MiB", "1GiB"}) {
            CAPTURE(how);
            CAPTURE(budget);
            const outcome got =
                here.run({"cat", "gs://bucket/object", "--prefetch", how, "--budget", budget});
            CHECK(got.code == 0);
            CHECK((got.out == content));
        }
    }
}

TEST_CASE("cat: long and short ranges, overlapping ones too, are written with little memory") {
    const fixture here;
    const std::string content = many_blocks();
    here.put("object", content);
    const std::size_t end = content.size() - 5;
    const outcome got = here.run(
        {"cat",
         "gs://bucket/object",
         "--budget",
         "1MiB",
         "--range",
         "1-" + std::to_string(end),
         "--range",
         "7-7",
         "--range",
         std::to_string(mib) + "-" + std::to_string(3 * mib),
         "--range",
         "-9"}
    );
    CHECK(got.code == 0);
    CHECK(
        (got.out ==
         content.substr(1, end - 1) + content.substr(mib, 2 * mib) + content.substr(content.size() - 9))
    );
}

TEST_CASE(
    "cat --prefetch: a scan is fetched ahead, unless that is off: then each block is requested by itself"
) {
    fixture here({"--verbose"});
    here.put("object", pattern(2 * block_bytes));
    check_prefetch_option(here, {"cat", "gs://bucket/object", "--concurrency", "1"});
}

TEST_CASE("cat --range: of a range with an end, nothing past it is requested") {
    fixture here({"--verbose"});
    const std::string content = pattern(16 * mib);
    here.put("object", content);
    const outcome got = here.run({"cat", "gs://bucket/object", "--range", "0-" + std::to_string(8 * mib)});
    CHECK(got.code == 0);
    CHECK((got.out == content.substr(0, 8 * mib)));
    // A range that is announced is requested in units of 1 MiB.
    CHECK(here.ranges() == 8);
}

TEST_CASE("cat: several objects are written one after the other") {
    const fixture here;
    here.put("dir/one", "first ");
    here.put("two", "");
    here.put("three", "third");
    const outcome got = here.run({"cat", "gs://bucket/dir/one", "gs://bucket/two", "gs://bucket/three"});
    CHECK(got.code == 0);
    CHECK(got.out == "first third");
}

TEST_CASE("cat: ranges are written in the order of the command line") {
    const fixture here;
    here.put("object", "0123456789");
    const outcome got = here.run(
        {"cat", "--range", "8-", "--range", "0-3", "--range", "-1", "--range", "4-4", "gs://bucket/object"}
    );
    CHECK(got.code == 0);
    CHECK(got.out == "890129");
}

TEST_CASE("cat: ranges at the end of the object are written or rejected according to its size") {
    const fixture here;
    here.put("object", "0123456789");
    here.put("empty", "");
    const auto cat = [&here](const char* range, const char* object = "gs://bucket/object") {
        return here.run({"cat", "--range", range, object});
    };
    CHECK(cat("9-10").out == "9");
    CHECK(cat("10-").out.empty());
    CHECK(cat("10-").code == 0);
    CHECK(cat("10-10").code == 0);
    CHECK(cat("-10").out == "0123456789");
    CHECK(cat("-11").out == "0123456789");
    CHECK(cat("-0").out.empty());
    CHECK(cat("0-", "gs://bucket/empty").code == 0);
    CHECK(cat("-5", "gs://bucket/empty").code == 0);
    for (const char* beyond : {"5-11", "11-", "11-12", "0-9223372036854775807"}) {
        const outcome got = cat(beyond);
        CAPTURE(beyond);
        CAPTURE(got.err);
        CHECK(got.code == 1);
        CHECK(got.out.empty());
        CHECK(got.one_line());
        CHECK(got.err.find("gs://bucket/object") != std::string::npos);
        CHECK(got.err.find("10 bytes") != std::string::npos);
    }
}

TEST_CASE("cat: an object that is still being appended to is written up to its current end") {
    const fixture here({"--unfinalized", "bucket/log"});
    here.put("log", "so far");
    CHECK(here.run({"cat", "gs://bucket/log"}).out == "so far");
    here.put("log", "so far, and on");
    CHECK(here.run({"cat", "gs://bucket/log"}).out == "so far, and on");
}

TEST_CASE("cat: a closed output pipe ends the command without a message") {
    const fixture here;
    here.put("object", beyond_one_block());
    process cat({"cat", "gs://bucket/object"}, here.here());
    CHECK(cat.read(5) == pattern(5));
    cat.close_out();
    const outcome got = cat.wait();
    CHECK(got.code == 128 + SIGPIPE);
    CHECK(got.err.empty());
}

TEST_CASE("cat: a reader that pauses for longer than the time limit causes no timeout, stall or lost byte") {
    // Meanwhile the stream breaks, and its next call is refused: a wait, for which the event loop has to run.
    const fixture here({"--faults", "reset call=1 byte=4194304; fail-open call=2 status=UNAVAILABLE"});
    // The budget leaves most blocks to be asked for after the pause.
    const std::string content = many_blocks();
    here.put("object", content);
    const std::string limit = "3s";
    const std::size_t more_than_a_pipe = 1'000'000;
    std::vector<std::string> words{"cat", "-v", "--timeout", limit, "--pool-size", "1", "gs://bucket/object"};
    words.insert(
        words.end(), {"--budget", "1MiB", "--range", "0-" + std::to_string(more_than_a_pipe), "--range", "0-"}
    );
    process cat(words, here.here());
    const std::string first = cat.read(1);
    // The pipe is not read while another process waits until the same limit has passed.
    const silent_peer nobody;
    const outcome waited = support::run(
        {"stat", "--timeout", limit, "--endpoint", nobody.address(), "--insecure", "gs://bucket/object"}
    );
    CHECK(waited.code == 1);
    const outcome rest = cat.wait();
    CAPTURE(rest.err);
    CHECK(rest.code == 0);
    CHECK((first + rest.out == content.substr(0, more_than_a_pipe) + content));
    CHECK(rest.err.find(" resumed=1 redirected=0 stalled=0 retired=0 ") != std::string::npos);
}

TEST_CASE("cat: an output that rejects writes is an error") {
    const fixture here;
    here.put("object", "content");
    process::settings how;
    SUBCASE("a full disk") {
        how.out_path = "/dev/full";
    }
    SUBCASE("a closed descriptor") {
        how.out_path = "-";
    }
    const outcome got = here.run({"cat", "gs://bucket/object"}, how);
    CAPTURE(got.err);
    CHECK(got.code == 1);
    CHECK(got.one_line());
    CHECK(got.err.find("standard output") != std::string::npos);
}

TEST_CASE("cat: a signal ends the command at once") {
    const fixture here;
    here.put("object", pattern(20 * mib));
    process cat({"cat", "gs://bucket/object"}, here.here());
    // The command is blocked on the pipe from here on, because the rest is not read.
    cat.read(1);
    cat.signal(SIGINT);
    CHECK(cat.wait().code == 128 + SIGINT);
}

TEST_SUITE_END();

}  // namespace
}  // namespace support
