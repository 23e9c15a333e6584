#include "grpc/status_details.hpp"

#include "error_text.hpp"
#include "grpc/limits.hpp"
#include "grpc/service_status.hpp"
#include "grpc/wire_reader.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <string>
#include <utility>

namespace rangeio::grpc_transport {
namespace {

using wire::length_delimited_field;
using wire::varint_field;

/// A reader of one contiguous message.
class flat_reader {
public:
    explicit flat_reader(std::string_view message)
        : bytes_(message),
          slice_(reinterpret_cast<const std::byte*>(message.data()), message.size()),
          in_({&slice_, 1}) {}
    flat_reader(const flat_reader&) = delete;
    flat_reader& operator=(const flat_reader&) = delete;

    /// Calls `field(tag)` for each field; the result is true if `field` has read the field. Returns whether all was
    /// well-formed.
    template <class Field>
    bool each(Field field) {
        for (auto tag = in_.next(); tag != 0; tag = in_.next()) {
            if (!field(tag)) in_.skip(tag);
        }
        return in_.error() == nullptr;
    }
    std::string_view bytes() noexcept {
        const wire::extent where = in_.bytes();
        return bytes_.substr(where.offset, where.size);
    }
    std::int64_t int64() noexcept { return in_.int64(); }

private:
    const std::string_view bytes_;
    const wire::slice slice_;
    wire::wire_reader in_;
};

struct plain_status {
    std::int32_t code = 0;
    std::string_view message;
};

bool read_status(std::string_view bytes, plain_status& out) {
    flat_reader in(bytes);
    return in.each([&](std::uint32_t tag) {
        if (tag == varint_field(1)) {
            out.code = static_cast<std::int32_t>(in.int64());
        } else if (tag == length_delimited_field(2)) {
            out.message = in.bytes();
        } else {
            return false;
        }
        return true;
    });
}

bool read_handle(std::string_view bytes, std::string_view& out) {
    flat_reader in(bytes);
    return in.each([&](std::uint32_t tag) {
        if (tag != length_delimited_field(1)) return false;
        out = in.bytes();
        return true;
    });
}

bool read_redirect(std::string_view bytes, call_end& out) {
    flat_reader in(bytes);
    std::string_view token;
    std::string_view handle;
    bool good = true;
    const bool whole = in.each([&](std::uint32_t tag) {
        if (tag == length_delimited_field(2)) {
            token = in.bytes();
        } else if (tag == length_delimited_field(1)) {
            good = read_handle(in.bytes(), handle) && good;
        } else {
            return false;
        }
        return true;
    });
    if (!whole || !good) return false;
    auto& where = out.redirect.emplace();
    where.routing_token = token;
    // An empty handle is none: the stored one remains.
    if (!handle.empty()) where.read_handle = handle;
    return true;
}

bool read_range_error(std::string_view bytes, const plain_status& call, call_end& out) {
    flat_reader in(bytes);
    std::int64_t read_id = 0;
    plain_status said;
    bool good = true;
    const bool whole = in.each([&](std::uint32_t tag) {
        if (tag == varint_field(1)) {
            read_id = in.int64();
        } else if (tag == length_delimited_field(2)) {
            good = read_status(in.bytes(), said) && good;
        } else {
            return false;
        }
        return true;
    });
    if (!whole || !good) return false;
    // An entry without a text of its own gets the call's.
    error_value why = said.message.empty() && said.code == call.code
                          ? out.why
                          : from_status(said.code, said.message.empty() ? call.message : said.message);
    out.range_errors.push_back({read_id, std::move(why)});
    return true;
}

bool read_range_errors(std::string_view bytes, const plain_status& call, call_end& out) {
    flat_reader in(bytes);
    bool good = true;
    const bool whole = in.each([&](std::uint32_t tag) {
        if (tag != length_delimited_field(1) || out.range_errors.size() == max_range_errors) return false;
        good = read_range_error(in.bytes(), call, out) && good;
        return true;
    });
    return whole && good;
}

// google.rpc.RetryInfo
bool read_retry_info(std::string_view bytes, call_end& out) {
    constexpr std::int64_t most_seconds = 24 * 60 * 60;
    flat_reader in(bytes);
    std::int64_t seconds = 0;
    std::int64_t nanos = 0;
    bool good = true;
    const bool whole = in.each([&](std::uint32_t tag) {
        if (tag != length_delimited_field(1)) return false;
        flat_reader duration(in.bytes());
        good = duration.each([&](std::uint32_t part) {
            if (part == varint_field(1)) {
                seconds = duration.int64();
            } else if (part == varint_field(2)) {
                nanos = duration.int64();
            } else {
                return false;
            }
            return true;
        }) && good;
        return true;
    });
    // Malformed details of this type are ignored: they contain nothing about ranges.
    if (!whole || !good) return true;
    if (seconds < 0 || nanos < 0 || nanos >= 1'000'000'000) return true;
    const auto delay =
        std::chrono::seconds(std::min(seconds, most_seconds)) + std::chrono::nanoseconds(nanos);
    if (out.why) out.why = with_retry_after(out.why, delay);
    return true;
}

bool read_detail(std::string_view bytes, const plain_status& call, call_end& out) {
    flat_reader in(bytes);
    std::string_view url;
    std::string_view value;
    const bool whole = in.each([&](std::uint32_t tag) {
        if (tag == length_delimited_field(1)) {
            url = in.bytes();
        } else if (tag == length_delimited_field(2)) {
            value = in.bytes();
        } else {
            return false;
        }
        return true;
    });
    if (!whole) return false;
    // The type name is the part after the last slash, as for every Any.
    const auto slash = url.rfind('/');
    if (slash == url.npos) return true;
    const std::string_view type = url.substr(slash + 1);
    if (type == "google.storage.v2.BidiReadObjectRedirectedError") return read_redirect(value, out);
    if (type == "google.storage.v2.BidiReadObjectError") return read_range_errors(value, call, out);
    if (type == "google.rpc.RetryInfo") return read_retry_info(value, out);
    return true;
}

bool read_details(std::string_view details, const plain_status& call, call_end& out) {
    flat_reader in(details);
    bool good = true;
    const bool whole = in.each([&](std::uint32_t tag) {
        if (tag != length_delimited_field(3)) return false;
        good = read_detail(in.bytes(), call, out) && good;
        return true;
    });
    return whole && good;
}

}  // namespace

call_end end_of_call(int status, std::string_view text, std::string_view details) noexcept {
    call_end out;
    try {
        out.why = from_status(status, text);
        out.unreadable = !read_details(details, {status, text}, out);
    } catch (const std::exception&) {
        if (status != 0 && !out.why) out.why = error_code(status, grpc_category());
        out.unreadable = !details.empty();
    }
    return out;
}

}  // namespace rangeio::grpc_transport
