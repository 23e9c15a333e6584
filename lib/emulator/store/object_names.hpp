#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace rangeio::emulator {

/// `B` of the resource name `projects/_/buckets/B`.
///
/// Throws: call_error INVALID_ARGUMENT for any other text, and when B could not be a bucket's name: a bucket is one
///         directory below the root, so B never contains a slash and never begins with a dot.
std::string bucket_of(std::string_view resource_name);

/// `projects/_/buckets/B`.
std::string bucket_resource(std::string_view bucket);

/// Whether the service could hold an object of this name: 1 to 1024 bytes of UTF-8 without NUL, CR and LF.
bool is_object_name(std::string_view name) noexcept;

/// The path components of an object's name, each of them one plain file name.
///
/// Throws: call_error INVALID_ARGUMENT for a text that is not an object's name, NOT_FOUND for a name that the service
///         could hold but a directory tree cannot: with an empty component, `.` or `..`.
std::vector<std::string> components_of(std::string_view bucket, std::string_view object);

/// `gs://bucket/object`, for messages; a long name is truncated, because trailers are limited in size.
std::string display_name(std::string_view bucket, std::string_view object);

}  // namespace rangeio::emulator
