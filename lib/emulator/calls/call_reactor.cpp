#include "emulator/calls/call_reactor.hpp"

#include <rangeio/error.hpp>

#include "emulator/protocol/grpc_bytes.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace rangeio::emulator {
namespace {

std::vector<std::string> headers_of(const grpc::GenericCallbackServerContext& context, const char* name) {
    std::vector<std::string> headers;
    const auto [begin, end] = context.client_metadata().equal_range(name);
    for (auto at = begin; at != end; ++at) {
        headers.emplace_back(at->second.data(), at->second.size());
    }
    return headers;
}

}  // namespace

call_reactor::call_reactor(
    service& shared, open_calls& calls, rpc_counters& counters, grpc::GenericCallbackServerContext& context
)
    : service_(shared),
      calls_(calls),
      counters_(counters),
      info_(shared.log(), context.method(), request_params(headers_of(context, "x-goog-request-params"))) {
    const bool authorized = context.client_metadata().contains("authorization");
    service_.note(authorized, headers_of(context, "x-goog-user-project"));
    calls_.enter(*this);
    ++counters_.calls;
    ++counters_.open;
}

call_reactor::~call_reactor() {
    --counters_.open;
    calls_.leave(*this);
}

void call_reactor::finish(const status& how) {
    if (!how.ok()) info_.ends_with(grpc_category().message(static_cast<int>(how.code)), how.message);
    Finish(to_grpc(how));
}

}  // namespace rangeio::emulator
