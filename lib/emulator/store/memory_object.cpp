#include "emulator/store/memory_object.hpp"

#include "emulator/protocol/status.hpp"

#include <fmt/format.h>

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

namespace rangeio::emulator {
namespace {

constexpr std::int64_t copy_piece_bytes = std::int64_t{1} << 20;
constexpr std::int64_t growth_modulus = 251;

[[noreturn]] void fail(const stored_object& old) {
    throw call_error(
        status_code::resource_exhausted,
        fmt::format("{}: no memory for a changed copy: {}", old.display_name(), std::strerror(errno))
    );
}

// A file without a name, in memory.
class anonymous_file {
public:
    explicit anonymous_file(const stored_object& like)
        : like_(like), fd_(::memfd_create("rangeio-emulator", MFD_CLOEXEC)) {
        if (!fd_) fail(like_);
    }

    void append(std::span<const std::byte> bytes) {
        while (!bytes.empty()) {
            const ssize_t written = ::write(fd_.get(), bytes.data(), bytes.size());
            if (written < 0) fail(like_);
            bytes = bytes.subspan(static_cast<std::size_t>(written));
        }
    }

    /// Appends a copy of the old object, with each byte changed.
    template <class Change>
    void append_copy(Change change) {
        std::vector<std::byte> piece;
        for (std::int64_t at = 0; at < like_.size(); at += copy_piece_bytes) {
            piece.resize(static_cast<std::size_t>(std::min(copy_piece_bytes, like_.size() - at)));
            like_.read(at, piece);
            std::ranges::transform(piece, piece.begin(), change);
            append(piece);
        }
    }

    file_identity identity() const {
        struct stat st{};
        if (::fstat(fd_.get(), &st) != 0) fail(like_);
        return file_identity::of(st);
    }

    object_ptr object(std::int64_t generation) {
        const file_identity now = identity();
        return std::make_shared<const stored_object>(
            like_.display_name(), std::move(fd_), now, generation, like_.finalized()
        );
    }

private:
    const stored_object& like_;
    unique_fd fd_;
};

}  // namespace

object_ptr complement_of(const stored_object& old) {
    anonymous_file file(old);
    file.append_copy([](std::byte b) { return ~b; });
    return file.object(std::max(file.identity().changed_ns, old.generation() + 1));
}

object_ptr grown(const stored_object& old, std::int64_t bytes) {
    anonymous_file file(old);
    file.append_copy([](std::byte b) { return b; });
    std::vector<std::byte> piece;
    for (std::int64_t at = old.size(); at < old.size() + bytes; at += copy_piece_bytes) {
        piece.resize(static_cast<std::size_t>(std::min(copy_piece_bytes, old.size() + bytes - at)));
        for (std::size_t i = 0; i < piece.size(); ++i) {
            piece[i] = static_cast<std::byte>((at + static_cast<std::int64_t>(i)) % growth_modulus);
        }
        file.append(piece);
    }
    return file.object(old.generation());
}

}  // namespace rangeio::emulator
