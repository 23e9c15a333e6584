#include <rangeio/byte_range.hpp>
#include <rangeio/direct_buffer.hpp>
#include <rangeio/error.hpp>

#include <fmt/format.h>

#include <atomic>
#include <cstring>
#include <limits>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace rangeio {
namespace {

[[noreturn]] void misuse(std::string message) {
    throw error({errc::buffer_misuse, "direct_buffer: " + std::move(message)});
}

std::unique_ptr<std::byte[]> allocate_bytes(std::uint64_t size) {
    auto code = make_error_code(errc::invalid_argument);
    try {
        if (size <= std::uint64_t(std::numeric_limits<std::ptrdiff_t>::max())) {
            return std::make_unique_for_overwrite<std::byte[]>(static_cast<std::size_t>(size));
        }
    } catch (const std::bad_alloc&) {
        code = make_error_code(boost::system::errc::not_enough_memory);
    }
    throw error({code, fmt::format("direct_buffer: no memory for {} bytes", size)});
}

}  // namespace

struct direct_buffer::region {
    std::size_t begin;
    std::size_t end;  // under the mutex
    // The view's count, for a concurrent search for holes.
    std::atomic<std::size_t> written = 0;

    region(std::size_t b, std::size_t e) noexcept : begin(b), end(e) {}
};

struct direct_buffer::state {
    std::unique_ptr<std::byte[]> own;  // null if the memory is the caller's, or has been taken
    std::byte* const memory;
    const std::size_t size;
    // Commits add with release, readers load with acquire: a reader that sees the sum sees the bytes.
    std::atomic<std::size_t> written = 0;
    std::atomic<bool> closed = false;
    std::mutex mutex;                       // guards the map; commits do not lock it
    std::map<std::size_t, region> regions;  // the taken ones, by begin; disjoint, none is empty

    explicit state(std::span<std::byte> callers) noexcept : memory(callers.data()), size(callers.size()) {}
    state(std::unique_ptr<std::byte[]> block, std::size_t n) noexcept
        : own(std::move(block)), memory(own.get()), size(n) {}

    std::string first_hole() {
        const std::lock_guard lock(mutex);
        std::size_t hole = 0;
        for (const auto& [begin, taken] : regions) {
            const auto there = taken.written.load(std::memory_order_relaxed);
            if (there == 0) continue;
            if (begin > hole) return to_string(byte_range::from_to(hole, begin));
            hole = begin + there;
        }
        return to_string(byte_range::from_to(hole, size));
    }
};

direct_buffer::direct_buffer(std::uint64_t size)
    : state_(std::make_shared<state>(allocate_bytes(size), static_cast<std::size_t>(size))) {}

direct_buffer::direct_buffer(std::span<std::byte> memory) : state_(std::make_shared<state>(memory)) {}

direct_buffer::view direct_buffer::make_view(std::uint64_t offset, std::uint64_t length) {
    if (closed()) misuse(fmt::format("view of {} bytes at {}: the buffer is closed", length, offset));
    if (offset > size() || length > size() - offset) {
        misuse(fmt::format("view of {} bytes at {} exceeds {} bytes", length, offset, size()));
    }
    view made;
    if (length == 0) return made;
    const auto begin = static_cast<std::size_t>(offset);
    const auto end = begin + static_cast<std::size_t>(length);
    const std::lock_guard lock(state_->mutex);
    auto& regions = state_->regions;
    const auto after = regions.lower_bound(end);  // its predecessor is the last one that begins below `end`
    if (after != regions.begin()) {
        const region& other = std::prev(after)->second;
        if (other.end > begin) {
            misuse(fmt::format(
                "view {} overlaps {}, which is taken",
                to_string(byte_range::from_to(begin, end)),
                to_string(byte_range::from_to(other.begin, other.end))
            ));
        }
    }
    made.region_ = &regions.try_emplace(after, begin, begin, end)->second;
    made.state_ = state_;
    made.memory_ = state_->memory + begin;
    made.size_ = end - begin;
    return made;
}

std::size_t direct_buffer::size() const noexcept {
    return state_ ? state_->size : 0;
}

std::size_t direct_buffer::written() const noexcept {
    return state_ ? state_->written.load(std::memory_order_acquire) : 0;
}

bool direct_buffer::closed() const noexcept {
    return !state_ || state_->closed.load(std::memory_order_acquire);
}

std::span<const std::byte> direct_buffer::data() const {
    if (closed()) misuse("data: the buffer is closed");
    if (const auto there = written(); there != size()) {
        misuse(fmt::format(
            "{} of {} bytes are written; the first hole is {}", there, size(), state_->first_hole()
        ));
    }
    return {state_->memory, state_->size};
}

byte_block direct_buffer::take() && {
    const auto bytes = data();
    if (!state_->own) misuse(fmt::format("take: the {} bytes are the caller's", size()));
    close();
    return {std::move(state_->own), bytes.size()};
}

void direct_buffer::close() noexcept {
    if (state_) state_->closed.store(true, std::memory_order_release);
}

direct_buffer::view::view(view&& other) noexcept
    : state_(std::move(other.state_)),
      region_(std::exchange(other.region_, nullptr)),
      memory_(std::exchange(other.memory_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      written_(std::exchange(other.written_, 0)) {}

direct_buffer::view& direct_buffer::view::operator=(view&& other) noexcept {
    if (this == &other) return *this;
    release();
    state_ = std::move(other.state_);
    region_ = std::exchange(other.region_, nullptr);
    memory_ = std::exchange(other.memory_, nullptr);
    size_ = std::exchange(other.size_, 0);
    written_ = std::exchange(other.written_, 0);
    return *this;
}

direct_buffer::view::~view() {
    release();
}

std::span<std::byte> direct_buffer::view::prepare() const {
    check(0);
    return {memory_ + written_, size_ - written_};
}

void direct_buffer::view::commit(std::size_t n) {
    check(n);
    if (n == 0) return;
    written_ += n;
    region_->written.store(written_, std::memory_order_relaxed);
    state_->written.fetch_add(n, std::memory_order_release);
}

void direct_buffer::view::write(std::span<const std::byte> bytes) {
    check(bytes.size());
    if (bytes.empty()) return;
    std::memcpy(memory_ + written_, bytes.data(), bytes.size());
    commit(bytes.size());
}

void direct_buffer::view::check(std::size_t n) const {
    const auto begin = region_ ? region_->begin : 0;
    const auto where = [&] { return to_string(byte_range(begin, size_)); };
    if (state_ && state_->closed.load(std::memory_order_acquire)) {
        misuse(fmt::format("view {}: the buffer is closed", where()));
    }
    if (n > size_ - written_) {
        misuse(fmt::format("view {}: {} bytes given, {} of {} remain", where(), n, size_ - written_, size_));
    }
}

void direct_buffer::view::release() noexcept {
    if (complete()) return;
    const std::lock_guard lock(state_->mutex);
    if (written_ == 0) {
        state_->regions.erase(region_->begin);
    } else {
        region_->end = region_->begin + written_;
    }
}

}  // namespace rangeio
