#pragma once

#include <rangeio/proto/storage.pb.h>

#include <functional>
#include <memory>
#include <string>

// A service over gRPC that answers each message as its test likes: what the emulator is too well-behaved for.
namespace support {

/// One call, for who answers it.
class hostile_call {
public:
    int number = 0;       ///< of the call, from 1
    int message = 0;      ///< of the one that is being answered, from 1 on each call
    std::string method;   ///< "/package.Service/Method"
    std::string request;  ///< the message

    /// Sends these bytes as a message. What is sent first leaves first.
    virtual void send(std::string bytes) = 0;
    /// Ends the call behind what was sent. `details`: a serialised google.rpc.Status, in its trailer.
    virtual void end(int status, std::string text = {}, std::string details = {}) = 0;

protected:
    ~hostile_call() = default;
};

class hostile_service {
public:
    /// Called with each message that comes, on a thread of gRPC's; one at a time on each call.
    using answer = std::function<
        void(hostile_call& call, const rangeio::proto::storage::v2::BidiReadObjectRequest& asked)>;

    explicit hostile_service(answer how);
    /// Ends what is open.
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
