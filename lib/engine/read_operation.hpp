#pragma once

#include <rangeio/error.hpp>
#include <rangeio/object.hpp>

#include "engine/fetch_plan.hpp"
#include "engine/pool_core.hpp"
#include "engine/transfer.hpp"
#include "runtime/mutex.hpp"
#include "runtime/operation.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace rangeio::engine {

/// Some ranges that are read at once.
struct read_round {
    transfer_parts parts;
    /// All on one stream of the pool, which continues with another call for them: one that reports the object anew.
    bool anew = false;
    /// No other round follows.
    bool last = true;
};

/// One read, of whatever form: check, open, then plan, transfer and validate, once or in several rounds. This has the order;
/// what derives from it has the rest, and the result.
///
/// The pool is opened, or a stream leased, by the same operation that transfers: it is cancelled and timed as one.
class read_operation : public runtime::operation, private pool_waiter {
public:
    read_operation(const read_operation&) = delete;
    read_operation& operator=(const read_operation&) = delete;

protected:
    /// Each part leases a stream from `pool`, which is opened if nobody has.
    explicit read_operation(std::shared_ptr<pool_core> pool);
    /// All parts are on `stream`, which is one of `pool`.
    read_operation(std::shared_ptr<pool_core> pool, std::shared_ptr<multi_range_downloader> stream);
    ~read_operation() override;

    /// Before anything starts: what is wrong with the arguments. May throw.
    virtual failure check() { return {}; }
    /// Appends the parts of the next round; none: there is nothing left to read. On any thread. May throw.
    virtual failure plan(read_round& round) = 0;
    /// What is wrong with what a round has brought, once all its parts have ended well. On any thread. May throw.
    virtual failure validate() { return {}; }
    /// What stands behind the object's name in errors.
    virtual std::string doing() const = 0;
    /// Whether the parts are memory of the caller. Always the same.
    virtual bool writes_to_caller() const noexcept { return true; }
    /// The object's name, where there is no pool.
    virtual std::string subject() const;

    /// How it ended, explained; for the outcome. The last round is validated by this.
    failure end() noexcept;

    /// In place of start(), for a stream that does not exist before: it is opened with the parts and closed after them.
    void use(std::shared_ptr<multi_range_downloader> stream, std::shared_ptr<stream_listener> owner) noexcept;
    void start() noexcept override;
    void reject(const failure& why) noexcept override { refused_ = why; }
    /// Nothing more is read.
    void refuse(const failure& why) noexcept;

    /// As the pool knew it before this round was planned; null on a stream that is not a pool's.
    const std::shared_ptr<const object_info>& object() const noexcept { return object_; }
    const std::shared_ptr<pool_core>& pool() const noexcept { return pool_; }
    /// Of the last round: right bytes at the front of a part, and where the part begins in the object.
    std::uint64_t received(std::size_t index) const noexcept;
    std::uint64_t offset(std::size_t index) const noexcept;
    bool has_read() const noexcept { return ended_ != nullptr; }
    /// validate_fetch() of what the last round has brought; sets `total` if nothing is wrong.
    failure validate_parts(
        byte_range asked,
        const range_list& parts,
        const object_info& object,
        bool allow_short,
        std::size_t& total
    ) const;
    /// After a failure: how many bytes at the front of the last round's parts are right and in their place.
    std::uint64_t prefix(const range_list& parts) const noexcept;

    /// Plans a round that reads nothing but the object's size, by a byte that is there or would be the first: whatever the
    /// size is, it can be asked for.
    void ask_size(read_round& round);

private:
    class running_round;

    void stop(const failure& why) noexcept override;
    bool untouched() noexcept override;
    void granted(lease granted) noexcept override;
    void answered(const failure& why) noexcept override;

    template <class Ask>
    void wait_for_pool(Ask ask) noexcept;
    void next_round() noexcept;
    void run(const std::shared_ptr<multi_range_downloader>& stream) noexcept;
    void round_over() noexcept;
    bool touch() noexcept;
    failure how_it_ended() noexcept;

    const std::shared_ptr<pool_core> pool_;
    std::shared_ptr<multi_range_downloader> stream_;
    std::shared_ptr<stream_listener> owner_;
    std::shared_ptr<const object_info> object_;
    read_round round_;
    lease held_;       // of a round that is read anew
    failure refused_;  // why it has not come to another round
    std::shared_ptr<running_round> ended_;
    std::byte probe_{};

    enum class memory_state : unsigned char { untouched, touched, forgone };
    std::atomic<memory_state> memory_ = memory_state::untouched;
    std::atomic<bool> dropped_ = false;  // bytes that came since it was forgone

    runtime::mutex mutex_;
    failure stop_;  // why it is to end
    std::shared_ptr<running_round> running_;
};

}  // namespace rangeio::engine
