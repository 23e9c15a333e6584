#include <rangeio/readahead_cache.hpp>

#include "engine/pool_core.hpp"
#include "engine/readahead_core.hpp"
#include "engine/reads.hpp"
#include "error_text.hpp"
#include "runtime/mutex.hpp"
#include "runtime/operation.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/container/static_vector.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <utility>

namespace rangeio {
namespace engine {

namespace {

using readahead_ptr = std::shared_ptr<readahead_core>;

error_value no_cache() noexcept {
    return described(errc::invalid_argument, "readahead cache: none (default-constructed or moved from)");
}

std::shared_ptr<pool_core> pool_of(const readahead_ptr& cache) noexcept {
    return cache == nullptr ? nullptr : cache->pool();
}

readahead_block make_block(std::uint64_t begin, std::uint64_t length) {
    if (length == 0) return {byte_range(begin, 0), nullptr};
    return {byte_range(begin, length), std::make_shared_for_overwrite<std::byte[]>(length)};
}

/// Limits a block to the bytes that the object has, which may be known only now: it must not keep much more memory.
void trim(readahead_block& block, std::uint64_t end) noexcept {
    const std::uint64_t room = block.range.length();
    block.range = block.range.clamp_to(end);
    if (block.range.length() > room / 2) return;
    // Without memory the larger one is kept.
    (void)guarded([&block] {
        const readahead_block larger = block;
        block = make_block(larger.range.offset(), larger.range.length());
        if (!larger.range.empty()) {
            std::memcpy(block.memory.get(), larger.memory.get(), larger.range.length());
        }
        return error_value();
    });
}

/// A read through a cache: what the window has, then, on a miss, one request for the rest and the block behind it.
///
/// The request is a read of the reader: an operation of its own, on the same executor. Its end is that of this one,
/// unless this one is cancelled first.
class readahead_read : public runtime::operation {
public:
    readahead_read(const readahead_read&) = delete;
    readahead_read& operator=(const readahead_read&) = delete;
    ~readahead_read() override { leave(); }

    using runtime::operation::executor;
    /// The request has ended, with `bytes` bytes.
    void requested(const error_value& why, std::size_t bytes) noexcept;

protected:
    readahead_read(readahead_ptr cache, std::uint64_t offset, std::uint64_t length)
        : cache_(std::move(cache)), offset_(offset), length_(length) {}

    /// The bytes of a read that has not failed.
    const auto& slices() const noexcept { return slices_; }
    /// Whether one slice is enough.
    virtual bool lends() const noexcept { return false; }

    /// The end of the read. Once.
    error_value finish() noexcept {
        leave();
        return why_;
    }

private:
    void start() noexcept override;
    error_value request(byte_range rest, std::uint64_t end);
    void stop(const error_value& why) noexcept override;
    void reject(const error_value& why) noexcept override { why_ = why; }

    byte_range take_kept(byte_range range) noexcept;
    std::shared_ptr<runtime::operation> take_request() noexcept;
    void end(const error_value& why) noexcept {
        why_ = why;
        complete();
    }
    void leave() noexcept {
        if (std::exchange(entered_, false)) cache_->leave();
    }

    const readahead_ptr cache_;
    const std::uint64_t offset_;
    const std::uint64_t length_;
    bool entered_ = false;
    boost::container::static_vector<byte_slice, 3> slices_;  // two of the window, one of the request
    readahead_block required_, ahead_;                       // of the request
    error_value why_;

    runtime::mutex mutex_;
    std::shared_ptr<runtime::operation> request_;
};

/// The handler of the request.
class readahead_handler {
public:
    using executor_type = asio::any_io_executor;

    explicit readahead_handler(std::shared_ptr<readahead_read> of) noexcept : of_(std::move(of)) {}

    executor_type get_executor() const noexcept { return of_->executor(); }
    void complete(const error_value& why, std::size_t bytes) noexcept { of_->requested(why, bytes); }

private:
    std::shared_ptr<readahead_read> of_;
};

}  // namespace
}  // namespace engine

template <>
inline constexpr bool detail::takes_error_value<engine::readahead_handler> = true;

namespace engine {
namespace {

void readahead_read::start() noexcept {
    if (cache_ == nullptr) return end(no_cache());
    if (length_ == 0) return end({});
    if (const error_value why = cache_->enter()) return end(why);
    entered_ = true;
    const std::uint64_t offset = std::min(offset_, byte_range::max_end);
    const byte_range range(offset, std::min(length_, byte_range::max_end - offset));
    if (range.empty()) return end(make_error_code(asio::error::eof));  // no object has bytes there
    const auto known = cache_->pool()->info();
    // A read at the end is for the reader: it is eof, or waits for the object to grow.
    const bool inside = known != nullptr && offset < known->size;
    const std::uint64_t end_of_object = inside ? known->size : byte_range::max_end;
    const byte_range rest = take_kept(range.clamp_to(end_of_object));
    if (!slices_.empty() && (rest.empty() || lends())) {
        cache_->count_hit();
        return end({});
    }
    if (const error_value why = guarded([&] { return request(rest, end_of_object); })) end(why);
}

/// Returns what is not kept.
byte_range readahead_read::take_kept(byte_range range) noexcept {
    const readahead_window window = cache_->window();
    for (;;) {
        byte_slice part = window.front_of(range);
        if (part.empty()) return range;
        range = byte_range::from_to(range.offset() + part.size(), range.end());
        slices_.push_back(std::move(part));
        if (lends()) return range;
    }
}

// One read of the reader, into two memories: two at once could be taken for two steps of a scan.
error_value readahead_read::request(byte_range rest, std::uint64_t end) {
    const std::uint64_t block = cache_->block_bytes();
    const std::uint64_t length = lends() ? std::min(rest.length(), block) : rest.length();
    const std::uint64_t begin = rest.offset() + length;
    required_ = make_block(rest.offset(), length);
    ahead_ = make_block(begin, std::min(block, end - begin));
    const std::array memory{
        asio::mutable_buffer(required_.memory.get(), required_.range.length()),
        asio::mutable_buffer(ahead_.memory.get(), ahead_.range.length())
    };
    auto read = reader_access::read(cache_->reader(), rest.offset(), detail::destination::of(memory));
    // A cancellation comes after this, and so does the end of the request.
    request_ = std::static_pointer_cast<runtime::operation>(read.operation());
    read(readahead_handler(std::static_pointer_cast<readahead_read>(shared_from_this())));
    return {};
}

void readahead_read::requested(const error_value& why, std::size_t bytes) noexcept {
    if (take_request() == nullptr) return;
    if (why) {
        if (why.code() != asio::error::eof) cache_->count_miss();
        return end(why);
    }
    const std::uint64_t arrived = required_.range.offset() + bytes;
    trim(required_, arrived);
    trim(ahead_, arrived);
    slices_.push_back(required_.slice(required_.range));
    cache_->replace({std::move(required_), std::move(ahead_)}, bytes);
    end({});
}

// Does not wait for the end of the request, whose memory the request keeps: a context that shuts down runs no handlers.
void readahead_read::stop(const error_value& why) noexcept {
    const auto request = take_request();
    if (request == nullptr) return;
    request->cancel(why);
    cache_->count_miss();
    error_value end_by = why;
    (void)guarded([&] {
        const byte_range asked = byte_range::from_to(required_.range.offset(), ahead_.range.end());
        end_by = why.with_context(cache_->pool()->object().to_string() + naming(asked));
        return error_value();
    });
    end(end_by);
}

/// Not null once: for the caller that ends the read.
std::shared_ptr<runtime::operation> readahead_read::take_request() noexcept {
    const std::lock_guard lock(mutex_);
    return std::exchange(request_, nullptr);
}

/// Into the caller's memory, which is written here only.
class readahead_copy final : public readahead_read, public detail::outcome_of<std::size_t> {
public:
    readahead_copy(readahead_ptr cache, std::uint64_t offset, detail::destination destination)
        : readahead_read(std::move(cache), offset, destination.size()),
          destination_(std::move(destination)) {}

    error_value outcome(std::size_t& bytes) noexcept override {
        bytes = 0;
        const error_value why = finish();
        if (why) return why;
        for (const byte_slice& slice : slices()) {
            copy_into(destination_, bytes, slice.span());
            bytes += slice.size();
        }
        return why;
    }

private:
    const detail::destination destination_;
};

/// Of one block, which is lent to the caller.
class readahead_loan final : public readahead_read, public detail::outcome_of<byte_slice> {
public:
    readahead_loan(readahead_ptr cache, std::uint64_t offset, std::size_t max)
        : readahead_read(std::move(cache), offset, max) {}

    error_value outcome(byte_slice& block) noexcept override {
        const error_value why = finish();
        if (!why && !slices().empty()) block = slices().front();
        return why;
    }

private:
    bool lends() const noexcept override { return true; }
};

}  // namespace
}  // namespace engine

namespace {

object_reader reader_without_prefetching(auto&& pool) {
    return object_reader(std::forward<decltype(pool)>(pool), reader_options().prefetch(prefetching::off));
}

}  // namespace

readahead_cache::readahead_cache() noexcept = default;

readahead_cache::readahead_cache(const mrd_pool& pool, readahead_options options)
    : readahead_cache(reader_without_prefetching(pool), options) {}

readahead_cache::readahead_cache(mrd_pool&& pool, readahead_options options)
    : readahead_cache(reader_without_prefetching(std::move(pool)), options) {}

readahead_cache::readahead_cache(object_reader&& reader, readahead_options options)
    : core_(std::make_shared<engine::readahead_core>(std::move(reader), options)) {}

readahead_cache& readahead_cache::operator=(readahead_cache&& other) noexcept {
    if (this == &other) return *this;
    const auto old = std::exchange(core_, std::move(other.core_));
    if (old != nullptr) old->close_now();
    return *this;
}

readahead_cache::~readahead_cache() {
    if (core_ != nullptr) core_->close_now();
}

readahead_cache::executor_type readahead_cache::get_executor() const noexcept {
    return engine::executor_of(engine::pool_of(core_));
}

readahead_stats readahead_cache::stats() const {
    return core_ == nullptr ? readahead_stats() : core_->stats();
}

detail::initiation<std::size_t> readahead_cache::read_some_at(
    std::uint64_t offset, detail::destination destination
) {
    const auto op = std::make_shared<engine::readahead_copy>(core_, offset, std::move(destination));
    return runtime::to_initiate<std::size_t>(op, get_executor());
}

detail::initiation<byte_slice> readahead_cache::read_block_at(std::uint64_t offset, std::size_t max) {
    const auto op = std::make_shared<engine::readahead_loan>(core_, offset, max);
    return runtime::to_initiate<byte_slice>(op, get_executor());
}

detail::initiation<void> readahead_cache::close() {
    object_reader none;
    return engine::reader_access::close(core_ == nullptr ? none : core_->reader());
}

}  // namespace rangeio
