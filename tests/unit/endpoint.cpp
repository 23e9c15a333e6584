#include "grpc/endpoint.hpp"

#include <rangeio/client.hpp>
#include <rangeio/error.hpp>

#include "unit/message_of.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using rangeio::grpc_transport::endpoint;
using security = rangeio::grpc_transport::endpoint::security;

namespace {

struct accepted {
    std::string text;
    std::string target;
    std::string shown;
    bool local = false;
    security wanted = security::by_credentials;
};

std::string why_not(const std::string& text) {
    return message_of(rangeio::errc::invalid_argument, [&] { rangeio::check_endpoint(text); });
}

}  // namespace

TEST_CASE("endpoint: every notation of an address on this machine is recognized") {
    const std::string v4 = "ipv4:127.0.0.1:9000";
    const std::string name = "dns:///localhost:9000";
    const std::vector<accepted> all{
        {"127.0.0.1:9000", v4, "127.0.0.1:9000", true},
        {" 127.0.0.1:9000\n", v4, "127.0.0.1:9000", true},
        {"0.0.0.0:9000", v4, "127.0.0.1:9000", true},
        {"127.8.9.10:9000", "ipv4:127.8.9.10:9000", "127.8.9.10:9000", true},
        {"ipv4:127.0.0.1:9000", v4, "127.0.0.1:9000", true},
        {"IPV4:///127.0.0.1:9000", v4, "127.0.0.1:9000", true},
        {"dns:///127.0.0.1:9000", v4, "127.0.0.1:9000", true},
        {"http://127.0.0.1:9000", v4, "127.0.0.1:9000", true, security::plain},
        {"https://127.0.0.1:9000/", v4, "127.0.0.1:9000", true, security::tls},
        {"localhost:9000", name, "localhost:9000", true},
        {"LOCALHOST:9000", name, "localhost:9000", true},
        {"localhost.:9000", name, "localhost:9000", true},
        {"HTTP://LocalHost:9000//", name, "localhost:9000", true, security::plain},
        {"dns:///localhost:9000", name, "localhost:9000", true},
        {"dns:localhost:9000", name, "localhost:9000", true},
        {"[::1]:9000", "ipv6:%5B::1%5D:9000", "[::1]:9000", true},
        {"[0:0:0:0:0:0:0:1]:9000", "ipv6:%5B::1%5D:9000", "[::1]:9000", true},
        {"[::]:9000", "ipv6:%5B::1%5D:9000", "[::1]:9000", true},
        {"ipv6:[::1]:9000", "ipv6:%5B::1%5D:9000", "[::1]:9000", true},
        {"[::ffff:127.0.0.1]:9000", "ipv6:%5B::ffff:127.0.0.1%5D:9000", "[::ffff:127.0.0.1]:9000", true},
        {"unix:/tmp/s", "unix:/tmp/s", "unix:/tmp/s", true},
        {"unix:///tmp/s", "unix:/tmp/s", "unix:/tmp/s", true},
        {"unix:/tmp/a b%?#", "unix:/tmp/a%20b%25%3F%23", "unix:/tmp/a b%?#", true},
    };
    for (const accepted& one : all) {
        CAPTURE(one.text);
        const endpoint got = endpoint::parse(one.text);
        CHECK(got.target() == one.target);
        CHECK(got.shown() == one.shown);
        CHECK(got.local() == one.local);
        CHECK(got.wanted() == one.wanted);
    }
}

TEST_CASE("endpoint: an address of another machine is recognized, whatever its beginning") {
    const std::vector<accepted> all{
        {"storage.googleapis.com:443", "dns:///storage.googleapis.com:443", "storage.googleapis.com:443"},
        {"dns:///storage.googleapis.com", "dns:///storage.googleapis.com:443", "storage.googleapis.com:443"},
        {"https://Storage.GoogleAPIs.com",
         "dns:///storage.googleapis.com:443",
         "storage.googleapis.com:443",
         false,
         security::tls},
        {"http://emulator", "dns:///emulator:80", "emulator:80", false, security::plain},
        {"127.0.0.1.example.com:1", "dns:///127.0.0.1.example.com:1", "127.0.0.1.example.com:1"},
        {"localhost.example.com:65535", "dns:///localhost.example.com:65535", "localhost.example.com:65535"},
        {"128.0.0.1:9000", "ipv4:128.0.0.1:9000", "128.0.0.1:9000"},
        {"[2001:DB8::1]:9000", "ipv6:%5B2001:db8::1%5D:9000", "[2001:db8::1]:9000"},
        {"google-c2p:///storage.googleapis.com",
         "google-c2p:///storage.googleapis.com",
         "google-c2p:///storage.googleapis.com"},
    };
    for (const accepted& one : all) {
        CAPTURE(one.text);
        const endpoint got = endpoint::parse(one.text);
        CHECK(got.target() == one.target);
        CHECK(got.shown() == one.shown);
        CHECK_FALSE(got.local());
        CHECK(got.wanted() == one.wanted);
    }
}

TEST_CASE("endpoint: an unusable endpoint is rejected, and the error gives the right form") {
    const std::vector<std::string> wrong{
        "",
        "  ",
        ":9000",
        "9000",
        "127.0.0.1",
        "localhost",
        "http://localhost",
        "[::1]",
        "127.1:9000",
        "2130706433:9000",
        "0x7f.1:9000",
        "0x7f000001:9000",
        "256.0.0.1:9000",
        "127.0.0.01:9000",

        "127.0.0.1: 9000",

        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:+1",
        "127.0.0.1:99999999999999999999",
        "127.0.0.1:9000x",
        "127.0.0.1:http",
        "::1:9000",
        "[::1",
        "[::1]9000",
        "[::g]:9000",
        "[127.0.0.1]:9000",
        "[fe80::1%eth0]:9000",
        "foo://bar",
        "ftp://localhost:9000",
        "http://localhost:9000/storage/v1",
        "localhost:9000/x",
        "http://user@localhost:9000",
        "dns://8.8.8.8/localhost:9000",
        "ipv4:localhost:9000",
        "ipv4:[::1]:9000",
        "ipv6:127.0.0.1:9000",
        "ipv6:::1",
        "unix:",
        "unix://host/path",
        "unix:" + std::string(108, 'x'),
        std::string("unix:/a\0b", 9),
        "google-c2p:///localhost",
        "a..b:1",
        ".a:1",
        "h\xc3\xb6st:1",
        "a,b:1",
        "a\nb:1",
        std::string(300, 'a') + ":1",
        std::string(5000, 'a'),
        "http://",
        "dns:///",
        "host:1:2",
        "xds:///x:y:z",
    };
    for (const std::string& text : wrong) {
        CAPTURE(text);
        const std::string why = why_not(text);
        CHECK(why.starts_with("endpoint '"));
        CHECK(why.find('\n') == std::string::npos);
    }
    CHECK(why_not("localhost") == "endpoint 'localhost': the port is missing; write localhost:PORT");
    CHECK(
        why_not("127.1:9000") ==
        "endpoint '127.1:9000': an IPv4 address has four numbers in 0..255, such as 127.0.0.1"
    );
    CHECK(why_not("h:70000").starts_with(
        "endpoint 'h:70000': port: '70000' is not in 1..65535; write HOST:PORT, "
    ));
    CHECK(why_not("foo://bar").starts_with("endpoint 'foo://bar': 'foo' is not a scheme; write HOST:PORT, "));
}
