#pragma once

#include <rangeio/proto/storage.pb.h>

#include <functional>
#include <memory>
#include <string>

// A service over gRPC whose answers are set by its test: for answers that the emulator never gives.
namespace support {

/// One call, for the function that answers it.
class hostile_call {
public:
    int number = 0;       ///< of the call, from 1
    int message = 0;      ///< of the message that is being answered, from 1 on each call
    std::string method;   ///< "/package.Service/Method"
    std::string request;  ///< the message

    /// Sends these bytes as a message. Messages are sent in the order of the calls.
    virtual void send(std::string bytes) = 0;
    /// Ends the call after the messages that were sent. `details`: a serialized google.rpc.Status, for its trailer.
    virtual void end(int status, std::string text = {}, std::string details = {}) = 0;

protected:
    ~hostile_call() = default;
};

class hostile_service {
public:
    /// Called with each message that arrives, on a thread of gRPC; one at a time on each call.
    using answer = std::function<
        void(hostile_call& call, const rangeio::proto::storage::v2::BidiReadObjectRequest& asked)>;

    explicit hostile_service(answer how);
    /// Ends the open calls.
    ~hostile_service();
    hostile_service(const hostile_service&) = delete;
    hostile_service& operator=(const hostile_service&) = delete;

    std::string address() const;
    int calls() const noexcept;

private:
    class impl;
    std::unique_ptr<impl> impl_;
};

}  // namespace support
