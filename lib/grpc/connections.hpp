#pragma once

#include "fsm/connections_fsm.hpp"
#include "grpc/bidi_call.hpp"
#include "grpc/endpoint_watch.hpp"
#include "kit_export.hpp"
#include "runtime/context_service.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

namespace rangeio::grpc_transport {

/// The shell around `connections_fsm`: makes each call on one of the connections of a client.
///
/// Its calls wrap the calls on the wire: they record what arrives on each connection, so that the silence of a call can
/// be classified. No call waits for another: the lock is held only for decisions and while a connection is made.
class RANGEIO_KIT_EXPORT connections final : public bidi_connector,
                                             public std::enable_shared_from_this<connections> {
public:
    struct environment {
        std::shared_ptr<connection_maker> maker;
        std::shared_ptr<runtime::context_core> core;  // for the time
        fsm::connections_fsm::options limits;
        std::shared_ptr<endpoint_watch> watch;  // null: none
    };

    explicit connections(environment env);
    ~connections() override;

    std::shared_ptr<bidi_call> create(std::shared_ptr<bidi_call_events> events) override;

private:
    class call;
    struct line;

    std::shared_ptr<line> place(call& which);
    void answered(call& which) noexcept;
    void leave(call& which) noexcept;
    fsm::silence classify(call& which, unsigned checks, unsigned excused) noexcept;
    fsm::connections_fsm::silent_call look_at(const call& which, unsigned checks, unsigned excused) const;
    void ask(const std::shared_ptr<line>& whom) noexcept;
    void expect(call& which, std::span<const fsm::wire_range> ranges) noexcept;
    void came(std::uint64_t bytes, fsm::time_point now) noexcept;

    const environment env_;
    // Bytes, on all calls.
    std::atomic<std::uint64_t> came_{0};
    std::atomic<std::int64_t> due_{0};
    std::mutex mutex_;
    fsm::connections_fsm machine_;
    std::unordered_map<fsm::connection_id, std::shared_ptr<line>> lines_;
    std::vector<call*> calls_;  // the calls in flight
};

}  // namespace rangeio::grpc_transport
