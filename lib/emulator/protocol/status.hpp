#pragma once

#include <exception>
#include <string>
#include <utility>

namespace rangeio::emulator {

/// The status codes that this service uses; the numbers are gRPC's. Faults may use any other.
enum class status_code {
    ok = 0,
    cancelled = 1,
    invalid_argument = 3,
    not_found = 5,
    permission_denied = 7,
    resource_exhausted = 8,
    failed_precondition = 9,
    aborted = 10,
    out_of_range = 11,
    unimplemented = 12,
    internal = 13,
    unavailable = 14,
};

/// The status of the end of a call. Not a gRPC type, so that everything below the reactors builds and is tested without
/// gRPC.
struct status {
    status_code code = status_code::ok;
    std::string message;
    /// A serialized google.rpc.Status for the trailer `grpc-status-details-bin`, or empty.
    std::string details;

    bool ok() const noexcept { return code == status_code::ok; }
};

/// Ends the call in which it is thrown with a status. Only the reactors catch it.
class call_error : public std::exception {
public:
    explicit call_error(status why) : why_(std::move(why)) {}
    call_error(status_code code, std::string message) : why_{code, std::move(message), {}} {}

    const char* what() const noexcept override { return why_.message.c_str(); }
    const status& why() const noexcept { return why_; }

private:
    status why_;
};

}  // namespace rangeio::emulator
