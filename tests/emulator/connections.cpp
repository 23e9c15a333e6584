#include "emulator/fixture.hpp"

#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

// How connections are accepted.

using namespace support;
using rangeio::emulator::server_options;

namespace {

// All descriptors that this process may have, while it lives.
class all_descriptors {
public:
    all_descriptors() {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        const int next = ::open("/dev/null", O_RDONLY);
        REQUIRE(next >= 0);
        taken_.push_back(next);
        // Not thousands of them.
        rlimit fewer = before_;
        fewer.rlim_cur = static_cast<rlim_t>(next) + 20;
        ::setrlimit(RLIMIT_NOFILE, &fewer);
        for (int fd = ::dup(next); fd >= 0; fd = ::dup(next)) taken_.push_back(fd);
    }
    ~all_descriptors() {
        ::setrlimit(RLIMIT_NOFILE, &before_);
        for (const int fd : taken_) ::close(fd);
    }
    all_descriptors(const all_descriptors&) = delete;
    all_descriptors& operator=(const all_descriptors&) = delete;

private:
    rlimit before_{};
    std::vector<int> taken_;
};

class plain_socket {
public:
    plain_socket() : fd_(::socket(AF_INET, SOCK_STREAM, 0)) { REQUIRE(fd_ >= 0); }
    ~plain_socket() { ::close(fd_); }
    plain_socket(const plain_socket&) = delete;
    plain_socket& operator=(const plain_socket&) = delete;

    void connect(const std::string& address) const {
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
        REQUIRE(::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
        const timeval limit{raw_client::deadline.count(), 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    }
    // A server of HTTP/2 speaks first.
    bool is_served() const {
        char byte = 0;
        return ::recv(fd_, &byte, 1, 0) == 1;
    }

private:
    int fd_;
};

}  // namespace

TEST_CASE("connections: after descriptors ran out, waiting clients are served when descriptors are free again"
) {
    fixture f;
    f.files.write("b/o", "text");
    f.files.write("b/other", "text");
    f.stat("o");
    const plain_socket late;
    {
        const all_descriptors none_left;
        late.connect(f.server.address());
        const auto end = std::chrono::steady_clock::now() + raw_client::deadline;
        while (f.server.stats().accept_failures == 0 && std::chrono::steady_clock::now() < end) {
            std::this_thread::yield();
        }
        CHECK(f.server.stats().accept_failures > 0);
        CHECK(f.server.stats().connections == 1);
        storage::GetObjectRequest request;
        request.set_bucket(bucket_name);
        request.set_object("other");
        CHECK(f.refused(get_object, request).code == code::resource_exhausted);
        storage::ListObjectsRequest all;
        all.set_parent(bucket_name);
        CHECK(f.refused(list_objects, all).code == code::resource_exhausted);
    }
    CHECK(late.is_served());
    CHECK(f.stat("other").size() == 4);
    CHECK(f.server.stats().connections == 2);
}

TEST_CASE("connections: each connection is counted, and none is served after shutdown") {
    fixture f;
    CHECK(f.server.stats().connections == 0);
    const plain_socket first;
    first.connect(f.server.address());
    CHECK(first.is_served());
    const plain_socket second;
    second.connect(f.server.address());
    CHECK(second.is_served());
    CHECK(f.server.stats().connections == 2);
    f.server.shutdown();
    CHECK(f.server.stats().connections == 2);
}

TEST_CASE("connections: a Unix socket replaces a leftover one and is removed at the end") {
    const scratch files;
    files.write("b/o", "text");
    const std::string path = (files.path() / "socket").string();
    for (int round = 0; round < 2; ++round) {
        const rangeio::emulator::server server(server_options().root(files.path()).listen("unix:" + path));
        CHECK(server.address() == "unix:" + path);
        raw_client client(server.address());
        storage::GetObjectRequest request;
        request.set_bucket(bucket_name);
        request.set_object("o");
        CHECK(client.unary(get_object, request.SerializeAsString(), bucket_params).code == code::ok);
    }
    CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("connections: a host name is bound at each of its addresses, with one port") {
    fixture f(server_options().listen("localhost:0"));
    f.files.write("b/o", "text");
    CHECK(f.server.address().starts_with("localhost:"));
    CHECK(f.stat("o").size() == 4);
    const plain_socket v4;
    v4.connect(f.server.address());
    CHECK(v4.is_served());
}
