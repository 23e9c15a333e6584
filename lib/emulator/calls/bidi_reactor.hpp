#pragma once

#include "emulator/calls/call_reactor.hpp"
#include "emulator/calls/read_stream.hpp"
#include "emulator/calls/timers.hpp"

#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>

namespace rangeio::emulator {

/// One BidiReadObject call: moves messages between gRPC and a read_stream, which makes all decisions, at the times that
/// the link allows.
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
    void due() noexcept override;

private:
    using lock = std::unique_lock<std::mutex>;
    using time_point = call_timer::time_point;

    // What has arrived from the client, on its way over the link.
    struct arrival {
        time_point due;
        std::optional<grpc::ByteBuffer> message;  // empty: the half-close
        std::size_t cost = 0;                     // in bytes of memory
    };
    struct outgoing {
        grpc::ByteBuffer message;
        grpc::WriteOptions options;
        std::uint64_t payload_bytes = 0;
        std::uint64_t range_ends = 0;

        void count(const bidi_response::range_data& sent) noexcept;
    };

    void read();
    /// Queues what has arrived: a message, or the half-close.
    void arrive(std::optional<grpc::ByteBuffer> message);
    /// Hands the messages that are due to the read_stream.
    void deliver() noexcept;
    void abandon(status why) noexcept;
    /// Performs all steps that are due now. `held` is released while a chunk is made.
    void pump(lock& held) noexcept;
    bool do_step(lock& held);
    void perform(const read_stream::send_step& send, lock& held);
    void write();
    void drop_response() noexcept;
    void perform(const read_stream::checksum_step& checksum);
    void perform(const read_stream::change_step& change);
    /// Runs `work` on a worker. The call continues when that is done.
    template <class Work>
    void perform_elsewhere(Work work);
    void set_timer() noexcept;
    void ended() noexcept override;

    const std::uint16_t peer_port_;
    std::mutex mutex_;
    read_stream stream_;
    bool reading_ = false;
    // A chunk is being made, waits for the link or is written, or the checksum computed. The call does not finish
    // meanwhile.
    bool busy_ = false;
    bool finished_ = false;
    bool abandoned_ = false;  // cancelled or shut down: waits for nothing
    bool goaway_ = false;
    std::deque<arrival> arrivals_;
    std::size_t arrivals_cost_ = 0;
    std::optional<time_point> write_at_;   // the response waits for the link
    std::optional<time_point> waited_at_;  // the end of the pending delay
    time_point ready_;                     // since when the next response could have been sent
    grpc::ByteBuffer request_;             // while reading_
    outgoing response_;                    // while busy_
    call_timer timer_;                     // for the first of all these times
};

}  // namespace rangeio::emulator
