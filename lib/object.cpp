#include <rangeio/error.hpp>
#include <rangeio/object.hpp>

#include "text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace rangeio {
namespace {

constexpr std::size_t max_name_bytes = 1024;

[[noreturn]] void reject(std::string message) {
    throw error(error_value(errc::invalid_argument, std::move(message)));
}

void check_object_name(std::string_view name) {
    if (name.empty()) reject("object name: empty");
    if (name.size() > max_name_bytes) {
        reject(fmt::format("object name: {} bytes are more than {}", name.size(), max_name_bytes));
    }
    if (name == "." || name == "..") reject(fmt::format("object name: '{}' is not allowed", name));
    if (name.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos) {
        reject("object name: contains a line break or a NUL");
    }
    if (!is_utf8(name)) reject("object name: not UTF-8");
}

}  // namespace

// The bucket name is copied into a header unescaped, so only these characters are allowed.
void check_bucket_name(std::string_view bucket) {
    const bool good = std::ranges::all_of(bucket, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
               c == '_' || c == '-';
    });
    if (!good || bucket.size() < 3 || bucket.size() > 222) {
        reject(fmt::format(
            "bucket name: '{}' is not 3 to 222 of A-Z, a-z, 0-9, '.', '_' and '-'",
            good ? bucket.substr(0, 222) : "..."
        ));
    }
}

object_ref::object_ref(std::string bucket, std::string name, std::int64_t generation)
    : bucket_(std::move(bucket)), name_(std::move(name)) {
    check_bucket_name(bucket_);
    check_object_name(name_);
    this->generation(generation);
}

object_ref& object_ref::generation(std::int64_t value) {
    if (value < 0) reject(fmt::format("generation: {} is negative", value));
    generation_ = value;
    return *this;
}

object_ref object_ref::parse(std::string_view uri) {
    constexpr std::string_view scheme = "gs://";
    if (!uri.starts_with(scheme)) reject(fmt::format("URI: '{}' is not of the form gs://bucket/object", uri));
    const std::string_view rest = uri.substr(scheme.size());
    const std::size_t slash = rest.find('/');
    if (slash == std::string_view::npos || slash + 1 == rest.size()) {
        reject(fmt::format("URI: '{}' has no object name; expected gs://bucket/object", uri));
    }
    return {std::string(rest.substr(0, slash)), std::string(rest.substr(slash + 1))};
}

std::string object_ref::to_string() const {
    return fmt::format("gs://{}/{}", bucket_, name_);
}

}  // namespace rangeio
