#pragma once

#include "emulator/calls/request_log.hpp"
#include "emulator/protocol/request_params.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace rangeio::emulator {

/// The properties of a call that are known before its first message, and the log for what the call asks for.
class call_info {
public:
    /// `method`: in the form `/package.Service/Method`.
    call_info(request_log& log, std::string_view method, request_params params)
        : log_(&log),
          number_(log.next_call()),
          method_(method.substr(method.rfind('/') + 1)),
          params_(std::move(params)) {}

    const request_params& params() const noexcept { return params_; }

    /// The number of the call among the calls for metadata; 0: it is not one, or such calls are not counted.
    std::uint64_t metadata_call() const noexcept { return metadata_call_; }
    void metadata_call(std::uint64_t number) noexcept { metadata_call_ = number; }

    void asks_for(std::string_view what) const { log_->write(number_, fmt::format("{} {}", method_, what)); }
    /// `status`: the name of the status code.
    void ends_with(std::string_view status, std::string_view why) const {
        log_->write(number_, fmt::format("{} {}: {}", method_, status, why));
    }

private:
    request_log* log_;
    std::uint64_t number_;
    std::string method_;
    request_params params_;
    std::uint64_t metadata_call_ = 0;
};

}  // namespace rangeio::emulator
