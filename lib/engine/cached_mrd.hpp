#pragma once

#include <rangeio/multi_range_downloader.hpp>

#include "fsm/pool_cache_fsm.hpp"
#include "runtime/mutex.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

namespace rangeio::engine {

class pool_cache_core;

/// The factory of streams of a pool that belongs to a cache. It represents the pool in the cache: it is destroyed when
/// nothing of the pool is left.
class cached_factory final : public mrd_factory, public std::enable_shared_from_this<cached_factory> {
public:
    /// `fresh` makes the streams that the cache does not have.
    ///
    /// Throws: errc::pool_closed.
    cached_factory(
        std::shared_ptr<pool_cache_core> cache, std::shared_ptr<mrd_factory> fresh, const object_ref& object
    );
    cached_factory(const cached_factory&) = delete;
    cached_factory& operator=(const cached_factory&) = delete;
    ~cached_factory();

    std::shared_ptr<multi_range_downloader> create() override;
    bool supports_multi_request() const noexcept override { return fresh_->supports_multi_request(); }
    const object_ref& object() const noexcept override { return fresh_->object(); }
    stream_stats stats() const noexcept override { return fresh_->stats(); }
    std::shared_ptr<observer> observed_by() const noexcept override { return fresh_->observed_by(); }

    mrd_factory& fresh() const noexcept { return *fresh_; }

private:
    const std::shared_ptr<pool_cache_core> cache_;
    const std::shared_ptr<mrd_factory> fresh_;
    const fsm::pool_id pool_;
};

/// A pool's handle on a stream from the cache, or on a new one. When the pool closes the handle, the cache may keep the
/// stream.
///
/// Accepts ranges after `opened` only: a stream from the cache has sent its opening message already.
class cached_mrd final : public multi_range_downloader, public std::enable_shared_from_this<cached_mrd> {
public:
    cached_mrd(
        std::shared_ptr<pool_cache_core> cache, std::shared_ptr<cached_factory> factory, fsm::pool_id pool
    );

    void open(std::shared_ptr<stream_listener> owner) override;
    std::int64_t read(std::shared_ptr<range_sink> sink) override;
    void cancel(std::int64_t read_id, const error_value& why) noexcept override;
    void close(const error_value& why) noexcept override;
    std::uint64_t outstanding_bytes() const noexcept override;
    bool idle() const noexcept override;
    void reopen() noexcept override;
    void require(std::uint64_t size) noexcept override;
    std::shared_ptr<const object_info> info() const noexcept override;

    // For the cache, which calls them one at a time.
    mrd_factory& fresh() const noexcept { return factory_->fresh(); }
    stream_listener& owner() const noexcept { return *owner_; }
    void attach(std::shared_ptr<multi_range_downloader> stream) noexcept;
    /// The last call.
    void detach(const error_value& why) noexcept;

private:
    std::shared_ptr<multi_range_downloader> stream() const noexcept;

    const std::shared_ptr<pool_cache_core> cache_;
    const std::shared_ptr<cached_factory> factory_;
    const fsm::pool_id pool_;
    std::shared_ptr<stream_listener> owner_;
    std::shared_ptr<cached_mrd> under_way_;  // from open() to detach(): its address is its id in the cache

    mutable runtime::mutex mutex_;  // taken before the stream's own lock
    std::shared_ptr<multi_range_downloader> stream_;
    std::size_t reading_ = 0;     // callers inside stream_->read()
    std::uint64_t required_ = 0;  // the size of the object that the stream has to serve
    bool closed_ = false;
};

}  // namespace rangeio::engine
