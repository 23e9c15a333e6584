#include "sim/real_services.hpp"

#include <boost/asio/detail/chrono_time_traits.hpp>
#include <boost/asio/detail/deadline_timer_service.hpp>
#include <boost/asio/detail/reactive_descriptor_service.hpp>
#include <boost/asio/detail/reactive_socket_service.hpp>
#include <boost/asio/detail/resolver_service.hpp>
#include <boost/asio/detail/scheduler.hpp>
#include <boost/asio/detail/signal_set_service.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/wait_traits.hpp>

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <type_traits>
#include <utility>

namespace rangeio::sim {
namespace {

namespace asio = boost::asio;

template <class Clock>
using timers =
    asio::detail::deadline_timer_service<asio::detail::chrono_time_traits<Clock, asio::wait_traits<Clock>>>;

}  // namespace

// The first object of a kind makes the service of that kind. The services are details of Asio; there is no other sign.
std::string real_services(asio::execution_context& context, std::string_view name) {
    using namespace asio::detail;
    const std::array<std::pair<const char*, bool>, 9> kinds{{
        {"asio::steady_timer", asio::has_service<timers<std::chrono::steady_clock>>(context)},
        {"asio::system_timer", asio::has_service<timers<std::chrono::system_clock>>(context)},
        {"a TCP socket or acceptor", asio::has_service<reactive_socket_service<asio::ip::tcp>>(context)},
        {"a UDP socket", asio::has_service<reactive_socket_service<asio::ip::udp>>(context)},
        {"a local socket or acceptor",
         asio::has_service<reactive_socket_service<asio::local::stream_protocol>>(context)},
        {"a TCP resolver", asio::has_service<resolver_service<asio::ip::tcp>>(context)},
        {"a UDP resolver", asio::has_service<resolver_service<asio::ip::udp>>(context)},
        {"asio::signal_set", asio::has_service<signal_set_service>(context)},
        {"a descriptor", asio::has_service<reactive_descriptor_service>(context)},
    }};
    std::string found;
    for (const auto& [kind, there] : kinds) {
        if (there) found += (found.empty() ? "" : ", ") + std::string(kind);
    }
    // All other work of a thread of Asio's.
    if (found.empty() && asio::has_service<scheduler>(context)) found = "an I/O object or timer of Asio's";
    if (found.empty()) return found;
    return fmt::format(
        "{} on the sim::context \"{}\", where there is neither real time nor a network; sim::timer is the "
        "timer of "
        "a world",
        found,
        name
    );
}

// The reactor empties its timer queue without a lock, while the thread that Asio joins only afterwards may still read
// it (epoll_reactor::shutdown and scheduler::shutdown of Boost 1.81). A resolver's thread posts its results to the
// scheduler's queue, so it ends first. The context's own shutdown finds nothing left to do.
void end_real_threads(asio::execution_context& context) {
    using namespace asio::detail;
    const auto shut_down = [&context]<class Service>(std::type_identity<Service>) {
        if (asio::has_service<Service>(context)) asio::use_service<Service>(context).shutdown();
    };
    shut_down(std::type_identity<resolver_service<asio::ip::tcp>>());
    shut_down(std::type_identity<resolver_service<asio::ip::udp>>());
    shut_down(std::type_identity<scheduler>());
}

}  // namespace rangeio::sim
