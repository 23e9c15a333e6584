#pragma once

#include <rangeio/multi_range_downloader.hpp>
#include <rangeio/retry_policy.hpp>

#include "fsm/mrd_fsm.hpp"
#include "grpc/bidi_call.hpp"
#include "grpc/object_source.hpp"
#include "kit_export.hpp"
#include "runtime/context_service.hpp"
#include "runtime/machine_host.hpp"
#include "transport/stream_reports.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <span>

namespace rangeio::grpc_transport {

/// The shell around `mrd_fsm`: a multi-range downloader on one BidiReadObject call after another.
class RANGEIO_KIT_EXPORT mrd final : public multi_range_downloader,
                                     public runtime::tracked_operation,
                                     private bidi_call_events {
public:
    struct environment {
        std::shared_ptr<bidi_connector> connector;
        std::shared_ptr<object_source> source;
        std::shared_ptr<transport::stream_reports> reports;
        std::shared_ptr<runtime::context_core> core;  // of the executor
        asio::any_io_executor executor;               // for the timers only
        std::chrono::nanoseconds open_timeout{0};     // 0: none
        retry_policy retry;
        bool require_checksums = false;
        std::function<std::uint64_t()> seed;  // of the random waits of a stream; empty: std::random_device
    };

    explicit mrd(environment env);
    ~mrd() override;

    void open(std::shared_ptr<stream_listener> owner) override;
    std::int64_t read(std::shared_ptr<range_sink> sink) override;
    void cancel(std::int64_t read_id, const error_value& why) noexcept override;
    void close(const error_value& why) noexcept override;
    std::uint64_t outstanding_bytes() const noexcept override;
    bool idle() const noexcept override;
    void reopen() noexcept override;
    void require(std::uint64_t size) noexcept override;
    std::shared_ptr<const object_info> info() const noexcept override { return env_.source->info(); }

private:
    void on_shutdown() noexcept override;
    void on_response(const incoming& response) noexcept override;
    void on_write_done() noexcept override;
    void on_done(const call_end& end) noexcept override;

    void take_report(const incoming& response) noexcept;
    static fsm::mrd_fsm::verdict begin_next(
        fsm::mrd_fsm& m, std::span<const wire::data_chunk>& rest, fsm::mrd_actions& out
    ) noexcept;
    error_value copy(
        const incoming& response, const wire::data_chunk& chunk, const fsm::mrd_fsm::verdict& said
    ) noexcept;
    void report_rejected(
        const fsm::mrd_fsm::verdict& said, std::uint64_t bytes, const error_value& why
    ) noexcept;
    void report_unchecked(const fsm::mrd_fsm::verdict& said, std::uint64_t bytes) noexcept;
    void report_call(const fsm::mrd_action& action) noexcept;
    void report_answer(const fsm::mrd_action& action) noexcept;
    event about(event_kind what) const noexcept;
    std::chrono::nanoseconds since(fsm::time_point then) const noexcept { return env_.core->now() - then; }
    void close_with(const error_value& ranges, const error_value& stream) noexcept;
    template <class Event>
    void act(Event&& event) noexcept;
    template <class Event>
    void act_reserving(Event&& event);
    void drain() noexcept;
    void perform(fsm::mrd_action& action) noexcept;
    void start_call(const fsm::mrd_action& action) noexcept;
    void send_message() noexcept;
    /// False: there was no memory.
    template <class Event>
    bool set_timer(
        std::shared_ptr<runtime::timer>& timer, std::chrono::nanoseconds delay, Event event
    ) noexcept;
    void drop_timers() noexcept;
    std::chrono::nanoseconds jittered(std::chrono::nanoseconds bound);
    std::shared_ptr<mrd> self() { return std::static_pointer_cast<mrd>(shared_from_this()); }

    const environment env_;
    const std::uint64_t number_;
    runtime::machine_host<fsm::mrd_fsm, fsm::mrd_action> machine_;

    // Used in perform() only, or before open(). The timers are dropped before the stream leaves its context.
    std::shared_ptr<mrd> self_;  // from open() to the end: between calls there may be no other reference
    std::shared_ptr<stream_listener> owner_;
    std::shared_ptr<bidi_call> call_;
    std::shared_ptr<runtime::timer> open_timer_;
    std::shared_ptr<runtime::timer> wait_timer_;
    std::shared_ptr<runtime::timer> stall_timer_;
    fsm::time_point open_since_{};
    // Read on the delivering thread, too.
    std::atomic<fsm::time_point> call_since_{};
    std::atomic<bool> brought_handle_{false};  // the call had a read handle: its response may omit the object
    std::minstd_rand chance_;
};

}  // namespace rangeio::grpc_transport
