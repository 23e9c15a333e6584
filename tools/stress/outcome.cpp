#include "stress/outcome.hpp"

#include <boost/asio/error.hpp>

namespace rangeio::tool {
namespace {

constexpr std::array<std::string_view, stress_operations> operation_names{
    "fetch",
    "try-fetch",
    "fetch-block",
    "fetch-view",
    "fetch-split",
    "fetch-ranges",
    "read-leased",
    "read-once",
    "read-cached",
    "read-file",
    "initialize",
    "close",
    "destroy",
    "close-cache",
};
constexpr std::array<std::string_view, stress_outcomes> outcome_names{
    "done", "cancelled", "timed out", "closed", "faulted", "violated"
};

}  // namespace

std::string_view to_string(stress_operation what) noexcept {
    return operation_names[static_cast<std::size_t>(what)];
}

std::string_view to_string(stress_outcome how) noexcept {
    return outcome_names[static_cast<std::size_t>(how)];
}

stress_outcome judge(
    const error_value& why, const circumstances& around, const testing::possible_faults& faults
) {
    if (!why) return stress_outcome::done;
    const error_code code = why.code();
    if (code == boost::asio::error::operation_aborted && around.cancelled) return stress_outcome::cancelled;
    if (code == errc::timed_out && around.hurried) return stress_outcome::timed_out;
    if ((code == errc::pool_closed || code == errc::stream_closed) && around.closed)
        return stress_outcome::closed;
    return faults.explain(why) ? stress_outcome::faulted : stress_outcome::violated;
}

}  // namespace rangeio::tool
