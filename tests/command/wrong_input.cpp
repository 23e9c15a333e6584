#include "command/fixture.hpp"
#include "command/peers.hpp"

#include <doctest/doctest.h>

namespace support {
namespace {

using words = std::vector<std::string>;

// One line that has all of these in it.
void check_failure(const outcome& got, int code, const words& said) {
    CAPTURE(got.err);
    CHECK(got.code == code);
    CHECK(got.out.empty());
    CHECK(got.one_line());
    CHECK(got.err.starts_with("rangeio: "));
    for (const std::string& part : said) {
        CAPTURE(part);
        CHECK(got.err.find(part) != std::string::npos);
    }
}

TEST_SUITE_BEGIN("wrong input");

TEST_CASE("wrong input: a missing bucket, object or generation is named") {
    const fixture here;
    here.put("object", "content");
    const std::string object = "gs://bucket/object";
    check_failure(here.run({"cat", "gs://missing/object"}), 1, {"gs://missing", "NOT_FOUND"});
    check_failure(here.run({"stat", "gs://missing/object"}), 1, {"gs://missing", "NOT_FOUND"});
    check_failure(here.run({"ls", "gs://missing"}), 1, {"gs://missing", "NOT_FOUND"});
    check_failure(here.run({"cat", "gs://bucket/missing"}), 1, {"gs://bucket/missing", "NOT_FOUND"});
    check_failure(here.run({"bench", "gs://bucket/missing"}), 1, {"gs://bucket/missing", "NOT_FOUND"});
    check_failure(here.run({"cat", "--generation", "5", object}), 1, {object, "generation 5"});
    check_failure(here.run({"stat", "--generation", "5", object}), 1, {object, "generation 5"});
    check_failure(here.run({"bench", "--generation", "5", object}), 1, {object, "generation 5"});
    check_failure(here.run({"cp", "--generation", "5", object, "/dev/null"}), 1, {object, "generation 5"});
}

TEST_CASE("wrong input: an endpoint that refuses connections is named by its address") {
    const std::string address = silent_peer().address();  // closed: no process listens there
    const words connection{"--endpoint", address, "--timeout", "1s", "gs://bucket/object"};
    for (const char* command : {"cat", "stat", "bench"}) {
        words all{command};
        all.insert(all.end(), connection.begin(), connection.end());
        check_failure(run(all), 1, {"gs://bucket/object", address, "UNAVAILABLE"});
    }
}

TEST_CASE("wrong input: an endpoint that has not answered for two seconds is named during the wait") {
    const std::string address = silent_peer().address();
    for (const char* command : {"cat", "stat"}) {
        CAPTURE(command);
        const outcome got = run({command, "--endpoint", address, "--timeout", "4s", "gs://bucket/object"});
        CAPTURE(got.err);
        CHECK(got.code == 1);
        CHECK(got.err.starts_with(
            "rangeio: " + address + " has not answered yet\nrangeio: gs://bucket/object: "
        ));
    }
}

TEST_CASE("wrong input: an endpoint that does not speak gRPC is an error") {
    const babbling_peer peer("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    for (const char* command : {"cat", "stat"}) {
        const outcome got =
            run({command, "--endpoint", peer.address(), "--timeout", "1s", "gs://bucket/object"});
        check_failure(got, 1, {"gs://bucket/object"});
    }
}

TEST_CASE("wrong input: an endpoint that never answers fails at the time limit") {
    const silent_peer peer;
    const auto ask = [&peer](const char* command) {
        return run({command, "--endpoint", peer.address(), "--timeout", "300ms", "gs://bucket/object"});
    };
    check_failure(ask("cat"), 1, {"gs://bucket/object", "did not open in time"});
    check_failure(ask("stat"), 1, {"gs://bucket/object", "timed out"});
}

TEST_CASE("wrong input: an invalid range is a usage error") {
    for (const char* range :
         {"",
          "5",
          "-",
          "9-3",
          "-5-3",
          "--5",
          "-1-",
          "a-b",
          "1-2-3",
          " 1-2",
          "0x1-2",
          "1.5-2",
          "-9223372036854775808",
          "0-99999999999999999999",
          "99999999999999999999-"}) {
        CAPTURE(range);
        check_failure(run({"cat", std::string("--range=") + range, "gs://bucket/object"}), 2, {"--range"});
    }
}

TEST_CASE("wrong input: an invalid limit is a usage error that gives the valid values") {
    const auto check = [](const words& option, const words& said) {
        words all{"bench", "gs://bucket/object"};
        all.insert(all.end(), option.begin(), option.end());
        CAPTURE(option.front());
        words expected = said;
        expected.push_back(option.front());
        check_failure(run(all), 2, expected);
    };
    for (const char* count : {"0", "1000000000", "-1", "x", "", "1.5", "99999999999999999999"}) {
        CAPTURE(count);
        check({"--pool-size", count}, {"between 1 and 1024"});
        check({"--concurrency", count}, {"between 1 and 1024"});
        check({"--depth", count}, {"between 1 and 1024"});
    }
    for (const char* size : {"0", "-1", "5GiB", "1MB", "1.5MiB", "MiB", "99999999999TiB"}) {
        CAPTURE(size);
        check({"--io-size", size}, {"between 1 and 4GiB"});
    }
    for (const char* time : {"0", "-1s", "5", "s", "1d", "25h", "99999999999999999h"}) {
        CAPTURE(time);
        check({"--duration", time}, {"between 1ms and 24h"});
    }
    check({"--generation", "0"}, {"between 1 and 9223372036854775807"});
    check({"--generation", "-7"}, {"between 1 and 9223372036854775807"});
    check({"--timeout", "-1s"}, {"between 0 and 24h"});
    check({"--pattern", "random"}, {"rand", "seq", "strided", "interleaved", "zigzag", "parquet"});
    check({"--think-time", "-1s"}, {"between 0 and 24h"});
    check({"--think-time", "5"}, {"between 0 and 24h"});
    check({"--seed", "-1"}, {"between 0"});
    check({"--prefetch", "on"}, {"'on'", "off, linear, adaptive"});
    for (const char* size : {"0", "1048575", "2TiB", "x"}) {
        CAPTURE(size);
        check({"--budget", size, "--prefetch", "adaptive"}, {"between 1MiB and 1TiB"});
    }
    check({"--budget", "2MiB"}, {"--prefetch"});
    check({"--plan", "--pattern", "parquet"}, {"--prefetch"});
    check({"--plan", "--prefetch", "adaptive"}, {"--pattern parquet"});
    check({"--io-size", "4GiB", "--depth", "1024"}, {"--depth", "16 GiB"});
}

TEST_CASE("wrong input: an invalid command line is a usage error") {
    const std::vector<words> wrong{
        {},
        {"frobnicate"},
        {"--frobnicate"},
        {"cat"},
        {"cat", "--frobnicate", "gs://bucket/object"},
        {"cat", "bucket/object"},
        {"cat", "gs://bucket"},
        {"cat", "gs://bucket/"},
        {"cat", "gs://b/object"},
        {"cat", "s3://bucket/object"},
        {"cat", "--generation", "1", "gs://bucket/a", "gs://bucket/b"},
        {"cat", "--pool-size"},
        {"cat", "--endpoint", "", "gs://bucket/object"},
        {"cat", "--insecure", "--access-token-file", "token", "gs://bucket/object"},
        {"cp", "gs://bucket/object"},
        {"cp", "gs://bucket/object", "a", "b"},
        {"stat"},
        {"stat", "gs://bucket/a", "gs://bucket/b"},
        {"ls"},
        {"ls", "bucket"},
        {"ls", "gs://"},
        {"bench"},
        {"trace"},
        {"trace", "file"},
        {"trace", "file", "bucket/object"},
        {"trace", "file", "gs://bucket/object", "more"},
        {"emulate"},
        {"emulate", "--root", "/", "--unfinalized", "object"},
    };
    for (const words& line : wrong) {
        std::string shown;
        for (const std::string& word : line) shown += word + ' ';
        CAPTURE(shown);
        check_failure(run(line), 2, {"--help"});
    }
}

TEST_CASE("wrong input: an unknown option is named without its value") {
    for (const char* command : {"cat", "cp", "stat", "ls", "bench"}) {
        CAPTURE(command);
        check_failure(
            run({command, "--timeot", "3s", "gs://bucket/object"}),
            2,
            {"'--timeot'", "'--timeout'", std::string("rangeio ") + command + " --help"}
        );
        check_failure(run({command, "gs://bucket/object", "--timeot=3s"}), 2, {"'--timeot'", "'--timeout'"});
    }
    check_failure(
        run({"cat", "--concurency", "3", "gs://bucket/object"}), 2, {"'--concurency'", "'--concurrency'"}
    );
    check_failure(run({"emulate", "--rot", "/tmp"}), 2, {"'--rot'", "'--root'"});
    check_failure(run({"cta", "gs://bucket/object"}), 2, {"'cta'", "'cat'"});
}

TEST_CASE("wrong input: an error caused by a habit from another tool gives the right form") {
    const fixture here;
    here.put("dir/object", "content");
    here.put("a*", "star");
    here.put("o#1", "hash");
    CHECK(here.run({"cat", "gs://bucket/a*"}).out == "star");
    CHECK(here.run({"cat", "gs://bucket/o#1"}).out == "hash");
    for (const char* command : {"cat", "stat", "bench", "cp"}) {
        const scratch out;
        const auto ask = [&](const std::string& name) {
            words all{command, "gs://bucket/" + name};
            if (all.front() == "cp") all.push_back(out / "file");
            return here.run(all);
        };
        CAPTURE(command);
        check_failure(ask("object#12"), 1, {"gs://bucket/object#12", "--generation 12 gs://bucket/object"});
        check_failure(ask("dir/*.txt"), 1, {"wildcards", "'rangeio ls gs://bucket/dir/'"});
        check_failure(ask("dir"), 1, {"NOT_FOUND", "'rangeio ls gs://bucket/dir/'"});
        check_failure(ask("dir/"), 1, {"NOT_FOUND", "'rangeio ls gs://bucket/dir/'"});
        CHECK(ask("none").err.find("rangeio ls") == std::string::npos);
    }
    check_failure(here.run({"ls", "gs://bucket/x*"}), 1, {"wildcards", "'rangeio ls gs://bucket/x'"});
    check_failure(run({"cat", "gs://bucket"}), 2, {"'rangeio ls gs://bucket'"});
    check_failure(run({"ls", "bucket/dir"}), 2, {"'gs://bucket/dir'"});
    check_failure(run({"stat", "https://storage.googleapis.com/bucket/dir/o"}), 2, {"'gs://bucket/dir/o'"});
    check_failure(
        run({"cp", "gs://bucket/object", "gs://bucket/other"}), 2, {"TARGET", "the target must be a file"}
    );
}

TEST_CASE("wrong input: an access token is read from its file and never printed") {
    const fixture here;
    const scratch files;
    files.write("token", "secret-token\n");
    files.write("empty", "\n");
    files.write("strange", "secret\ntoken");
    files.write("longest", std::string(65536, 't'));
    files.write("longer", std::string(65537, 't'));
    const auto cat = [&](const std::string& name) {
        return here.run({"cat", "--access-token-file", files / name, "--timeout", "1s", "gs://bucket/object"}
        );
    };
    // Sent over TLS only, which the emulator does not speak.
    const outcome refused = cat("token");
    check_failure(refused, 1, {"gs://bucket/object"});
    CHECK(refused.err.find("secret") == std::string::npos);
    check_failure(cat("missing"), 1, {files / "missing"});
    check_failure(cat("empty"), 1, {files / "empty"});
    check_failure(cat(""), 1, {files / "", "Is a directory"});
    check_failure(cat("longer"), 1, {files / "longer", "larger than 65536 bytes"});
    CHECK(cat("longest").err.find("larger than") == std::string::npos);
    const outcome strange = cat("strange");
    check_failure(strange, 1, {"access token"});
    CHECK(strange.err.find("secret") == std::string::npos);
}

TEST_CASE("wrong input: the texts of --help and --version go to standard output") {
    for (const words& line : std::vector<words>{
             {"--help"},
             {"--version"},
             {"cat", "--help"},
             {"cp", "--help"},
             {"stat", "--help"},
             {"ls", "--help"},
             {"bench", "--help"},
             {"trace", "--help"},
             {"emulate", "--help"},
         }) {
        const outcome got = run(line);
        CAPTURE(line.front());
        CHECK(got.code == 0);
        CHECK(got.err.empty());
        CHECK(got.out.find(line.back() == "--version" ? "rangeio " : "Usage: rangeio ") == 0);
    }
}

TEST_SUITE_END();

}  // namespace
}  // namespace support
