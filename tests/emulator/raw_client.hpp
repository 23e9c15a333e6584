#pragma once

#include "status_numbers.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace support {

/// How a call ended, and for a unary one, what it answered.
struct call_outcome {
    int code = 0;
    std::string message;
    std::string details;  // the trailer grpc-status-details-bin
    std::string response;
};

namespace code = rangeio::status_number;

/// One call in which the test decides when what is sent and read. Every operation blocks, until the deadline
/// of the call at the latest.
class raw_call {
public:
    ~raw_call();
    raw_call(raw_call&&) noexcept;

    /// False: the call has ended.
    bool write(const std::string& message);
    bool half_close();
    /// Absent: no message follows.
    std::optional<std::string> read();
    /// Requires: no message is left to be read, or none is needed.
    call_outcome finish();
    void cancel();

private:
    friend class raw_client;
    struct impl;
    explicit raw_call(std::unique_ptr<impl> p);
    std::unique_ptr<impl> impl_;
};

/// Speaks gRPC in serialised messages, so that a test can say what no proper client would.
class raw_client {
public:
    explicit raw_client(const std::string& address);
    ~raw_client();

    /// `params` is the value of x-goog-request-params; none is sent when it is empty.
    raw_call start(const std::string& method, const std::string& params);
    call_outcome unary(const std::string& method, const std::string& request, const std::string& params);

    static constexpr std::chrono::seconds deadline{20};

private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

}  // namespace support
