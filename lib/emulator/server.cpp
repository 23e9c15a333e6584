#include <rangeio/emulator.hpp>
#include <rangeio/error.hpp>
#include <rangeio/testing/tcp_proxy.hpp>

#include "emulator/calls/background.hpp"
#include "emulator/calls/entrance.hpp"
#include "emulator/calls/listener.hpp"
#include "emulator/service.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace rangeio::emulator {
namespace {

constexpr std::size_t max_max_chunk_bytes = std::size_t{2} << 20;

// The limits of the memory that a script may request.
constexpr std::uint64_t max_grow_bytes = std::uint64_t{1} << 30;
constexpr std::uint64_t max_surplus_bytes = std::uint64_t{1} << 20;
constexpr std::uint64_t max_details_bytes = std::uint64_t{64} << 20;
constexpr std::uint64_t max_padding_bytes = std::uint64_t{1} << 30;
constexpr std::uint64_t max_empty_chunks = std::uint64_t{256} << 20;

constexpr std::chrono::nanoseconds max_latency = std::chrono::hours(1);
constexpr std::uint64_t max_bandwidth = std::uint64_t{1} << 40;

std::uint64_t most_bytes(testing::fault_kind kind) {
    switch (kind) {
        case testing::fault_kind::grow: return max_grow_bytes;
        case testing::fault_kind::surplus: return max_surplus_bytes;
        case testing::fault_kind::long_details: return max_details_bytes;
        case testing::fault_kind::giant_message: return max_padding_bytes;
        case testing::fault_kind::empty_chunks: return max_empty_chunks;
        default: return std::numeric_limits<std::uint64_t>::max();
    }
}

// These faults are applied to connections by a proxy in front of the server.
bool needs_proxy(const testing::fault& f) {
    return f.kind == testing::fault_kind::silent_connection || f.kind == testing::fault_kind::slow_link ||
           f.kind == testing::fault_kind::too_many_pings || f.kind == testing::fault_kind::outage;
}

// More pings than a server accepts within the time that these take: it sends GOAWAY too_many_pings, and closes the
// connection.
std::string many_pings() {
    const std::string ping("\0\0\10\6\0\0\0\0\0are you?", 17);
    std::string out;
    for (int i = 0; i < 8; ++i) out += ping;
    return out;
}

void check(const server_options& options) {
    const testing::fault_script& script = options.faults();
    for (const testing::fault& f : script.faults) {
        std::string wrong;
        if (const std::uint64_t most = most_bytes(f.kind); f.bytes > most) {
            wrong = fmt::format("bytes: {} is not in 0..{}", f.bytes, most);
        }
        if (needs_proxy(f) && options.listen().starts_with("unix:")) {
            wrong = fmt::format("requires a port, and {} has none", options.listen());
        }
        if (f.kind == testing::fault_kind::too_many_pings && !options.certificate().empty()) {
            wrong = "pings cannot be injected into TLS";
        }
        if (!wrong.empty()) {
            throw error(error_value(
                errc::invalid_argument, fmt::format("fault {}: {}", testing::to_string(f.kind), wrong)
            ));
        }
    }
}

void check(const testing::link_options& link) {
    const std::chrono::nanoseconds latency = link.latency();
    std::string wrong;
    if (latency.count() < 0 || latency > max_latency) {
        wrong = fmt::format("latency: {} ns is not in 0..{} ns", latency.count(), max_latency.count());
    }
    if (link.bandwidth() > max_bandwidth) {
        wrong =
            fmt::format("bandwidth: {} is not in 0..{} bytes per second", link.bandwidth(), max_bandwidth);
    }
    if (!wrong.empty()) throw error(error_value(errc::invalid_argument, "link: " + wrong));
}

const server_options& checked(const server_options& options) {
    if (options.max_chunk_bytes() == 0 || options.max_chunk_bytes() > max_max_chunk_bytes) {
        throw error(error_value(
            errc::invalid_argument,
            fmt::format(
                "max_chunk_bytes is {}, it must be 1 to {}", options.max_chunk_bytes(), max_max_chunk_bytes
            )
        ));
    }
    for (const std::string& object : options.unfinalized()) {
        if (object.find('/') == std::string::npos) {
            throw error(error_value(
                errc::invalid_argument,
                fmt::format("unfinalized object '{}' is not of the form bucket/object", object)
            ));
        }
    }
    check(options);
    check(options.link());
    return options;
}

}  // namespace

class server::impl {
public:
    explicit impl(const server_options& options)
        : options_(checked(options)),
          proxied_(std::ranges::any_of(options_.faults().faults, needs_proxy)),
          service_(
              options_,
              {[this] { restarts_.run([this] { restart(); }); },
               [this](const testing::fault& what, std::uint16_t port) { strike(what, port); }}
          ),
          listener_(std::make_shared<listener>(service_, options_)),
          restarts_(1),
          entrance_(proxied_ ? "127.0.0.1:0" : options_.listen(), [this](unique_fd connection) {
              take(std::move(connection));
          }) {
        if (!proxied_) return;
        const std::lock_guard calls_wait(proxy_mutex_);
        proxy_ = std::make_unique<testing::tcp_proxy>(entrance_.address(), options_.listen());
        address_ = proxy_->address();
    }

    ~impl() { shutdown(); }

    void shutdown() {
        // The second of two callers waits until the first has finished.
        const std::lock_guard lock(changing_);
        over_ = true;
        service_.request_stop();
        if (proxy_) proxy_->refuse(true);
        entrance_.stop();
        exchange({});
        proxy_.reset();  // no call is left that could use it
    }

    const std::string& address() const noexcept { return proxied_ ? address_ : entrance_.address(); }

    server_stats stats() const {
        server_stats out = service_.stats();
        out.connections = entrance_.accepted();
        out.accept_failures = entrance_.failures();
        return out;
    }

private:
    std::shared_ptr<listener> exchange(std::shared_ptr<listener> fresh) {
        const std::lock_guard lock(mutex_);
        return std::exchange(listener_, std::move(fresh));
    }

    void take(unique_fd connection) {
        std::unique_lock lock(mutex_);
        const std::shared_ptr<listener> now = listener_;
        lock.unlock();
        if (now) now->take(std::move(connection));
    }

    // The connections end as those of a server that is shut down. Its successor exists before that, so that clients
    // that reconnect at once reach it.
    void restart() {
        const std::lock_guard lock(changing_);
        if (over_) return;
        try {
            exchange(std::make_shared<listener>(service_, options_))->go_away();
        } catch (const std::exception&) {
            // There are no resources for a successor: the old server with its connections is better than none.
        }
    }

    // Called by a pending call; the proxy outlives all calls.
    void strike(const testing::fault& what, std::uint16_t port) {
        const std::lock_guard lock(proxy_mutex_);
        switch (what.kind) {
            case testing::fault_kind::silent_connection: proxy_->silence(port); break;
            case testing::fault_kind::too_many_pings: proxy_->inject(port, many_pings()); break;
            case testing::fault_kind::slow_link: proxy_->limit_rate(what.bytes); break;
            default: proxy_->go_away(what.delay);
        }
    }

    server_options options_;
    const bool proxied_;
    std::mutex proxy_mutex_;
    std::unique_ptr<testing::tcp_proxy> proxy_;
    std::string address_;  // of the proxy
    service service_;
    std::mutex changing_;  // held by shutdown() and restart()
    bool over_ = false;
    std::mutex mutex_;
    std::shared_ptr<listener> listener_;
    background restarts_;
    entrance entrance_;
};

server::server(server_options options) : impl_(std::make_unique<impl>(options)) {}

server::~server() = default;

std::string server::address() const {
    return impl_->address();
}

void server::shutdown() {
    impl_->shutdown();
}

server_stats server::stats() const {
    return impl_->stats();
}

}  // namespace rangeio::emulator
