#pragma once

#include "emulator/call_reactor.hpp"
#include "emulator/read_stream.hpp"

#include <grpcpp/support/byte_buffer.h>

#include <mutex>

namespace rangeio::emulator {

/// One BidiReadObject call: moves messages between gRPC and a read_stream, which decides.
///
/// Reactions run on several threads at once; one read and one write are in flight at most. The next chunk is
/// made only when the last one has left, so what a slow client does not take is not held in memory.
class bidi_reactor final : public call_reactor {
public:
    bidi_reactor(
        service& shared, gate& calls, rpc_counters& counters, grpc::GenericCallbackServerContext& context
    );

    void start() override;
    void OnReadDone(bool ok) noexcept override;
    void OnWriteDone(bool ok) noexcept override;
    void OnCancel() noexcept override;

private:
    using lock = std::unique_lock<std::mutex>;

    void read();
    /// Does all there is to do now. `held` is released while a chunk is made.
    void pump(lock& held) noexcept;
    bool do_step(lock& held);
    void perform(const read_stream::send_step& send, lock& held);
    void perform(const read_stream::checksum_step& checksum);

    std::mutex mutex_;
    read_stream stream_;
    bool reading_ = false;
    // A chunk is being made or written, or the checksum computed. The call does not finish meanwhile.
    bool busy_ = false;
    bool finished_ = false;
    grpc::ByteBuffer request_;   // while reading_
    grpc::ByteBuffer response_;  // while busy_
};

}  // namespace rangeio::emulator
