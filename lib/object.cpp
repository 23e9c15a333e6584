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
    throw error(failure(errc::invalid_argument, std::move(message)));
}

void check_object_name(std::string_view name) {
    if (name.empty()) reject("the object's name is empty");
    if (name.size() > max_name_bytes) {
        reject(fmt::format("an object's name has at most {} bytes, this one {}", max_name_bytes, name.size())
        );
    }
    if (name == "." || name == "..") reject(fmt::format("no object can be called '{}'", name));
    if (name.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos) {
        reject("the object's name has a line break or a NUL in it");
    }
    if (!is_utf8(name)) reject("the object's name is not UTF-8");
}

}  // namespace

// The bucket's name goes into a header as it is, so nothing but these characters may pass.
void check_bucket_name(std::string_view bucket) {
    const bool good = std::ranges::all_of(bucket, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
               c == '_' || c == '-';
    });
    if (!good || bucket.size() < 3 || bucket.size() > 222) {
        reject(fmt::format(
            "'{}' is no bucket name: 3 to 222 of A-Z, a-z, 0-9, '.', '_' and '-'",
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
    if (value < 0) reject(fmt::format("generation {} is negative", value));
    generation_ = value;
    return *this;
}

object_ref object_ref::parse(std::string_view uri) {
    constexpr std::string_view scheme = "gs://";
    if (!uri.starts_with(scheme)) reject(fmt::format("'{}' is not of the form gs://bucket/object", uri));
    const std::string_view rest = uri.substr(scheme.size());
    const std::size_t slash = rest.find('/');
    if (slash == std::string_view::npos || slash + 1 == rest.size()) {
        reject(fmt::format("'{}' names no object: gs://bucket/object", uri));
    }
    return {std::string(rest.substr(0, slash)), std::string(rest.substr(slash + 1))};
}

std::string object_ref::to_string() const {
    return fmt::format("gs://{}/{}", bucket_, name_);
}

}  // namespace rangeio
