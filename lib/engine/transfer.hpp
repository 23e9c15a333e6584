#pragma once

#include <rangeio/detail/destination.hpp>
#include <rangeio/multi_range_downloader.hpp>

#include "engine/pool_core.hpp"
#include "engine/scatter.hpp"
#include "fsm/transfer_fsm.hpp"
#include "runtime/mutex.hpp"

#include <boost/container/small_vector.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

namespace rangeio::engine {

/// One range to read, and where its bytes go.
struct transfer_part {
    byte_range range;
    std::byte* memory = nullptr;                  // for all of them
    const detail::destination* pieces = nullptr;  // or: from `position` on
    std::uint64_t position = 0;
    std::shared_ptr<const scatter> into;  // or: by the ranges that were joined; the others are dropped
    bool tail = false;                    // see range_sink
};

/// A read is of one part as a rule.
using transfer_parts = boost::container::small_vector<transfer_part, 1>;

/// The shell around `transfer_fsm`: several ranges of one object, read at once, with one counter and one wake-up.
///
/// When a part fails the transfer cancels the others and waits for them: no work survives it. A derived class receives the
/// completion, and need not be a coroutine.
class transfer {
public:
    // The result, once complete.
    const failure& why() const noexcept { return machine_.why(); }
    /// Right bytes at the front of part `index`.
    std::uint64_t received(std::size_t index) const noexcept { return machine_.received(index); }
    /// Where part `index` begins in the object; of a tail 0 if nothing came.
    std::uint64_t offset(std::size_t index) const noexcept { return machine_.offset(index); }

protected:
    transfer() noexcept;
    ~transfer();

    /// Each part on a stream leased from `pool`. One prepare() comes before everything else.
    void prepare(std::shared_ptr<pool_core> pool, transfer_parts parts);
    /// All parts on one stream. With `owner` it is a fresh one, which is opened with them and closed after
    /// them.
    void prepare(
        std::shared_ptr<multi_range_downloader> stream,
        std::shared_ptr<stream_listener> owner,
        transfer_parts parts
    );

    /// Begins all parts. Once.
    void run() noexcept;
    /// Ends it early, with `why` as its result, unless all parts have ended. From any thread, any number of times.
    void abort(const failure& why) noexcept;

private:
    struct part final : public range_sink, public pool_waiter {
        // Written out: the initializers below are not known yet where std::optional asks for a constructor.
        part() noexcept {}

        transfer* owner = nullptr;
        std::size_t index = 0;
        transfer_part what;
        // Under the transfer's lock: a cancellation may look for the stream while the part ends.
        lease held;
        std::shared_ptr<multi_range_downloader> stream;

        byte_range range() const noexcept override { return what.range; }
        bool tail() const noexcept override { return what.tail; }
        std::uint32_t take(
            std::uint64_t position, std::span<const std::byte> bytes, std::uint32_t crc
        ) noexcept override;
        std::span<std::byte> prepare(std::uint64_t position, std::size_t most) noexcept override;
        void done(const range_outcome& outcome) noexcept override;
        void granted(lease granted) noexcept override;
        void answered(const failure& why) noexcept override;
    };

    void set_parts(transfer_parts parts);

    /// Nothing of it is left. Once, from any thread, under no lock.
    virtual void transferred() noexcept = 0;
    /// Whether the memory of the parts may be written. Asked before each write, on any thread.
    virtual bool touch() noexcept { return true; }
    virtual std::shared_ptr<transfer> self() noexcept = 0;

    template <class Event>
    auto feed(Event&& event) noexcept {
        const std::lock_guard lock(mutex_);
        return event(machine_);
    }
    void perform(part& p, const fsm::transfer_step& step) noexcept;
    void acquire(part& p) noexcept;
    void read(part& p) noexcept;
    void end(part& p, const range_outcome& how) noexcept;
    void cancel_parts() noexcept;
    void finish() noexcept;

    std::shared_ptr<pool_core> pool_;
    std::shared_ptr<multi_range_downloader> stream_;
    std::shared_ptr<stream_listener> owner_;
    std::optional<part> single_;
    std::unique_ptr<part[]> several_;
    part* parts_ = nullptr;  // one of these

    runtime::mutex mutex_;  // of what follows, and of what the parts hold
    fsm::transfer_fsm machine_{0, false};
};

}  // namespace rangeio::engine
