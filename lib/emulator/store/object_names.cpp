#include "emulator/store/object_names.hpp"

#include "emulator/protocol/status.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

namespace rangeio::emulator {
namespace {

constexpr std::string_view bucket_prefix = "projects/_/buckets/";
constexpr std::size_t max_bucket_name_bytes = 222;
constexpr std::size_t max_object_name_bytes = 1024;
// The limit for a name of a peer that a message repeats.
constexpr std::size_t max_shown_bytes = 128;
constexpr std::size_t max_displayed_bytes = 300;

bool is_alphanumeric(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_bucket_name(std::string_view name) noexcept {
    return !name.empty() && name.size() <= max_bucket_name_bytes && is_alphanumeric(name.front()) &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return is_alphanumeric(c) || c == '-' || c == '_' || c == '.';
           });
}

std::string shown(std::string_view text) {
    return fmt::format("'{}'{}", text.substr(0, max_shown_bytes), text.size() > max_shown_bytes ? "..." : "");
}

// Overlong forms and surrogates are rejected: two encodings of one character would be two names of one file.
bool is_utf8(std::string_view text) noexcept {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    for (std::size_t at = 0; at < text.size();) {
        const unsigned lead = byte(at);
        if (lead < 0x80) {
            ++at;
            continue;
        }
        const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
        if (lead < 0xc2 || lead > 0xf4 || text.size() - at < length) {
            return false;
        }
        for (std::size_t i = 1; i < length; ++i) {
            if ((byte(at + i) & 0xc0U) != 0x80U) {
                return false;
            }
        }
        const unsigned second = byte(at + 1);
        if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
            (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f)) {
            return false;
        }
        at += length;
    }
    return true;
}

}  // namespace

std::string bucket_of(std::string_view resource_name) {
    if (!resource_name.starts_with(bucket_prefix)) {
        throw call_error(
            status_code::invalid_argument,
            fmt::format("bucket {} is not of the form projects/_/buckets/NAME", shown(resource_name))
        );
    }
    const std::string_view name = resource_name.substr(bucket_prefix.size());
    if (!is_bucket_name(name)) {
        throw call_error(status_code::invalid_argument, fmt::format("{} is not a bucket name", shown(name)));
    }
    return std::string(name);
}

std::string bucket_resource(std::string_view bucket) {
    return fmt::format("{}{}", bucket_prefix, bucket);
}

bool is_object_name(std::string_view name) noexcept {
    return !name.empty() && name.size() <= max_object_name_bytes &&
           name.find_first_of(std::string_view("\0\r\n", 3)) == std::string_view::npos && is_utf8(name);
}

std::vector<std::string> components_of(std::string_view bucket, std::string_view object) {
    if (object.empty()) {
        throw call_error(status_code::invalid_argument, "the object's name is empty");
    }
    if (!is_object_name(object)) {
        throw call_error(
            status_code::invalid_argument,
            "the object's name is not one to 1024 bytes of UTF-8 without NUL, CR and LF"
        );
    }
    std::vector<std::string> components;
    for (std::size_t at = 0; at <= object.size();) {
        const std::size_t end = std::min(object.find('/', at), object.size());
        const std::string_view component = object.substr(at, end - at);
        if (component.empty() || component == "." || component == "..") {
            throw call_error(
                status_code::not_found, fmt::format("{}: no such object", display_name(bucket, object))
            );
        }
        components.emplace_back(component);
        at = end + 1;
    }
    return components;
}

std::string display_name(std::string_view bucket, std::string_view object) {
    std::size_t shown_bytes = object.size();
    if (shown_bytes > max_displayed_bytes) {
        // The text is not cut inside of a character: it is used in protobuf strings.
        shown_bytes = max_displayed_bytes;
        while (shown_bytes > 0 && (static_cast<unsigned char>(object[shown_bytes]) & 0xc0U) == 0x80U) {
            --shown_bytes;
        }
    }
    return fmt::format(
        "gs://{}/{}{}", bucket, object.substr(0, shown_bytes), shown_bytes < object.size() ? "..." : ""
    );
}

}  // namespace rangeio::emulator
