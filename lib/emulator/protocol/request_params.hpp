#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace rangeio::emulator {

/// The values of the `x-goog-request-params` header of a call.
///
/// The service routes by this header, and clients encode it differently: bucket and token verbatim, slashes escaped or
/// not, parameters in any order. A value matches verbatim or percent-decoded.
class request_params {
public:
    request_params() = default;
    explicit request_params(std::vector<std::string> headers) : headers_(std::move(headers)) {}

    /// Throws: call_error INVALID_ARGUMENT, naming the header, unless the header has `bucket` with this value.
    void require_bucket(std::string_view resource_name) const;

    /// Throws: call_error INVALID_ARGUMENT, naming the header, when the header has a routing token other than `token`.
    void check_routing_token(std::string_view token) const;

    bool has_routing_token(std::string_view token) const;

private:
    std::vector<std::string> values_of(std::string_view name) const;

    std::vector<std::string> headers_;
};

}  // namespace rangeio::emulator
