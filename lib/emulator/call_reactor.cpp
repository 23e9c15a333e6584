#include "emulator/call_reactor.hpp"

#include <string>
#include <vector>

namespace rangeio::emulator {
namespace {

request_params params_of(const grpc::GenericCallbackServerContext& context) {
    std::vector<std::string> headers;
    const auto [begin, end] = context.client_metadata().equal_range("x-goog-request-params");
    for (auto at = begin; at != end; ++at) {
        headers.emplace_back(at->second.data(), at->second.size());
    }
    return request_params(std::move(headers));
}

}  // namespace

call_reactor::call_reactor(
    service& shared, open_calls& calls, rpc_counters& counters, grpc::GenericCallbackServerContext& context
)
    : service_(shared), calls_(calls), counters_(counters), params_(params_of(context)) {
    calls_.enter(*this);
    ++counters_.calls;
    ++counters_.open;
}

call_reactor::~call_reactor() {
    --counters_.open;
    calls_.leave(*this);
}

}  // namespace rangeio::emulator
