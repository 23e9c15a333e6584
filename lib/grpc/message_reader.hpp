#pragma once

#include "grpc/wire_reader.hpp"
#include "text.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace rangeio::wire {

/// Reads the fields of a contiguous message, and rejects strings that are not UTF-8, as protobuf's parser does. The
/// parser itself prints a line on the process's stderr for each of them.
///
/// Lifetimes: the message must outlive the last use.
class message_reader {
public:
    explicit message_reader(std::string_view message) noexcept
        : message_(message),
          whole_(reinterpret_cast<const std::byte*>(message.data()), message.size()),
          fields({&whole_, 1}) {}
    message_reader(const message_reader&) = delete;
    message_reader& operator=(const message_reader&) = delete;

    /// The content of a length-delimited field.
    std::string_view bytes() noexcept {
        const extent where = fields.bytes();
        return message_.substr(where.offset, where.size);
    }
    void text(std::string& out) {
        out = bytes();
        all_utf8_ = all_utf8_ && is_utf8(out);
    }
    /// The first error, a static string; null if there was none.
    const char* error() const noexcept {
        if (fields.error() != nullptr) return fields.error();
        return all_utf8_ ? nullptr : "a text that is not UTF-8";
    }

private:
    const std::string_view message_;
    const slice whole_;
    bool all_utf8_ = true;

public:
    wire_reader fields;
};

}  // namespace rangeio::wire
