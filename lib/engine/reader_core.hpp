#pragma once

#include <rangeio/error.hpp>
#include <rangeio/fetch_options.hpp>
#include <rangeio/object_reader.hpp>

#include "engine/budget_core.hpp"
#include "engine/pool_core.hpp"
#include "engine/prefetcher.hpp"
#include "runtime/mutex.hpp"

#include <boost/intrusive/list.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace rangeio::engine {

/// A read through a reader, or a unit that it fetches ahead, as far as the reader knows it.
class reader_entry : public boost::intrusive::list_base_hook<boost::intrusive::tag<class reader_core>> {
public:
    virtual ~reader_entry() = default;

    /// Ends it early. On any thread.
    virtual void abandon() noexcept = 0;
    /// Keeps it alive; null if it is being destroyed.
    virtual std::shared_ptr<void> keep() noexcept = 0;

private:
    friend class reader_core;
    bool inside_ = false;
    bool abandoned_ = false;
};

/// Is called when the reads and units of a closed reader have ended.
class reader_closer {
public:
    virtual void reads_ended(const error_value& why) noexcept = 0;

protected:
    ~reader_closer() = default;
};

/// Shared by the handle of a reader and its operations: the position, the reads under way, the end.
class reader_core : public std::enable_shared_from_this<reader_core> {
public:
    /// `owned`: the handle of the pool if it belongs to the reader, or empty.
    reader_core(std::shared_ptr<pool_core> pool, mrd_pool owned, reader_options options);

    const std::shared_ptr<pool_core>& pool() const noexcept { return pool_; }
    const reader_options& options() const noexcept { return options_; }
    bool owns_pool() const noexcept { return owns_pool_; }
    const std::shared_ptr<budget_core>& budget() const noexcept { return budget_; }
    /// For the budget.
    fsm::reader_id id() const noexcept { return id_; }
    /// Null if the reader does not fetch ahead.
    prefetcher* prefetch() noexcept { return prefetch_ ? &*prefetch_ : nullptr; }

    /// A read begins. Without `at` it begins at the position, which no other read has until release().
    error_value enter(reader_entry& read, std::optional<std::uint64_t> at, std::uint64_t& offset) noexcept;
    /// A fetch of a unit begins.
    error_value enter_unit(reader_entry& unit) noexcept {
        std::uint64_t nowhere = 0;
        return enter(unit, 0, nowhere);
    }
    /// Nothing of the read, or unit, is under way any more. No effect on one that is not inside.
    void leave(reader_entry& read) noexcept;
    /// A read from the position has completed, at `position` if it succeeded.
    void release(std::optional<std::uint64_t> position) noexcept;

    error_value seek(std::int64_t offset, seek_basis from, std::uint64_t& position) noexcept;
    std::uint64_t tell() const noexcept;

    /// Ends the reads and units, and refuses others.
    void close() noexcept;
    bool closed() const noexcept;
    /// Reports the end of the reads of a closed reader, at once or later.
    void when_reads_end(std::shared_ptr<reader_closer> who);
    /// Reports `why` instead, unless the report was made.
    void cancel(const reader_closer& who, const error_value& why) noexcept;
    /// As close(), also of an owned pool: the handle of the reader is gone.
    void close_now() noexcept;

    void advise(footer hint) noexcept;
    std::uint64_t advised_footer() const noexcept;
    void will_need(std::span<const byte_range> ranges);
    /// The object is known: fetches what was announced before. Costs nothing if that is nothing.
    void use_announced(std::uint64_t size) noexcept;
    /// The end of the object, for reads to come.
    void keep_footer(std::shared_ptr<const object_tail> bytes) noexcept;
    /// Null if none is kept.
    std::shared_ptr<const object_tail> footer_kept() const noexcept;

private:
    using entries = boost::intrusive::list<
        reader_entry,
        boost::intrusive::base_hook<boost::intrusive::list_base_hook<boost::intrusive::tag<reader_core>>>,
        boost::intrusive::constant_time_size<false>>;

    const std::shared_ptr<pool_core> pool_;
    const reader_options options_;
    const bool owns_pool_;
    const std::shared_ptr<budget_core> budget_;
    const fsm::reader_id id_;
    std::optional<prefetcher> prefetch_;

    mutable runtime::mutex mutex_;
    mrd_pool owned_;
    entries inside_;
    std::uint64_t position_ = 0;
    bool in_use_ = false;  // the position, by a read
    bool closed_ = false;
    std::vector<std::shared_ptr<reader_closer>> closers_;
    std::uint64_t advised_footer_ = 0;
    std::vector<byte_range> announced_;  // before the object was known
    std::atomic<bool> has_announced_ = false;
    std::shared_ptr<const object_tail> footer_;
};

/// The failure of every operation on a handle without a reader.
error_value no_reader() noexcept;

}  // namespace rangeio::engine
