#pragma once

#include <rangeio/detail/destination.hpp>
#include <rangeio/multi_range_downloader.hpp>

#include "engine/pool_core.hpp"
#include "engine/scatter.hpp"
#include "engine/unit_wait.hpp"
#include "fsm/transfer_fsm.hpp"
#include "runtime/mutex.hpp"

#include <boost/container/small_vector.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

namespace rangeio::engine {

/// One range to read, with one of three kinds of destination.
struct transfer_part {
    byte_range range;
    std::byte* memory = nullptr;                  // contiguous memory for all bytes
    const detail::destination* pieces = nullptr;  // or: several buffers, from `position` on
    std::uint64_t position = 0;
    std::shared_ptr<const scatter> into;       // or: the memory of joined ranges; bytes of gaps are dropped
    bool tail = false;                         // see range_sink
    fsm::unit_id unit = 0;                     // not to be requested: a unit that is in memory, or under way
    std::shared_ptr<prefetch_unit> fetched{};  // that unit, once it has the bytes
};

/// Most reads have one part.
using transfer_parts = boost::container::small_vector<transfer_part, 1>;

/// The shell around `transfer_fsm`: several ranges of one object, read at once, with one counter and one wake-up.
///
/// When a part fails the transfer cancels the others and waits for them: no work outlives the transfer. A derived class
/// receives the completion, and need not be a coroutine.
class transfer {
public:
    // The result, once complete.
    const error_value& why() const noexcept { return machine_.why(); }
    /// The number of right bytes at the front of part `index`.
    std::uint64_t received(std::size_t index) const noexcept { return machine_.received(index); }
    /// The offset of part `index` in the object; 0 for a tail of which no byte has arrived.
    std::uint64_t offset(std::size_t index) const noexcept { return machine_.offset(index); }
    /// The unit of a part that was not requested; null if it has failed, and for other parts.
    const std::shared_ptr<prefetch_unit>& fetched(std::size_t index) const noexcept {
        return parts_[index].what.fetched;
    }

protected:
    transfer() noexcept;
    ~transfer();

    /// Each part leases a stream from `pool`. Exactly one prepare() must precede all other calls.
    void prepare(std::shared_ptr<pool_core> pool, transfer_parts parts);
    /// All parts use `stream`. With `owner` the stream is new, and is opened with the parts and closed after them.
    void prepare(
        std::shared_ptr<multi_range_downloader> stream,
        std::shared_ptr<stream_listener> owner,
        transfer_parts parts
    );

    /// Parts may be units of `source`, which also hears when bytes arrive. To be called before run(); the source must
    /// outlive the transfer.
    void use_units(unit_source& source) noexcept { units_ = &source; }

    /// What the parts are for, to be called before run(): by default a caller waits for them.
    void use_class(fsm::request_class what) noexcept { what_ = what; }
    /// A caller has come to wait for them. At any time.
    void promote() noexcept;

    /// Begins all parts. To be called once.
    void run() noexcept;
    /// Ends the transfer early, with `why` as its result, unless all parts have ended. On any thread, any number of
    /// times.
    void abort(const error_value& why) noexcept;

private:
    struct part final : public range_sink, public pool_waiter, public unit_waiter {
        // Not defaulted: the initializers below are not complete yet where std::optional requires a constructor.
        part() noexcept {}

        transfer* owner = nullptr;
        std::size_t index = 0;
        transfer_part what;
        // Guarded by the transfer's lock: a cancellation may read the stream while the part ends.
        lease held;
        std::shared_ptr<multi_range_downloader> stream;
        // Of the request and of its first bytes, if the reader wants to know.
        fsm::prefetch_time sent{}, first{};

        byte_range range() const noexcept override { return what.range; }
        bool tail() const noexcept override { return what.tail; }
        std::uint32_t take(
            std::uint64_t position, std::span<const std::byte> bytes, std::uint32_t crc
        ) noexcept override;
        std::span<std::byte> prepare(std::uint64_t position, std::size_t most) noexcept override;
        void done(const range_outcome& outcome) noexcept override;
        void granted(lease granted) noexcept override;
        void answered(const error_value& why) noexcept override;
        void fetched(std::shared_ptr<prefetch_unit> unit, const error_value& why) noexcept override;
    };

    void set_parts(transfer_parts parts);

    /// The transfer is complete. Called once, on any thread, without a lock held.
    virtual void transferred() noexcept = 0;
    /// Whether the memory of the parts may be written. Called before each write, on any thread.
    virtual bool touch() noexcept { return true; }
    virtual std::shared_ptr<transfer> self() noexcept = 0;

    template <class Event>
    auto feed(Event&& event) noexcept {
        const std::lock_guard lock(mutex_);
        return event(machine_);
    }
    void perform(part& p, const fsm::transfer_step& step) noexcept;
    void acquire(part& p) noexcept;
    void cancel_wait(part& p, const error_value& why) noexcept;
    void read(part& p) noexcept;
    void report_arrival(const part& p) noexcept;
    void end(part& p, const range_outcome& how) noexcept;
    void cancel_parts() noexcept;
    void finish() noexcept;

    std::shared_ptr<pool_core> pool_;
    std::shared_ptr<multi_range_downloader> stream_;
    std::shared_ptr<stream_listener> owner_;
    unit_source* units_ = nullptr;
    std::atomic<fsm::request_class> what_ = fsm::request_class::demand;
    std::optional<part> single_;
    std::unique_ptr<part[]> several_;
    part* parts_ = nullptr;  // in single_ or several_

    runtime::mutex mutex_;  // guards the machine, and the leases and streams of the parts
    fsm::transfer_fsm machine_{0, false};
};

}  // namespace rangeio::engine
