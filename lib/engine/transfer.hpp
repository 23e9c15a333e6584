#pragma once

#include <rangeio/multi_range_downloader.hpp>

#include "engine/pool_core.hpp"
#include "engine/scatter.hpp"
#include "runtime/mutex.hpp"
#include "runtime/operation.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

namespace rangeio::engine {

/// One range to read, and where its bytes go.
struct transfer_part {
    byte_range range;
    std::byte* memory = nullptr;          // for all of them
    std::shared_ptr<const scatter> into;  // or: by the ranges that were joined; the others are dropped
    bool tail = false;                    // see range_read
};

/// Several ranges of one object, read at once: one counter and one wake-up, no coroutine for each.
///
/// When a part fails the others are cancelled, and awaited: no work survives the operation.
class transfer final : public runtime::operation {
public:
    /// Each part on a stream leased from `pool`.
    transfer(std::shared_ptr<pool_core> pool, std::vector<transfer_part> parts);
    /// All parts on one stream. With `owner` it is a fresh one, which is opened with them and closed after
    /// them.
    transfer(
        std::shared_ptr<multi_range_downloader> stream,
        std::shared_ptr<stream_listener> owner,
        std::vector<transfer_part> parts
    );
    ~transfer() override;

    void cancel(const failure& why) noexcept override;

    // The result, once complete.
    const failure& why() const noexcept { return why_; }
    std::size_t parts() const noexcept { return size_; }
    /// Right bytes at the front of part `index`.
    std::uint64_t received(std::size_t index) const noexcept;
    /// Where part `index` begins in the object; of a tail 0 if nothing came.
    std::uint64_t offset(std::size_t index) const noexcept;

private:
    struct part;

    transfer(
        std::shared_ptr<pool_core> pool,
        std::shared_ptr<multi_range_downloader> stream,
        std::shared_ptr<stream_listener> owner,
        std::vector<transfer_part> parts
    );

    void start() noexcept override;
    void reject(const failure& why) noexcept override { why_ = why; }
    void begin(part& p) noexcept;
    void send(part& p) noexcept;
    void finish(part& p, const range_outcome& how) noexcept;
    void one_less() noexcept;
    void end() noexcept;
    void cancel_parts() noexcept;
    std::shared_ptr<transfer> self() { return std::static_pointer_cast<transfer>(shared_from_this()); }

    const std::shared_ptr<pool_core> pool_;
    const std::shared_ptr<multi_range_downloader> stream_;
    const std::shared_ptr<stream_listener> owner_;
    const std::size_t size_;
    std::unique_ptr<part[]> parts_;

    runtime::mutex mutex_;
    bool started_ = false;   // every part has been begun
    std::size_t remaining_;  // parts; with the last one it is too late to cancel
    failure why_;            // of the first part that failed, or of the cancellation
};

}  // namespace rangeio::engine
