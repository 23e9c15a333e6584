#include "emulator/faulty.hpp"

#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <vector>

using namespace support;
using rangeio::emulator::server_options;

namespace {

/// A connection without a call, for the frames that the server sends by itself.
class bare_connection {
public:
    explicit bare_connection(const std::string& address)
        : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
        const timeval deadline{20, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
        REQUIRE(::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
        // The preface, and SETTINGS without a setting.
        const std::string hello("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33);
        REQUIRE(::send(fd_, hello.data(), hello.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(hello.size()));
    }
    ~bare_connection() { ::close(fd_); }
    bare_connection(const bare_connection&) = delete;
    bare_connection& operator=(const bare_connection&) = delete;

    void send(const std::string& bytes) {
        REQUIRE(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
    }

    struct frame {
        unsigned type = 0;
        std::string payload;
    };
    /// Absent: the server hung up.
    std::optional<frame> read_frame() {
        const auto head = read(9);
        if (!head) return std::nullopt;
        const auto byte = [&](std::size_t i) { return static_cast<unsigned char>((*head)[i]); };
        const std::size_t size = std::size_t{byte(0)} << 16 | std::size_t{byte(1)} << 8 | byte(2);
        auto payload = read(size);
        if (!payload) return std::nullopt;
        return frame{byte(3), *std::move(payload)};
    }

private:
    std::optional<std::string> read(std::size_t size) {
        std::string out(size, '\0');
        for (std::size_t at = 0; at < size;) {
            const ssize_t got = ::recv(fd_, out.data() + at, size - at, 0);
            if (got <= 0) return std::nullopt;
            at += static_cast<std::size_t>(got);
        }
        return out;
    }

    int fd_;
};

/// gRPC itself cancels calls that cross the GOAWAY on their way.
bool ends_with_connection(int status) {
    return status == code::unavailable || status == code::cancelled;
}

/// The whole object, by the first call that does not cross the GOAWAY.
std::string after_crossing(fixture& f) {
    for (int i = 0; i < 1000; ++i) {
        const seen_stream got(f, {{0, 0, 1}});
        if (got.outcome.code == code::ok) return got.bytes(1);
        CHECK(ends_with_connection(got.outcome.code));
    }
    return "never served again";
}

constexpr unsigned settings_frame = 4;
constexpr unsigned ping_frame = 6;
constexpr unsigned goaway_frame = 7;

}  // namespace

TEST_CASE("fault goaway: the call breaks at its byte, others with their connection, and new calls are served"
) {
    faulty_fixture f("goaway byte=500");
    raw_client other(f.server.address());
    raw_call open = other.start(bidi_read_object, bucket_params);
    open.write(bidi_request("o", {}).SerializeAsString());
    seen before;
    before.read(open, 1);

    const seen_stream got(f, {{0, 1000, 1}});
    CHECK(got.bytes(1) == f.content.substr(0, 500));
    CHECK(got.outcome.code == code::unavailable);
    CHECK(before.read_all(open).code == code::unavailable);
    CHECK(after_crossing(f) == f.content);
}

TEST_CASE("fault goaway: each connection gets GOAWAY without an error before it ends") {
    faulty_fixture f("goaway");
    bare_connection idle(f.server.address());
    const auto first = idle.read_frame();
    REQUIRE(first);
    CHECK(first->type == settings_frame);
    CHECK(seen_stream(f, {{0, 10, 1}}).outcome.code == code::unavailable);
    std::vector<std::string> told;
    while (const auto frame = idle.read_frame()) {
        if (frame->type == goaway_frame) told.push_back(frame->payload);
    }
    REQUIRE_FALSE(told.empty());
    REQUIRE(told.front().size() >= 8);
    CHECK(told.front().substr(4, 4) == std::string(4, '\0'));
}

TEST_CASE("fault goaway: shutdown ends the emulator while the fault repeats") {
    faulty_fixture f("goaway times=0");
    for (int i = 0; i < 10; ++i) CHECK(ends_with_connection(seen_stream(f, {{0, 10, 1}}).outcome.code));
    f.server.shutdown();
    CHECK(f.server.stats().bidi_read_object.open == 0);
}

TEST_CASE("fault goaway: a port in use is rejected, as without faults") {
    const fixture first;
    const auto script = rangeio::testing::fault_script::parse("goaway");
    std::string why = "accepted";
    try {
        const fixture second(server_options().listen(first.server.address()).faults(script));
    } catch (const std::exception& e) {
        why = e.what();
    }
    CHECK(why.starts_with("cannot listen on " + first.server.address()));
}

TEST_CASE("emulator: a client that pings more often than gRPC allows gets too_many_pings and is disconnected"
) {
    const fixture f;
    bare_connection hasty(f.server.address());
    const std::string ping("\0\0\10\6\0\0\0\0\0are you?", 17);
    hasty.send(ping);
    std::string told;
    int borne = 0;
    while (const auto frame = hasty.read_frame()) {
        if (frame->type == goaway_frame) told = frame->payload;
        if (frame->type != ping_frame) continue;
        if (++borne == 20) break;
        hasty.send(ping);
    }
    // After the last stream come ENHANCE_YOUR_CALM and a text.
    REQUIRE(told.size() > 8);
    CHECK(told.substr(4) == std::string("\0\0\0\13too_many_pings", 18));
}
