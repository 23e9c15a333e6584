#include "emulator/store/stored_object.hpp"

#include <rangeio/crc32c.hpp>

#include "emulator/protocol/status.hpp"
#include "emulator/store/file_error.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

namespace rangeio::emulator {
namespace {

// About 1 ms of work.
constexpr std::int64_t max_quick_bytes = std::int64_t{8} << 20;
// About 20 ms.
constexpr std::int64_t max_cheap_bytes = std::int64_t{64} << 20;
constexpr int max_cheap_parts = 1000;
// The bytes that are read between two checks of the file's state.
constexpr std::int64_t piece_bytes = std::int64_t{1} << 20;

std::int64_t nanoseconds(const timespec& t) noexcept {
    return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

std::uint32_t extend_by_zeros(std::uint32_t crc, std::int64_t zeros) noexcept {
    return ~crc32c_combine(~crc, 0, static_cast<std::uint64_t>(zeros));
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
      finalized_(finalized),
      cheap_(has_little_data()) {}

std::shared_ptr<const stored_object> stored_object::before(std::int64_t bytes) const {
    unique_fd file(::fcntl(file_.get(), F_DUPFD_CLOEXEC, 0));
    if (!file) throw_errno(errno, display_name_, "object");
    file_identity then = identity_;
    then.size -= std::min(then.size, bytes);
    return std::make_shared<const stored_object>(
        display_name_, std::move(file), then, generation_, finalized_
    );
}

void stored_object::read(std::int64_t offset, std::span<std::byte> out) const {
    while (!out.empty()) {
        const ssize_t got = ::pread(file_.get(), out.data(), out.size(), offset);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;  // the file was truncated, or cannot be read any more
        offset += got;
        out = out.subspan(static_cast<std::size_t>(got));
    }
    // Checked after the read, which proves that these bytes are those of the generation.
    check();
    if (!out.empty()) {
        throw call_error(
            status_code::internal, fmt::format("{}: byte {} cannot be read", display_name_, offset)
        );
    }
}

void stored_object::check() const {
    struct stat st{};
    const bool readable = ::fstat(file_.get(), &st) == 0;
    const file_identity now = file_identity::of(st);
    // An unfinalized object grows while it is read; a finalized one may lose its name (which changes the time of
    // change) but not its bytes.
    const bool intact =
        finalized_ ? now.size == size() && now.modified_ns == identity_.modified_ns : now.size >= size();
    if (!readable || !intact) {
        throw call_error(
            status_code::not_found,
            fmt::format(
                "{}: generation {} is lost: its file was modified in place", display_name_, generation_
            )
        );
    }
}

template <class Part>
void stored_object::for_each_part(Part part) const {
    std::int64_t end = 0;
    while (end < size()) {
        // A file system that does not support holes reports data everywhere; one that fails is treated in the same way.
        std::int64_t begin = ::lseek(file_.get(), end, SEEK_DATA);
        if (begin < 0) begin = errno == ENXIO ? size() : end;
        if (begin >= size()) return;
        end = ::lseek(file_.get(), begin, SEEK_HOLE);
        if (end <= begin || end > size()) end = size();
        if (!part(begin, end)) return;
    }
}

bool stored_object::has_little_data() const {
    if (size() <= max_cheap_bytes) return true;
    std::int64_t bytes = 0;
    int parts = 0;
    for_each_part([&](std::int64_t begin, std::int64_t end) {
        bytes += end - begin;
        return ++parts <= max_cheap_parts && bytes <= max_cheap_bytes;
    });
    return parts <= max_cheap_parts && bytes <= max_cheap_bytes;
}

bool stored_object::checksum_is_quick() const noexcept {
    return size() <= max_quick_bytes || known_.load(std::memory_order_acquire);
}

std::optional<std::uint32_t> stored_object::checksum() const {
    if (!checksum_is_quick()) return std::nullopt;
    compute_checksum([] { return false; });
    return checksum_;
}

void stored_object::compute_checksum(const std::function<bool()>& give_up) const {
    std::call_once(once_, [&] {
        std::uint32_t crc = 0;
        std::int64_t done = 0;
        std::vector<std::byte> piece(static_cast<std::size_t>(std::min(piece_bytes, size())));
        for_each_part([&](std::int64_t begin, std::int64_t end) {
            crc = extend_by_zeros(crc, begin - done);
            for (std::int64_t at = begin; at < end; at += piece_bytes) {
                if (give_up()) {
                    throw call_error(status_code::aborted, "the checksum is no longer needed");
                }
                const auto bytes =
                    std::span(piece).first(static_cast<std::size_t>(std::min(piece_bytes, end - at)));
                read(at, bytes);
                crc = crc32c_extend(crc, bytes);
            }
            done = end;
            return true;
        });
        check();
        checksum_ = extend_by_zeros(crc, size() - done);
        known_.store(true, std::memory_order_release);
    });
}

}  // namespace rangeio::emulator
