#pragma once

#include "emulator/calls/call_reactor.hpp"
#include "emulator/calls/read_stream.hpp"

#include <grpcpp/alarm.h>
#include <grpcpp/support/byte_buffer.h>

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>

namespace rangeio::emulator {

/// One BidiReadObject call: moves messages between gRPC and a read_stream, which makes all decisions.
///
/// Reactions run on several threads at once; at most one read and one write are in flight. The next chunk is made only
/// after the previous one was sent, so bytes that a slow client does not read are not held in memory.
class bidi_reactor final : public call_reactor {
public:
    bidi_reactor(
        service& shared,
        open_calls& calls,
        rpc_counters& counters,
        grpc::GenericCallbackServerContext& context
    );

    void start() override;
    void OnReadDone(bool ok) noexcept override;
    void OnWriteDone(bool ok) noexcept override;
    void OnCancel() noexcept override;
    void shut_down() noexcept override;

private:
    using lock = std::unique_lock<std::mutex>;

    void read();
    /// Performs all steps that are due now. `held` is released while a chunk is made.
    void pump(lock& held) noexcept;
    bool do_step(lock& held);
    void perform(const read_stream::send_step& send, lock& held);
    void count(const bidi_response::range_data& sent) noexcept;
    void perform(const read_stream::checksum_step& checksum);
    void perform(const read_stream::change_step& change);
    /// Runs `work` on a worker. The call continues when that is done.
    template <class Work>
    void perform_elsewhere(Work work);
    void wake_after(std::chrono::nanoseconds delay);
    void on_timer(std::uint64_t number) noexcept;
    void ended() noexcept override;

    const std::uint16_t peer_port_;
    std::mutex mutex_;
    read_stream stream_;
    bool reading_ = false;
    // A chunk is being made or written, or the checksum computed. The call does not finish meanwhile.
    bool busy_ = false;
    bool finished_ = false;
    bool goaway_ = false;
    std::optional<grpc::Alarm> timer_;  // of the pending delay
    std::uint64_t timer_number_ = 0;
    grpc::ByteBuffer request_;   // while reading_
    grpc::ByteBuffer response_;  // while busy_
};

}  // namespace rangeio::emulator
