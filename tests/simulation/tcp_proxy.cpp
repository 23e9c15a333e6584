#include <rangeio/error.hpp>
#include <rangeio/testing/tcp_proxy.hpp>

#include "testing/faults/http2_frames.hpp"

#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

using rangeio::testing::http2_frames;
using rangeio::testing::tcp_end;
using rangeio::testing::tcp_proxy;
using namespace std::chrono_literals;

// Over real sockets. Nothing here depends on how fast anything is: what must not come is waited for by way of something
// else that has to come after it.

namespace {

constexpr int deadline_ms = 20'000;

std::uint16_t port_of(const std::string& address) {
    return static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
}

class plain_socket {
public:
    plain_socket() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
    explicit plain_socket(int fd) : fd_(fd) {}
    plain_socket(plain_socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    plain_socket& operator=(plain_socket&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~plain_socket() {
        if (fd_ >= 0) ::close(fd_);
    }

    static sockaddr_in loopback(std::uint16_t port) {
        sockaddr_in out{};
        out.sin_family = AF_INET;
        out.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        out.sin_port = htons(port);
        return out;
    }

    /// 0, or why not.
    int connect(std::uint16_t port) {
        const sockaddr_in to = loopback(port);
        return ::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0 ? 0 : errno;
    }

    void send(const std::string& bytes) {
        CHECK(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
    }
    void end() { ::shutdown(fd_, SHUT_WR); }

    /// So many bytes; or fewer, and then "(end)" or "(reset)".
    std::string receive(std::size_t count) {
        std::string out;
        while (out.size() < count) {
            char piece[4096];
            wait();
            const ssize_t got = ::recv(fd_, piece, std::min(sizeof piece, count - out.size()), 0);
            if (got == 0) return out + "(end)";
            if (got < 0) return out + "(reset)";
            out.append(piece, static_cast<std::size_t>(got));
        }
        return out;
    }
    std::uint16_t port(bool peer = false) const {
        sockaddr_in at{};
        socklen_t size = sizeof at;
        (peer ? ::getpeername : ::getsockname)(fd_, reinterpret_cast<sockaddr*>(&at), &size);
        return ntohs(at.sin_port);
    }

    int get() const noexcept { return fd_; }
    void wait() const {
        pollfd ready{fd_, POLLIN, 0};
        REQUIRE(::poll(&ready, 1, deadline_ms) == 1);
    }

private:
    int fd_;
};

/// What a proxy forwards to.
class listening {
public:
    listening() {
        const sockaddr_in any = plain_socket::loopback(0);
        REQUIRE(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0);
        REQUIRE(::listen(socket_.get(), 64) == 0);
    }
    std::string address() const { return "127.0.0.1:" + std::to_string(socket_.port()); }
    plain_socket accept() const {
        socket_.wait();
        return plain_socket(::accept(socket_.get(), nullptr, nullptr));
    }

private:
    plain_socket socket_;
};

/// Both ends of a connection through a proxy.
struct through {
    through(const tcp_proxy& proxy, const listening& target) {
        REQUIRE(client.connect(port_of(proxy.address())) == 0);
        served = target.accept();
    }
    /// Bytes pass both ways.
    bool works() {
        client.send("ping");
        if (served.receive(4) != "ping") return false;
        served.send("pong");
        return client.receive(4) == "pong";
    }

    plain_socket client;
    plain_socket served;
};

std::string complaint(const std::string& target, const std::string& listen) {
    try {
        const tcp_proxy proxy(target, listen);
    } catch (const rangeio::error& e) {
        return e.what();
    }
    return "none";
}

}  // namespace

TEST_CASE("tcp_proxy: bytes and ends pass both ways and are counted") {
    const listening target;
    const tcp_proxy proxy(target.address());
    through a(proxy, target);
    CHECK(a.works());
    const auto pairs = proxy.pairs();
    REQUIRE(pairs.size() == 1);
    CHECK(pairs[0].client_port == a.client.port());
    CHECK(pairs[0].target_port == a.served.port(true));
    a.client.send("last");
    a.client.end();
    CHECK(a.served.receive(5) == "last(end)");
    // The other half is still there.
    a.served.send("words");
    CHECK(a.client.receive(5) == "words");
    CHECK(proxy.stats().accepted == 1);
    CHECK(proxy.stats().open == 1);
    CHECK(proxy.stats().bytes_to_target == 8);
    CHECK(proxy.stats().bytes_to_client == 9);
    a.served.end();
    CHECK(a.client.receive(1) == "(end)");
}

TEST_CASE("tcp_proxy: a silenced connection passes no byte and no end, and can be resumed") {
    const listening target;
    tcp_proxy proxy(target.address());
    through silent(proxy, target);
    CHECK(silent.works());
    silent.served.send("sent before");
    CHECK(proxy.silence(silent.served.port(true)));
    CHECK(silent.client.receive(11) == "sent before");
    const auto before = proxy.stats();
    CHECK_FALSE(proxy.silence(1));
    silent.client.send("lost?");
    silent.served.send("lost");
    silent.served.end();
    through other(proxy, target);
    for (int i = 0; i < 10; ++i) CHECK(other.works());
    CHECK(proxy.stats().bytes_to_target == before.bytes_to_target + 40);
    CHECK(proxy.stats().bytes_to_client == before.bytes_to_client + 40);
    proxy.resume();
    CHECK(silent.served.receive(5) == "lost?");
    CHECK(silent.client.receive(5) == "lost(end)");
}

TEST_CASE("tcp_proxy: a connection silenced from the start is accepted, and passes no byte") {
    const listening target;
    tcp_proxy proxy(target.address());
    proxy.silence_new(true);
    plain_socket client;
    CHECK(client.connect(port_of(proxy.address())) == 0);
    client.send("hello");
    while (proxy.stats().accepted == 0) std::this_thread::yield();
    proxy.silence_new(false);
    through other(proxy, target);
    CHECK(other.works());
    CHECK(proxy.stats().bytes_to_target == 4);
    proxy.resume();
    CHECK(target.accept().receive(5) == "hello");
}

TEST_CASE("tcp_proxy: new connections are refused on request, existing ones stay") {
    const listening target;
    tcp_proxy proxy(target.address());
    through old(proxy, target);
    proxy.refuse(true);
    CHECK(plain_socket().connect(port_of(proxy.address())) == ECONNREFUSED);
    CHECK(old.works());
    proxy.refuse(false);
    through fresh(proxy, target);
    CHECK(fresh.works());
}

TEST_CASE("tcp_proxy: all connections are cut on both sides, by RST or by FIN") {
    const listening target;
    tcp_proxy proxy(target.address());
    through reset(proxy, target);
    CHECK(reset.works());
    proxy.cut();
    CHECK(reset.client.receive(1) == "(reset)");
    CHECK(reset.served.receive(1) == "(reset)");
    through ended(proxy, target);
    CHECK(ended.works());
    proxy.cut(tcp_end::orderly);
    CHECK(ended.client.receive(1) == "(end)");
    CHECK(ended.served.receive(1) == "(end)");
    CHECK(proxy.stats().open == 0);
    CHECK(proxy.pairs().empty());
}

TEST_CASE("tcp_proxy: an outage ends existing connections, refuses new ones, and ends by itself") {
    const listening target;
    tcp_proxy proxy(target.address());
    through before(proxy, target);
    CHECK(before.works());
    proxy.go_away(24h);
    CHECK(before.client.receive(1) == "(reset)");
    CHECK(plain_socket().connect(port_of(proxy.address())) == ECONNREFUSED);
    tcp_proxy brief(target.address());
    brief.go_away(20ms);
    plain_socket back;
    while (back.connect(port_of(brief.address())) != 0) back = plain_socket();
    back.send("here");
    CHECK(target.accept().receive(4) == "here");
}

TEST_CASE("tcp_proxy: the client of a silent connection does not see an outage") {
    const listening target;
    tcp_proxy proxy(target.address());
    through silent(proxy, target);
    CHECK(silent.works());
    proxy.silence();
    proxy.go_away(1ms);
    CHECK(silent.served.receive(1) == "(reset)");
    CHECK(proxy.stats().open == 1);
    CHECK(proxy.pairs()[0].silent);
}

TEST_CASE("tcp_proxy: a rate limit holds for all connections together, and loses no byte") {
    const listening target;
    tcp_proxy proxy(target.address());
    proxy.limit_rate(100'000);
    through a(proxy, target);
    through b(proxy, target);
    const std::string much(10'000, 'x');
    const auto begun = std::chrono::steady_clock::now();
    a.served.send(much);
    b.served.send(much);
    CHECK(a.client.receive(much.size()) == much);
    CHECK(b.client.receive(much.size()) == much);
    CHECK(std::chrono::steady_clock::now() - begun >= 190ms);
    proxy.limit_rate(0);
    CHECK(a.works());
}

TEST_CASE("tcp_proxy: a client whose target does not listen is reset") {
    std::string nowhere;
    {
        const listening gone;
        nowhere = gone.address();
    }
    const tcp_proxy proxy(nowhere);
    plain_socket client;
    CHECK(client.connect(port_of(proxy.address())) == 0);
    CHECK(client.receive(1) == "(reset)");
}

TEST_CASE("tcp_proxy: the destructor ends all connections, silent and busy ones") {
    const listening target;
    auto proxy = std::make_unique<tcp_proxy>(target.address());
    through silent(*proxy, target);
    CHECK(silent.works());
    proxy->silence();
    through slow(*proxy, target);
    CHECK(slow.works());
    proxy->limit_rate(1);
    slow.served.send("a long time");
    proxy.reset();
    CHECK(silent.client.receive(1).ends_with(")"));
    CHECK(slow.client.receive(20).ends_with(")"));
}

TEST_CASE("tcp_proxy: an address must be a free one of the loopback interface") {
    const listening target;
    const tcp_proxy first(target.address());
    CHECK(complaint("nowhere", "127.0.0.1:0") == "nowhere is not an address of the form IP:PORT");
    CHECK(
        complaint("127.0.0.1:65536", "127.0.0.1:0") == "127.0.0.1:65536 is not an address of the form IP:PORT"
    );
    CHECK(
        complaint(target.address(), "0.0.0.0:0") == "0.0.0.0:0 is not an address of the loopback interface"
    );
    CHECK(
        complaint(target.address(), first.address()).starts_with("cannot listen on " + first.address() + ": ")
    );
    CHECK(complaint(target.address(), "localhost:0") == "none");
}

TEST_CASE("tcp_proxy: bytes are inserted between two frames of HTTP/2, never into a block of headers") {
    const auto frame = [](char type, char flags, const std::string& payload) {
        std::string out{0, 0, static_cast<char>(payload.size()), type, flags, 0, 0, 0, 1};
        return out + payload;
    };
    const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const std::string settings = frame(4, 0, "");
    const std::string headers = frame(1, 0, "abc");  // to be continued
    const std::string rest = frame(9, 4, "d");
    const std::string all = preface + settings + headers + rest + frame(0, 0, "data");
    std::string places;
    http2_frames frames;
    for (std::size_t i = 0; i < all.size(); ++i) {
        const bool reached = frames.take(all.substr(i, 1)) == 1;
        CHECK(reached == frames.between());
        if (frames.between()) places += std::to_string(i + 1) + " ";
    }
    // Behind the settings, behind the headers, behind the data.
    CHECK(places == "33 55 68 ");

    const listening target;
    tcp_proxy proxy(target.address());
    through a(proxy, target);
    a.client.send(preface + settings);
    CHECK(a.served.receive(33) == preface + settings);
    const std::uint16_t port = a.served.port(true);
    CHECK(proxy.inject(port, "[1]"));
    CHECK(a.served.receive(3) == "[1]");
    a.client.send(headers);
    CHECK(a.served.receive(headers.size()) == headers);
    CHECK(proxy.inject(port, "[2]"));
    a.client.send(rest + rest);
    CHECK(a.served.receive(23) == rest + "[2]" + rest);
    CHECK_FALSE(proxy.inject(1, "[3]"));
}
