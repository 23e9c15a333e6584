#include "command/fixture.hpp"
#include "command/peers.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <string>
#include <utility>

namespace support {
namespace {

TEST_SUITE_BEGIN("emulate");

TEST_CASE("emulate: SIGTERM and SIGINT stop the server cleanly") {
    int signal = 0;
    SUBCASE("SIGTERM") {
        signal = SIGTERM;
    }
    SUBCASE("SIGINT") {
        signal = SIGINT;
    }
    fixture here;
    CHECK(here.address.starts_with("127.0.0.1:"));
    here.put("object", "content");
    CHECK(here.run({"cat", "gs://bucket/object"}).code == 0);
    here.server.signal(signal);
    const outcome got = here.server.wait();
    CHECK(got.code == 0);
    CHECK(got.out.empty());
    CHECK(got.err.empty());
}

TEST_CASE("emulate: a signal stops the server while a client reads") {
    fixture here;
    here.put("object", pattern(std::size_t{32} << 20));
    process cat({"cat", "gs://bucket/object"}, here.here());
    cat.read(1);
    here.server.signal(SIGTERM);
    CHECK(here.server.wait().code == 0);
    // The command would wait a minute for the server's return, unless it had read ahead to the end.
    cat.signal(SIGTERM);
    const outcome got = cat.wait();
    CAPTURE(got.err);
    CHECK((got.code == 0 || got.code == 128 + SIGTERM));
}

TEST_CASE("emulate: a root that cannot be served is an error") {
    const scratch root;
    root.write("file", "");
    std::string path;
    SUBCASE("missing") {
        path = root / "missing";
    }
    SUBCASE("a regular file") {
        path = root / "file";
    }
    SUBCASE("not readable") {
        if (::geteuid() == 0) return;  // root can read every directory
        path = root / "closed";
        ::mkdir(path.c_str(), 0);
    }
    const outcome got = run({"emulate", "--root", path});
    CAPTURE(got.err);
    CHECK(got.code == 1);
    CHECK(got.out.empty());
    CHECK(got.one_line());
    CHECK(got.err.find(path) != std::string::npos);
}

TEST_CASE("emulate: an address that cannot be bound is an error") {
    const scratch root;
    const silent_peer taken;
    std::string address;
    SUBCASE("in use") {
        address = taken.address();
    }
    SUBCASE("no address") {
        address = "nonsense";
    }
    const outcome got = run({"emulate", "--root", root.path(), "--listen", address});
    CAPTURE(got.err);
    CHECK(got.code == 1);
    CHECK(got.one_line());
    CHECK(got.err.find(address) != std::string::npos);
}

TEST_CASE("emulate: an address reachable from other machines causes a warning") {
    const scratch root;
    process server({"emulate", "--root", root.path(), "--listen", "0.0.0.0:0"});
    CHECK(server.read_line().starts_with("0.0.0.0:"));
    server.signal(SIGTERM);
    const outcome got = server.wait();
    CHECK(got.code == 0);
    CHECK(got.one_line());
    CHECK(got.err.starts_with("rangeio: warning: "));
}

TEST_CASE("emulate: faults from the command line are injected, and the reader still gets every byte") {
    fixture here({"--faults", "reset byte=100000; redirect byte=200000 token=there; bad-checksum call=3"});
    const std::string content = pattern(300'000);
    here.put("object", content);
    const outcome got = here.run({"cat", "gs://bucket/object"});
    CAPTURE(got.err);
    CHECK(got.code == 0);
    CHECK(got.out == content);
}

TEST_CASE("emulate: --link delays every request by its latency, and its bandwidth delays the data") {
    std::string link;
    std::chrono::milliseconds least{0};
    SUBCASE("latency") {
        link = "latency=150000us";
        least = std::chrono::milliseconds(150);
    }
    SUBCASE("bandwidth") {
        link = "bandwidth=1MiB";
        least = std::chrono::milliseconds(250);
    }
    SUBCASE("both") {
        link = "bandwidth=1MiB,latency=100ms";
        least = std::chrono::milliseconds(350);
    }
    fixture here({"--link", link});
    const std::string content = pattern(std::size_t{256} << 10);
    here.put("object", content);
    const auto began = std::chrono::steady_clock::now();
    const outcome got = here.run({"cat", "gs://bucket/object"});
    CHECK(std::chrono::steady_clock::now() - began >= least);
    CHECK(got.code == 0);
    CHECK(got.out == content);
}

TEST_CASE("emulate: a wrong --link is a usage error that names the wrong part") {
    const scratch root;
    const auto error_of = [&](const std::string& link) {
        const outcome got = run({"emulate", "--root", root.path(), "--link", link});
        CHECK(got.code == 2);
        CHECK(got.out.empty());
        CHECK(got.one_line());
        return got.err;
    };
    const std::string time = "is not a time (with us, ms, s, m or h) between 0 and 1h";
    for (const char* wrong :
         {"latency=5", "latency=", "latency", "latency=-1ms", "latency=61m", "latency=3600000001us"}) {
        CAPTURE(wrong);
        CHECK(error_of(wrong).starts_with(std::string("rangeio: --link: '") + wrong + "' " + time));
    }
    const std::string size = "is not a size (bytes, or with KiB, MiB, GiB) between 1 and 1TiB";
    for (const char* wrong : {"bandwidth=0", "bandwidth=1MB", "bandwidth=", "bandwidth=1025GiB"}) {
        CAPTURE(wrong);
        CHECK(error_of(wrong).starts_with(std::string("rangeio: --link: '") + wrong + "' " + size));
    }
    for (const auto& [given, wrong] :
         {std::pair("speed=1", "speed=1"), {"latency=1ms,jitter", "jitter"}, {"bandwidth=1,", ""}, {"", ""}
         }) {
        CAPTURE(given);
        const std::string keys = "is neither latency=TIME nor bandwidth=SIZE";
        CHECK(error_of(given).starts_with(std::string("rangeio: --link: '") + wrong + "' " + keys));
    }
    CHECK(error_of("latency=1ms,bandwidth=5,latency=2ms")
              .starts_with("rangeio: --link: 'latency' is given twice"));
}

TEST_CASE("emulate: the exit report lists the routing tokens that no call carried") {
    // The client follows three in a row, and not the fourth.
    fixture here({"--faults", "redirect times=3 token=used; redirect token=last"});
    here.put("object", "content");
    CHECK(here.run({"cat", "gs://bucket/object"}).code == 1);
    here.server.signal(SIGTERM);
    const outcome got = here.server.wait();
    CHECK(got.code == 0);
    CHECK(got.err == "rangeio: warning: no call has brought routing_token=last of gs://bucket/object\n");
}

TEST_CASE("emulate: the exit report lists the settings that had no effect") {
    fixture here(
        {"--faults",
         "reset byte=1 status=INTERNAL; reset byte=5000000; chunk bytes=3",
         "--unfinalized",
         "bucket/object",
         "--unfinalized",
         "bucket/missing"}
    );
    here.put("object", "content");
    CHECK(here.run({"cat", "gs://bucket/object"}).out == "content");
    CHECK(here.run({"cat", "gs://elsewhere/object"}).code == 1);
    CHECK(here.run({"ls", "gs://nowhere"}).code == 1);
    here.server.signal(SIGTERM);
    const outcome got = here.server.wait();
    CHECK(got.code == 0);
    CHECK(
        got.err ==
        "rangeio: warning: the fault 'reset byte=5000000 status=UNAVAILABLE' has not struck\n"
        "rangeio: warning: --unfinalized bucket/missing: there is no such object\n"
        "rangeio: warning: calls named the bucket elsewhere, and " +
            here.root.path().string() +
            " has no such directory\n"
            "rangeio: warning: calls named the bucket nowhere, and " +
            here.root.path().string() + " has no such directory\n"
    );
}

TEST_CASE("emulate: --verbose writes a line for each request and each failure") {
    fixture here({"--verbose"});
    here.put("object", "content");
    here.put("dir/x", "content");
    CHECK(here.run({"cat", "gs://bucket/object"}).out == "content");
    CHECK(here.run({"stat", "gs://bucket/missing\xc3\xa4"}).code == 1);
    CHECK(here.run({"ls", "gs://bucket/dir/"}).code == 0);
    here.server.signal(SIGTERM);
    const outcome got = here.server.wait();
    CAPTURE(got.err);
    CHECK(got.err.find("rangeio: #1 BidiReadObject gs://bucket/object: ") == 0);
    CHECK(got.err.find(" GetObject gs://bucket/missing\\xc3\\xa4\n") != std::string::npos);
    CHECK(
        got.err.find(" GetObject NOT_FOUND: gs://bucket/missing\\xc3\\xa4: no such object\n") !=
        std::string::npos
    );
    CHECK(got.err.find(" ListObjects gs://bucket/dir/\n") != std::string::npos);
}

TEST_CASE("emulate: faults are read from a file, as text and as JSON") {
    const scratch root;
    std::string script;
    SUBCASE("text") {
        script = "# the first call only\nfail-open status=PERMISSION_DENIED\n";
    }
    SUBCASE("JSON") {
        script = R"({"seed": 3, "faults": [{"kind": "fail-open", "status": "PERMISSION_DENIED"}]})";
    }
    root.write("script", script);
    fixture here({"--faults", "@" + root / "script", "--fault-seed", "9"});
    here.put("object", "content");
    const outcome refused = here.run({"cat", "gs://bucket/object"});
    CHECK(refused.code == 1);
    CHECK(refused.one_line());
    CHECK(refused.err.find("PERMISSION_DENIED") != std::string::npos);
    CHECK(here.run({"cat", "gs://bucket/object"}).out == "content");
}

TEST_CASE("emulate: a malformed fault script is an error that gives the fault and its place") {
    const scratch root;
    root.write("wrong", "[{\"kind\": \"reset\"}, {\"kind\": \"rest\"}]");
    root.write("large", std::string((std::size_t{1} << 20) + 1, '#'));
    std::string given;
    std::string expected;
    int code = 2;
    SUBCASE("text") {
        given = "reset speed=1";
        expected = "--faults: fault \"reset speed=1\": \"speed\" is not a key";
    }
    SUBCASE("a file") {
        given = "@" + root / "wrong";
        expected = "--faults: " + root / "wrong" + ": fault 2: \"rest\" is not a fault kind";
    }
    SUBCASE("a missing file") {
        given = "@" + root / "missing";
        expected = root / "missing" + ": cannot be read: No such file or directory";
        code = 1;
    }
    SUBCASE("a file that is too large") {
        given = "@" + root / "large";
        expected = root / "large" + ": the fault script is larger than 1048576 bytes";
        code = 1;
    }
    const outcome got = run({"emulate", "--root", root.path(), "--faults", given});
    CAPTURE(got.err);
    CHECK(got.code == code);
    CHECK(got.out.empty());
    CHECK(got.one_line());
    CHECK(got.err.find(expected) != std::string::npos);
}

TEST_SUITE_END();

}  // namespace
}  // namespace support
