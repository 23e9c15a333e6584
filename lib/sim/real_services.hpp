#pragma once

#include <boost/asio/execution_context.hpp>

#include <string>
#include <string_view>

namespace rangeio::sim {

/// Names the timers and I/O objects of Asio's own that are, or were, on a context that has neither real time nor a
/// network. Empty: none.
std::string real_services(boost::asio::execution_context& context, std::string_view name);

/// Joins the threads of these objects, if there are any. To be called before the context shuts down: Asio itself joins
/// them too late.
void end_real_threads(boost::asio::execution_context& context);

}  // namespace rangeio::sim
