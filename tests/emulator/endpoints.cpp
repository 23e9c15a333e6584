#include "emulator/engine_fixture.hpp"

#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

using namespace support;
using rangeio::client_options;
using rangeio::errc;
using rangeio::object_ref;
using tcp = asio::ip::tcp;

// Where a client connects to, and on which way.

namespace {

/// An environment variable, until the end of the scope.
class variable {
public:
    variable(std::string name, const std::string& value) : name_(std::move(name)) {
        const char* const was = std::getenv(name_.c_str());
        had_ = was != nullptr;
        if (had_) before_ = was;
        ::setenv(name_.c_str(), value.c_str(), 1);
    }
    variable(const variable&) = delete;
    variable& operator=(const variable&) = delete;
    ~variable() {
        if (had_) {
            ::setenv(name_.c_str(), before_.c_str(), 1);
        } else {
            ::unsetenv(name_.c_str());
        }
    }

private:
    std::string name_;
    std::string before_;
    bool had_ = false;
};

asio::awaitable<void> pump(std::shared_ptr<tcp::socket> from, std::shared_ptr<tcp::socket> to) {
    std::array<char, 4096> buffer{};
    boost::system::error_code problem;
    while (!problem) {
        const std::size_t n = co_await from->async_read_some(
            asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, problem)
        );
        if (problem) break;
        co_await asio::async_write(
            *to, asio::buffer(buffer.data(), n), asio::redirect_error(asio::use_awaitable, problem)
        );
    }
    boost::system::error_code ignored;
    to->shutdown(tcp::socket::shutdown_both, ignored);
}

/// A proxy that takes CONNECT for any name, and leads to the emulator.
class connect_proxy {
public:
    connect_proxy(asio::io_context& context, const std::string& leads_to)
        : context_(context),
          acceptor_(context, {asio::ip::address_v4::loopback(), 0}),
          port_(static_cast<std::uint16_t>(std::stoi(leads_to.substr(leads_to.rfind(':') + 1)))) {
        asio::co_spawn(context, accept(), asio::detached);
    }

    std::string url() const {
        return "http://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port());
    }

    std::vector<std::string> asked;

private:
    asio::awaitable<void> accept() {
        for (;;) {
            auto socket = std::make_shared<tcp::socket>(co_await acceptor_.async_accept(asio::use_awaitable));
            asio::co_spawn(context_, serve(std::move(socket)), asio::detached);
        }
    }
    asio::awaitable<void> serve(std::shared_ptr<tcp::socket> client) {
        asio::streambuf head;
        co_await asio::async_read_until(*client, head, "\r\n\r\n", asio::use_awaitable);
        const std::string text(asio::buffers_begin(head.data()), asio::buffers_end(head.data()));
        asked.push_back(text.substr(0, text.find('\r')));
        auto service = std::make_shared<tcp::socket>(context_);
        const tcp::endpoint there(asio::ip::address_v4::loopback(), port_);
        co_await service->async_connect(there, asio::use_awaitable);
        static constexpr std::string_view reply = "HTTP/1.1 200 OK\r\n\r\n";
        co_await asio::async_write(*client, asio::buffer(reply), asio::use_awaitable);
        asio::co_spawn(context_, pump(client, service), asio::detached);
        co_await pump(service, client);
    }

    asio::io_context& context_;
    tcp::acceptor acceptor_;
    std::uint16_t port_;
};

asio::awaitable<void> stat_at(asio::io_context& context, client_options options) {
    rangeio::client client(context.get_executor(), options.rpc_timeout(20s));
    const object_ref object("b-1", "o");
    CHECK((co_await client.async_stat(object)).size == 7);
}

const std::vector<std::string> proxy_variables{
    "http_proxy", "https_proxy", "grpc_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"
};

}  // namespace

TEST_CASE("proxy: a connection to this machine bypasses the proxy, for any environment and notation") {
    engine_fixture f;
    f.put("o", "content");
    const std::string address = f.server.address();
    const std::string port = address.substr(address.rfind(':') + 1);
    const connect_proxy proxy(f.context, address);
    for (const std::string& name : proxy_variables) {
        CAPTURE(name);
        const variable set(name, proxy.url());
        const std::vector<std::string> forms{
            address,
            "localhost:" + port,
            "LOCALHOST:" + port,
            "http://" + address + "/",
            "dns:///localhost:" + port,
            "ipv4:" + address,
            "0.0.0.0:" + port
        };
        // All forms with one variable: the others take the same way.
        for (const std::string& form : name == "http_proxy" ? forms : std::vector<std::string>{address}) {
            CAPTURE(form);
            f.run(stat_at(f.context, client_options().endpoint(form)));
            const variable emulator("STORAGE_EMULATOR_HOST_GRPC", form);
            f.run(stat_at(f.context, client_options()));
        }
    }
    CHECK(proxy.asked.empty());
}

TEST_CASE("proxy: a connection to another machine uses the proxy of the environment, which resolves the name"
) {
    engine_fixture f;
    f.put("o", "content");
    const connect_proxy proxy(f.context, f.server.address());
    for (const char* name : {"http_proxy", "https_proxy", "grpc_proxy"}) {
        CAPTURE(name);
        const variable set(name, proxy.url());
        f.run(stat_at(f.context, client_options().endpoint("http://no.such.host.invalid:4711")));
    }
    REQUIRE(proxy.asked.size() == 3);
    for (const std::string& line : proxy.asked) CHECK(line == "CONNECT no.such.host.invalid:4711 HTTP/1.1");
}

TEST_CASE("endpoint: IPv6 and Unix sockets work, and client.endpoint() returns the connected address") {
    scratch files;
    files.write("b-1/o", "content");
    const std::string path = "unix:" + (files.path() / "socket").string();
    for (const std::string& where : {std::string("[::1]:0"), path}) {
        CAPTURE(where);
        std::unique_ptr<rangeio::emulator::server> server;
        try {
            server = std::make_unique<rangeio::emulator::server>(
                rangeio::emulator::server_options().root(files.path()).listen(where)
            );
        } catch (const rangeio::error& e) {
            MESSAGE("not on this machine: ", e.what());
            continue;
        }
        asio::io_context context;
        run(context, stat_at(context, client_options().endpoint(server->address())));
        CHECK(
            rangeio::client(context.get_executor(), client_options().endpoint(server->address()))
                .endpoint() == server->address()
        );
    }
}

TEST_CASE("endpoint: contradictory or unreadable settings are rejected by name when the client is made") {
    asio::io_context context;
    const auto why = [&](const client_options& options) {
        try {
            const rangeio::client never(context.get_executor(), options);
        } catch (const rangeio::error& e) {
            CHECK(e.code() == errc::invalid_argument);
            return std::string(e.what());
        }
        return std::string("nothing");
    };
    using rangeio::credentials;
    const auto at = [](const char* where) { return client_options().endpoint(where); };
    CHECK(
        why(at("https://127.0.0.1:1").auth(credentials::insecure())).find("contradict") != std::string::npos
    );
    CHECK(
        why(at("http://h:1").auth(credentials::access_token("t"))).find("credentials must not be sent") !=
        std::string::npos
    );
    CHECK(
        why(at("http://h:1").auth(credentials::google_default())).find("credentials must not be sent") !=
        std::string::npos
    );
    CHECK(why(at("https://127.0.0.1:1")) == "nothing");
    CHECK(why(at("127.1:9")).starts_with("endpoint '127.1:9': "));
    const variable emulator("STORAGE_EMULATOR_HOST_GRPC", "127.1:9");
    CHECK(why(client_options()).starts_with("STORAGE_EMULATOR_HOST_GRPC: endpoint '127.1:9': "));
    const variable empty("STORAGE_EMULATOR_HOST_GRPC", " ");
    CHECK(why(client_options()).find("': empty; ") != std::string::npos);
}
