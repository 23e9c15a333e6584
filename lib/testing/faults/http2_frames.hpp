#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace rangeio::testing {

/// Finds the ends of HTTP/2 frames in the bytes of a client, so that another frame can be put between two.
class http2_frames {
public:
    /// The number of these bytes before the first place at which another frame may stand; npos: there is none. All of
    /// them count as sent.
    std::size_t take(std::string_view bytes) {
        std::size_t first = std::string_view::npos;
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            take(static_cast<std::uint8_t>(bytes[i]));
            if (between() && first == std::string_view::npos) first = i + 1;
        }
        return first;
    }
    /// Whether another frame may stand after all bytes so far.
    bool between() const noexcept { return open_ && left_ == 0 && header_bytes_ == 0; }

private:
    void take(std::uint8_t byte) {
        if (left_ != 0) {
            --left_;
            return;
        }
        header_[header_bytes_++] = byte;
        if (header_bytes_ < header_.size()) return;
        header_bytes_ = 0;
        left_ = std::size_t{header_[0]} << 16 | std::size_t{header_[1]} << 8 | header_[2];
        constexpr std::uint8_t end_headers = 4;
        switch (header_[3]) {
            case 1:                                                  // HEADERS
            case 9: open_ = (header_[4] & end_headers) != 0; break;  // CONTINUATION: no frame in between
            case 4: open_ = true; break;                             // SETTINGS: the first frame
            default: break;
        }
    }

    std::array<std::uint8_t, 9> header_{};
    std::size_t header_bytes_ = 0;
    std::size_t left_ = 24;  // of the preface, then of a payload
    bool open_ = false;
};

}  // namespace rangeio::testing
