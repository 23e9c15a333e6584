#include "emulator/faults/fault_state.hpp"

#include "emulator/protocol/messages.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace rangeio::emulator {
namespace {

constexpr std::size_t max_handles = 1000;

// The splitmix64 generator.
std::uint64_t mixed(std::uint64_t z) noexcept {
    z += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

}  // namespace

status status_of(const testing::fault& f, std::string text) {
    std::string details = encode_retry_info(f.status, text, f.retry_after);
    return {static_cast<status_code>(f.status), std::move(text), std::move(details)};
}

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

std::uint64_t fault_state::begin_metadata_call() {
    const std::lock_guard lock(mutex_);
    return ++metadata_calls_;
}

std::uint64_t fault_state::next_page() {
    const std::lock_guard lock(mutex_);
    return ++pages_;
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

void fault_state::redirected(const std::string& object, const std::string& token, const std::string& handle) {
    // A token that no header can carry is brought by no client.
    const auto fits = [](char c) { return c >= ' ' && c <= '~'; };
    if (token.empty() || !std::ranges::all_of(token, fits)) return;
    const std::lock_guard lock(mutex_);
    redirects& known = redirects_[object];
    known.tokens.try_emplace(token, false);
    if (handle.empty()) return;
    if (known.handles.size() >= max_handles) known.handles.pop_front();
    known.handles.emplace_back(handle, token);
}

void fault_state::take_token(
    const std::string& object,
    const request_params& header,
    std::string_view spec,
    std::string_view handle,
    bool strict
) {
    const std::lock_guard lock(mutex_);
    const auto found = redirects_.find(object);
    if (found == redirects_.end()) return;
    redirects& known = found->second;
    const auto refuse = [](std::string_view missing, std::string_view token) {
        throw call_error(
            status_code::invalid_argument,
            fmt::format("{} routing_token={}, to which the client was redirected", missing, token)
        );
    };
    for (auto& [token, used] : known.tokens) used = used || spec == token || header.has_routing_token(token);
    if (!strict) return;
    bool brought = false;
    for (const auto& [token, used] : known.tokens) {
        const bool in_header = header.has_routing_token(token);
        const bool in_spec = spec == token;
        if (in_header && !in_spec) refuse("the read_object_spec does not have", token);
        if (in_spec && !in_header) refuse("the header x-goog-request-params does not have", token);
        brought = brought || in_spec;
    }
    const auto due = std::ranges::find(known.handles, handle, [](const auto& given) -> const std::string& {
        return given.first;
    });
    if (brought || due == known.handles.end()) return;
    refuse("neither the header x-goog-request-params nor the read_object_spec has", due->second);
}

void fault_state::count_into(server_stats& out) const {
    const std::lock_guard lock(mutex_);
    out.faults_struck = faults_.struck();
    for (const auto& [object, known] : redirects_) {
        for (const auto& [token, used] : known.tokens) {
            if (!used) out.unused_tokens.push_back(fmt::format("routing_token={} of {}", token, object));
        }
    }
}

call_faults::call_faults(fault_state& shared) : shared_(&shared), number_(shared.begin_call()) {}

}  // namespace rangeio::emulator
