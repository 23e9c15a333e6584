#pragma once

#include <rangeio/detail/destination.hpp>
#include <rangeio/detail/initiation.hpp>
#include <rangeio/error.hpp>
#include <rangeio/object_reader.hpp>
#include <rangeio/readahead_cache.hpp>

#include "engine/pool_core.hpp"
#include "engine/readahead_window.hpp"
#include "engine/reader_core.hpp"
#include "runtime/mutex.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

namespace rangeio::engine {

struct reader_access {
    static const std::shared_ptr<reader_core>& core(const object_reader& reader) noexcept {
        return reader.core_;
    }
    static detail::initiation<std::size_t> read(
        object_reader& reader, std::uint64_t offset, detail::destination into
    ) {
        return reader.read_some_at(offset, std::move(into));
    }
    static detail::initiation<void> close(object_reader& reader) { return reader.close(); }
};

/// Shared by the handle of a cache and its operations: the reader, the window, and whether a read is under way.
class readahead_core {
public:
    readahead_core(object_reader reader, readahead_options options);

    object_reader& reader() noexcept { return reader_; }
    const std::shared_ptr<pool_core>& pool() const noexcept { return state().pool(); }
    std::uint64_t block_bytes() const noexcept { return options_.block_bytes(); }

    /// A read begins: no other one may until leave().
    error_value enter() noexcept;
    void leave() noexcept;

    readahead_window window() const noexcept;
    void count_hit() noexcept;
    void count_miss() noexcept;
    /// After a miss, which has brought `bytes`.
    void replace(readahead_window window, std::uint64_t bytes) noexcept;
    readahead_stats stats() const noexcept;

    /// The handle of the cache is gone.
    void close_now() noexcept { state().close_now(); }

private:
    reader_core& state() const noexcept { return *reader_access::core(reader_); }

    object_reader reader_;
    const readahead_options options_;

    mutable runtime::mutex mutex_;
    bool in_use_ = false;
    readahead_window window_;
    readahead_stats stats_;
};

}  // namespace rangeio::engine
