#pragma once

#include <rangeio/error.hpp>
#include <rangeio/object.hpp>

#include "engine/fetch_plan.hpp"
#include "engine/pool_core.hpp"
#include "engine/transfer.hpp"
#include "runtime/mutex.hpp"
#include "runtime/operation.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace rangeio::engine {

/// Ranges that are read at the same time.
struct read_round {
    transfer_parts parts;
    /// All parts use one stream of the pool, which continues with another call for them, so that the object is reported
    /// anew.
    bool anew = false;
    /// No part is memory of the caller, though those of other rounds may be.
    bool own_memory = false;
    /// The parts ride in the opening message of the pool's first stream.
    bool opening = false;
    /// No other round follows.
    bool last = true;
    /// The time to wait before the round.
    std::chrono::nanoseconds after{0};
};

/// One read of any form: check, open, then plan, transfer and validate, once or in several rounds. This class has the
/// order; a derived class has the steps and the result.
///
/// The pool is opened, or a stream leased, by the same operation that transfers: it is cancelled and timed as one.
class read_operation : public runtime::operation, private pool_waiter {
public:
    read_operation(const read_operation&) = delete;
    read_operation& operator=(const read_operation&) = delete;

protected:
    /// Each part leases a stream from `pool`, which is opened if it is not open.
    explicit read_operation(std::shared_ptr<pool_core> pool);
    /// All parts use `stream`, which is one of `pool`.
    read_operation(std::shared_ptr<pool_core> pool, std::shared_ptr<multi_range_downloader> stream);
    ~read_operation() override;

    /// Checks the arguments before anything starts. May throw.
    virtual error_value check() { return {}; }
    /// Appends the parts that ride in the opening message if this read causes the first open of its pool: nothing is
    /// known of the object yet. None: the read waits for the open. If the service refuses a range of this round, plan()
    /// follows as if there had been no such round. May throw.
    virtual error_value plan_opening(read_round& /*round*/) { return {}; }
    /// Appends the parts of the next round; none: the read is complete. On any thread. May throw.
    virtual error_value plan(read_round& round) = 0;
    /// Checks the result of a round in which no part has failed; the object is known. On any thread. May throw.
    virtual error_value validate() { return {}; }
    /// The text that follows the object's name in error texts.
    virtual std::string doing() const = 0;
    /// Whether the parts are memory of the caller. Must always return the same.
    virtual bool writes_to_caller() const noexcept { return true; }
    /// The units that parts of the next round may be of; their owner hears when bytes arrive.
    virtual unit_source* units() noexcept { return nullptr; }
    /// The parts of a round have been requested; the read may be over by now, but not destroyed.
    virtual void requested() noexcept {}
    /// Nothing of the read is under way any more: the last call before its completion, on any thread.
    virtual void over() noexcept {}
    /// The object's name; to be overridden by reads without a pool.
    virtual std::string subject() const;

    /// The result with its context, for the outcome. Validates the last round.
    error_value end() noexcept;

    /// To be called before start() for a read on a new stream: the stream is opened with the parts and closed after
    /// them.
    void use(std::shared_ptr<multi_range_downloader> stream, std::shared_ptr<stream_listener> owner) noexcept;
    void start() noexcept override;
    void reject(const error_value& why) noexcept override { refused_ = why; }
    /// Completes without a further round.
    void refuse(const error_value& why) noexcept;

    /// The pool's report of the object before this round was planned; null on a stream without a pool.
    const std::shared_ptr<const object_info>& object() const noexcept { return object_; }
    const std::shared_ptr<pool_core>& pool() const noexcept { return pool_; }
    /// Of the last round: the number of right bytes at the front of a part, and the offset of the part in the object.
    std::uint64_t received(std::size_t index) const noexcept;
    std::uint64_t offset(std::size_t index) const noexcept;
    bool has_read() const noexcept { return ended_ != nullptr; }
    /// Whether the round rode in an opening message.
    bool opening() const noexcept { return round_.opening; }
    /// validate_fetch() for the last round; sets `total` on success.
    error_value validate_parts(
        byte_range asked,
        const range_list& parts,
        const object_info& object,
        bool allow_short,
        std::size_t& total
    ) const;
    /// After a failure: the number of contiguous right bytes at the front of the last round's parts.
    std::uint64_t prefix(const range_list& parts) const noexcept;

    /// Whether the round that was planned last has begun.
    bool has_begun() const noexcept { return begun_; }
    /// Whether the read was cancelled, or its time is over.
    bool stopped() const noexcept;
    /// Of the last round: the unit of a part that was not requested, or null.
    std::shared_ptr<prefetch_unit> fetched(std::size_t index) const noexcept;
    /// Whether the caller's memory may be written. To be asked before each write.
    bool touch() noexcept;

    /// Plans a round for the object's size only, by a read of the first byte: that request is valid for every size.
    void ask_size(read_round& round);

private:
    class running_round;

    void stop(const error_value& why) noexcept override;
    bool untouched() noexcept override;
    void granted(lease granted) noexcept override;
    void answered(const error_value& why) noexcept override;

    template <class Ask>
    void wait_for_pool(Ask ask) noexcept;
    void next_round() noexcept;
    void wait_for_round() noexcept;
    void begin_round() noexcept;
    bool end_wait() noexcept;
    void end_work() noexcept;
    void run(const std::shared_ptr<multi_range_downloader>& stream) noexcept;
    void round_over() noexcept;
    void opening_over() noexcept;
    void next_if_valid() noexcept;
    error_value how_it_ended() noexcept;

    const std::shared_ptr<pool_core> pool_;
    std::shared_ptr<multi_range_downloader> stream_;
    std::shared_ptr<stream_listener> owner_;
    std::shared_ptr<const object_info> object_;
    read_round round_;
    lease held_;           // of a round with `anew`
    error_value refused_;  // why there was no further round
    std::shared_ptr<running_round> ended_;
    std::byte probe_{};
    bool begun_ = false;

    enum class memory_state : unsigned char { untouched, touched, forgone };
    std::atomic<memory_state> memory_ = memory_state::untouched;
    std::atomic<bool> dropped_ = false;  // bytes have arrived since the memory was forgone

    mutable runtime::mutex mutex_;
    error_value stop_;  // the reason of the cancellation
    std::shared_ptr<running_round> running_;
    std::shared_ptr<runtime::timer> timer_;  // of a round that waits
};

}  // namespace rangeio::engine
