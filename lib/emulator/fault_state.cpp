#include "emulator/fault_state.hpp"

#include "emulator/status.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace rangeio::emulator {
namespace {

constexpr std::size_t max_expected_tokens = 1000;

// splitmix64
std::uint64_t mixed(std::uint64_t z) noexcept {
    z += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

}  // namespace

fault_state::fault_state(const testing::fault_script& script, std::uint64_t seed)
    : faults_(script, [seed](const testing::fault& what, std::size_t line, const place& here) {
          std::uint64_t draw = seed;
          for (const std::uint64_t part :
               {std::uint64_t{line}, here.call, here.range, here.at_call, here.at_range}) {
              draw = mixed(draw ^ mixed(part));
          }
          return draw % 100 < what.percent;
      }) {}

std::uint64_t fault_state::begin_call() {
    const std::lock_guard lock(mutex_);
    return ++calls_;
}

const testing::fault* fault_state::strike(testing::fault_kind kind, const place& here) {
    const std::lock_guard lock(mutex_);
    return faults_.strike(kind, here);
}

std::uint64_t fault_state::room_before_fault(const place& here) const {
    const std::lock_guard lock(mutex_);
    return faults_.room_before_fault(here);
}

std::uint64_t fault_state::next_handle() {
    const std::lock_guard lock(mutex_);
    return ++handles_;
}

void fault_state::redirected(const std::string& object, std::string token, std::string handle) {
    const std::lock_guard lock(mutex_);
    std::vector<expected>& tokens = tokens_[object];
    // Those of clients that never came back.
    if (tokens.size() >= max_expected_tokens) tokens.erase(tokens.begin());
    tokens.push_back({std::move(token), std::move(handle)});
}

void fault_state::check_token(
    const std::string& object, const request_params& header, std::string_view spec, std::string_view handle
) {
    const std::lock_guard lock(mutex_);
    const auto found = tokens_.find(object);
    if (found == tokens_.end()) return;
    std::vector<expected>& tokens = found->second;
    const auto brought = [&](const expected& e) {
        return spec == e.token || header.has_routing_token(e.token);
    };
    auto due = std::ranges::find_if(tokens, brought);
    if (due == tokens.end() && !handle.empty()) due = std::ranges::find(tokens, handle, &expected::handle);
    if (due == tokens.end()) return;
    const std::string token = std::move(due->token);
    tokens.erase(due);
    if (tokens.empty()) tokens_.erase(found);
    const bool in_header = header.has_routing_token(token);
    const bool in_spec = spec == token;
    if (in_header && in_spec) return;
    const std::string_view missing =
        in_header ? "the read_object_spec does not have"
        : in_spec ? "the header x-goog-request-params does not have"
                  : "neither the header x-goog-request-params nor the read_object_spec has";
    throw call_error(
        status_code::invalid_argument,
        fmt::format("{} routing_token={}, to which the client was redirected", missing, token)
    );
}

call_faults::call_faults(fault_state& shared) : shared_(&shared), number_(shared.begin_call()) {}

}  // namespace rangeio::emulator
