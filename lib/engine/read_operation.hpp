#pragma once

#include <rangeio/error.hpp>
#include <rangeio/object.hpp>

#include "engine/pool_core.hpp"
#include "engine/transfer.hpp"
#include "runtime/mutex.hpp"
#include "runtime/operation.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace rangeio::engine {

/// Where the parts of a read take their streams from.
struct read_source {
    /// Each part leases one from `pool`, which is opened if nobody has.
    static read_source of(std::shared_ptr<pool_core> pool) {
        return {std::move(pool), nullptr, nullptr, false};
    }
    /// All are on one stream of `pool`, which continues with another call for them: one that reports the object anew.
    static read_source anew(std::shared_ptr<pool_core> pool) {
        return {std::move(pool), nullptr, nullptr, true};
    }
    /// All are on `stream`. With `owner` it is a fresh one, which is opened with them and closed after them.
    static read_source on(
        std::shared_ptr<multi_range_downloader> stream,
        std::shared_ptr<pool_core> pool,
        std::shared_ptr<stream_listener> owner
    ) {
        return {std::move(pool), std::move(stream), std::move(owner), false};
    }

    std::shared_ptr<pool_core> pool;
    std::shared_ptr<multi_range_downloader> stream;
    std::shared_ptr<stream_listener> owner;
    bool renews = false;
};

/// One read, of whatever form: check, open, plan, transfer, judge. `run_read` has the order; what derives from this has the
/// rest.
///
/// The pool is opened, or a stream leased, by the same operation that transfers: it is cancelled and timed as one.
class read_operation : public runtime::operation, private transfer, private pool_waiter {
public:
    read_operation(const read_operation&) = delete;
    read_operation& operator=(const read_operation&) = delete;

protected:
    /// `doing` stands behind the object's name in errors.
    read_operation(read_source from, std::string doing) : from_(std::move(from)), doing_(std::move(doing)) {}
    ~read_operation() override = default;

    /// What is wrong with the arguments, before anything starts.
    virtual failure check() { return {}; }
    /// Appends the parts; none: there is nothing to be read. On any thread.
    virtual failure plan(std::vector<transfer_part>& parts) = 0;
    /// What is wrong with what was received, once all parts have ended well.
    virtual failure judge() = 0;

    /// As the pool knew it when the parts were planned; null on a stream that is not a pool's, or not open.
    const std::shared_ptr<const object_info>& object() const noexcept { return object_; }
    using transfer::offset;
    using transfer::received;

    const std::shared_ptr<pool_core>& pool() const noexcept { return from_.pool; }
    /// Where only a part of the read is to blame.
    void blame(std::string doing) noexcept { doing_ = std::move(doing); }
    const std::string& doing() const noexcept { return doing_; }
    virtual failure explain(const failure& why) const { return from_.pool->explain(why, doing_); }

private:
    friend asio::awaitable<failure> run_read(
        std::shared_ptr<read_operation> op, std::chrono::nanoseconds timeout
    );

    void start() noexcept override;
    void stop(const failure& why) noexcept override;
    void reject(const failure& why) noexcept override { refused_ = why; }
    void granted(lease granted) noexcept override;
    void answered(const failure& why) noexcept override;
    void transferred() noexcept override { complete(); }
    std::shared_ptr<transfer> self() noexcept override;

    void begin(const std::shared_ptr<multi_range_downloader>& stream) noexcept;
    void refuse(const failure& why) noexcept;
    failure outcome();

    const read_source from_;
    std::string doing_;
    std::shared_ptr<const object_info> object_;
    lease held_;       // of one that renews
    failure refused_;  // why it has not come to a transfer
    bool empty_ = false;

    runtime::mutex mutex_;
    failure stop_;          // why it is to end
    bool reading_ = false;  // the transfer has its parts
};

/// Runs a read to its end, and returns what it failed with, explained. `timeout` is for all of it; see `await_operation`.
asio::awaitable<failure> run_read(std::shared_ptr<read_operation> op, std::chrono::nanoseconds timeout);

/// The same, for callers that are to get an exception.
asio::awaitable<void> run_read_or_throw(std::shared_ptr<read_operation> op, std::chrono::nanoseconds timeout);

}  // namespace rangeio::engine
