#include "emulator/stored_object.hpp"

#include <rangeio/crc32c.hpp>

#include "emulator/status.hpp"

#include <fmt/format.h>

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

namespace rangeio::emulator {
namespace {

constexpr std::int64_t block_bytes = std::int64_t{64} << 10;
// Set in the word of a block whose checksum is in its low half.
constexpr std::uint64_t known = std::uint64_t{1} << 32;
// About a millisecond of work.
constexpr std::int64_t max_cheap_bytes = std::int64_t{8} << 20;
// How much is read between two looks at the file's state.
constexpr std::int64_t check_every_blocks = 32;

std::int64_t nanoseconds(const timespec& t) noexcept {
    return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

}  // namespace

file_identity file_identity::of(const struct stat& st) noexcept {
    return {st.st_dev, st.st_ino, std::int64_t{st.st_size}, nanoseconds(st.st_mtim), nanoseconds(st.st_ctim)};
}

stored_object::stored_object(
    std::string display_name,
    unique_fd file,
    const file_identity& identity,
    std::int64_t generation,
    bool finalized
)
    : display_name_(std::move(display_name)),
      file_(std::move(file)),
      identity_(identity),
      generation_(generation),
      finalized_(finalized) {
    if (size() == 0) {
        return;
    }
    const auto blocks = static_cast<std::size_t>((size() + block_bytes - 1) / block_bytes);
    blocks_.reset(static_cast<std::uint64_t*>(std::calloc(blocks, sizeof(std::uint64_t))));
    if (!blocks_) {
        throw std::bad_alloc();
    }
    void* const mapped =
        ::mmap(nullptr, static_cast<std::size_t>(size()), PROT_READ, MAP_SHARED, file_.get(), 0);
    if (mapped == MAP_FAILED) {
        throw call_error(
            status_code::resource_exhausted,
            fmt::format("{}: cannot map the file: {}", display_name_, std::strerror(errno))
        );
    }
    data_ = static_cast<const std::byte*>(mapped);
}

stored_object::~stored_object() {
    if (data_ != nullptr) {
        ::munmap(const_cast<std::byte*>(data_), static_cast<std::size_t>(size()));
    }
}

std::span<const std::byte> stored_object::bytes(std::int64_t offset, std::int64_t length) const noexcept {
    return {data_ + offset, static_cast<std::size_t>(length)};
}

void stored_object::check() const {
    struct stat st{};
    const bool readable = ::fstat(file_.get(), &st) == 0;
    const file_identity now = file_identity::of(st);
    // An unfinalized object grows under its readers; a finalized one may lose its name (which changes the
    // time of change) but not its bytes.
    const bool intact =
        finalized_ ? now.size == size() && now.modified_ns == identity_.modified_ns : now.size >= size();
    if (!readable || !intact) {
        throw call_error(
            status_code::not_found,
            fmt::format(
                "{}: generation {} is gone: its file was modified in place", display_name_, generation_
            )
        );
    }
}

std::uint32_t stored_object::block_checksum(std::int64_t block) const {
    const std::atomic_ref<std::uint64_t> word(blocks_[static_cast<std::size_t>(block)]);
    if (const std::uint64_t value = word.load(std::memory_order_relaxed); (value & known) != 0) {
        return static_cast<std::uint32_t>(value);
    }
    const std::int64_t offset = block * block_bytes;
    const std::uint32_t crc = crc32c(bytes(offset, std::min(block_bytes, size() - offset)));
    word.store(known | crc, std::memory_order_relaxed);
    return crc;
}

std::uint32_t stored_object::checksum(std::int64_t offset, std::int64_t length) const {
    const std::int64_t end = offset + length;
    std::uint32_t crc = 0;
    while (offset < end) {
        const std::int64_t block = offset / block_bytes;
        const std::int64_t block_end = std::min((block + 1) * block_bytes, size());
        const std::int64_t piece = std::min(end, block_end) - offset;
        if (piece == block_end - block * block_bytes) {
            crc = crc32c_combine(crc, block_checksum(block), static_cast<std::uint64_t>(piece));
        } else {
            crc = crc32c_extend(crc, bytes(offset, piece));
        }
        offset += piece;
    }
    return crc;
}

std::uint32_t stored_object::checksum(const std::stop_token& stop) const {
    std::call_once(whole_once_, [&] {
        const std::int64_t step = check_every_blocks * block_bytes;
        std::uint32_t crc = 0;
        for (std::int64_t offset = 0; offset < size(); offset += step) {
            if (stop.stop_requested()) {
                throw call_error(status_code::aborted, "the emulator is shutting down");
            }
            check();
            const std::int64_t piece = std::min(step, size() - offset);
            crc = crc32c_combine(crc, checksum(offset, piece), static_cast<std::uint64_t>(piece));
        }
        whole_ = crc;
        whole_known_.store(true, std::memory_order_release);
    });
    return whole_;
}

bool stored_object::checksum_is_cheap() const noexcept {
    return size() <= max_cheap_bytes || whole_known_.load(std::memory_order_acquire);
}

}  // namespace rangeio::emulator
