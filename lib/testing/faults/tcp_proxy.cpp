#include <rangeio/error.hpp>
#include <rangeio/testing/tcp_proxy.hpp>

#include "testing/faults/tcp_relay.hpp"
#include "text_fields.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <limits>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>

namespace rangeio::testing {
namespace {

using tcp = asio::ip::tcp;
using steady = std::chrono::steady_clock;

[[noreturn]] void reject(const std::string& address, std::string_view what) {
    throw error(error_value(errc::invalid_argument, fmt::format("{} is not {}", address, what)));
}

tcp::endpoint endpoint_of(const std::string& address) {
    const std::size_t colon = address.rfind(':');
    std::string host = address.substr(0, std::min(colon, address.size()));
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    if (host == "localhost") host = "127.0.0.1";
    error_code wrong;
    const auto ip = asio::ip::make_address(host, wrong);
    constexpr std::uint64_t none = std::numeric_limits<std::uint64_t>::max();
    const std::string_view digits = colon == address.npos ? "" : std::string_view(address).substr(colon + 1);
    const std::uint64_t port = whole_number(digits).value_or(none);
    if (wrong || port > std::numeric_limits<std::uint16_t>::max()) {
        reject(address, "an address of the form IP:PORT");
    }
    return {ip, static_cast<std::uint16_t>(port)};
}

}  // namespace

class tcp_proxy::impl {
public:
    impl(const std::string& target, const std::string& listen) : host_(listen.substr(0, listen.rfind(':'))) {
        shared_->target = endpoint_of(target);
        endpoint_ = endpoint_of(listen);
        if (!endpoint_.address().is_loopback()) reject(listen, "an address of the loopback interface");
        try {
            // Holds the port while no acceptor is open.
            bind(reserved_);
            endpoint_ = reserved_.local_endpoint();
            open_acceptor();
        } catch (const boost::system::system_error& e) {
            throw error(
                error_value(e.code(), fmt::format("cannot listen on {}: {}", listen, e.code().message()))
            );
        }
        thread_ = std::thread([this] { context_.run(); });
    }

    ~impl() {
        on_thread([this] {
            ending_ = true;
            close_acceptor();
            back_.cancel();
            retry_.cancel();
            for (const auto& r : relays_) r->end(tcp_end::orderly);
            relays_.clear();
        });
        work_.reset();
        thread_.join();
    }

    /// Runs `f` on the proxy's thread, and returns its result.
    template <class F>
    std::invoke_result_t<F> on_thread(F f) {
        std::packaged_task<std::invoke_result_t<F>()> task(std::move(f));
        auto done = task.get_future();
        asio::post(context_, [t = std::move(task)]() mutable { t(); });
        return done.get();
    }

    std::string address() const { return fmt::format("{}:{}", host_, endpoint_.port()); }

    void silence_all(bool on) {
        for (const auto& r : alive()) r->silence(on);
    }
    void silence_new(bool on) { new_are_silent_ = on; }

    tcp_relay* find(std::uint16_t target_port) {
        const auto& all = alive();
        const auto it =
            std::ranges::find_if(all, [&](const auto& r) { return r->info().target_port == target_port; });
        return it == all.end() ? nullptr : it->get();
    }

    void refuse(bool on) {
        refused_ = on;
        apply();
    }
    void cut(tcp_end how) {
        for (const auto& r : alive()) r->cut(how);
    }
    void go_away(std::chrono::nanoseconds duration) {
        const auto until = steady::now() + duration;
        if (!away_ || until > back_.expiry()) {
            back_.expires_at(until);
            back_.async_wait([this](const error_code& why) {
                if (why) return;  // another call lasts longer
                away_ = false;
                apply();
            });
        }
        away_ = true;
        apply();
        cut(tcp_end::reset);
    }

    void limit_rate(std::uint64_t bytes_per_second) {
        shared_->up.limit(bytes_per_second);
        shared_->down.limit(bytes_per_second);
    }

    std::vector<tcp_pair> pairs() {
        std::vector<tcp_pair> out;
        for (const auto& r : alive()) out.push_back(r->info());
        return out;
    }
    tcp_proxy_stats stats() const { return shared_->stats; }

private:
    void bind(auto& socket) {
        socket.open(endpoint_.protocol());
        socket.set_option(tcp::acceptor::reuse_address(true));
        socket.bind(endpoint_);
    }

    void open_acceptor() {
        bind(acceptor_);
        acceptor_.listen();
        accept();
    }

    void close_acceptor() {
        error_code ignored;
        acceptor_.close(ignored);
    }

    void apply() {
        if (refused_ || away_ || ending_) {
            close_acceptor();
            return;
        }
        if (acceptor_.is_open()) return;
        try {
            open_acceptor();
        } catch (const boost::system::system_error&) {
            // There are no descriptors left, for example.
            close_acceptor();
            later([this] { apply(); });
        }
    }

    void accept() {
        acceptor_.async_accept([this](const error_code& why, tcp::socket client) {
            if (!acceptor_.is_open() || why == asio::error::operation_aborted) return;
            if (why) {
                later([this] {
                    if (acceptor_.is_open()) accept();
                });
                return;
            }
            alive();
            relays_.push_back(std::make_shared<tcp_relay>(std::move(client), shared_));
            relays_.back()->silence(new_are_silent_);
            accept();
        });
    }

    void later(auto what) {
        retry_.expires_after(std::chrono::milliseconds(10));
        retry_.async_wait([what](const error_code& cancelled) {
            if (!cancelled) what();
        });
    }

    const std::vector<std::shared_ptr<tcp_relay>>& alive() {
        std::erase_if(relays_, [](const auto& r) { return r->ended(); });
        return relays_;
    }

    const std::string host_;
    const std::shared_ptr<relay_shared> shared_ = std::make_shared<relay_shared>();
    tcp::endpoint endpoint_;
    asio::io_context context_{1};
    asio::executor_work_guard<asio::io_context::executor_type> work_{context_.get_executor()};
    tcp::socket reserved_{context_};
    tcp::acceptor acceptor_{context_};
    asio::steady_timer back_{context_};  // the end of go_away()
    asio::steady_timer retry_{context_};
    std::vector<std::shared_ptr<tcp_relay>> relays_;
    bool new_are_silent_ = false;
    bool refused_ = false;
    bool away_ = false;
    bool ending_ = false;
    std::thread thread_;
};

tcp_proxy::tcp_proxy(const std::string& target, const std::string& listen)
    : impl_(std::make_unique<impl>(target, listen)) {}

tcp_proxy::~tcp_proxy() = default;

std::string tcp_proxy::address() const {
    return impl_->address();
}

void tcp_proxy::silence() {
    impl_->on_thread([this] { impl_->silence_all(true); });
}

bool tcp_proxy::silence(std::uint16_t target_port) {
    return impl_->on_thread([this, target_port] {
        tcp_relay* const found = impl_->find(target_port);
        if (found != nullptr) found->silence(true);
        return found != nullptr;
    });
}

void tcp_proxy::silence_new(bool on) {
    impl_->on_thread([this, on] { impl_->silence_new(on); });
}

void tcp_proxy::resume() {
    impl_->on_thread([this] { impl_->silence_all(false); });
}

void tcp_proxy::refuse(bool on) {
    impl_->on_thread([this, on] { impl_->refuse(on); });
}

void tcp_proxy::cut(tcp_end how) {
    impl_->on_thread([this, how] { impl_->cut(how); });
}

void tcp_proxy::go_away(std::chrono::nanoseconds duration) {
    impl_->on_thread([this, duration] { impl_->go_away(duration); });
}

void tcp_proxy::limit_rate(std::uint64_t bytes_per_second) {
    impl_->on_thread([this, bytes_per_second] { impl_->limit_rate(bytes_per_second); });
}

bool tcp_proxy::inject(std::uint16_t target_port, std::string bytes) {
    return impl_->on_thread([this, target_port, &bytes] {
        tcp_relay* const found = impl_->find(target_port);
        if (found != nullptr) found->inject(std::move(bytes));
        return found != nullptr;
    });
}

std::vector<tcp_pair> tcp_proxy::pairs() const {
    return impl_->on_thread([this] { return impl_->pairs(); });
}

tcp_proxy_stats tcp_proxy::stats() const {
    return impl_->on_thread([this] { return impl_->stats(); });
}

}  // namespace rangeio::testing
