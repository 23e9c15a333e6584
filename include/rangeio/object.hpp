#pragma once

#include <rangeio/detail/visibility.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace rangeio {

/// The name of an object: bucket, name and generation.
///
/// The bucket has 3 to 222 characters of `A-Z a-z 0-9 . _ -`, the name 1 to 1024 bytes of UTF-8 without CR, LF and NUL.
class RANGEIO_API object_ref {
public:
    object_ref() = default;
    /// Throws:  `rangeio::error` with `errc::invalid_argument` for a bucket or name that cannot exist.
    object_ref(std::string bucket, std::string name, std::int64_t generation = 0);

    /// Parses `gs://bucket/object`.
    ///
    /// Throws:  as the constructor, and for any other form.
    static object_ref parse(std::string_view uri);

    const std::string& bucket() const noexcept { return bucket_; }
    const std::string& name() const noexcept { return name_; }
    /// 0, the default, means the generation that is live when the object is opened.
    std::int64_t generation() const noexcept { return generation_; }
    object_ref& generation(std::int64_t value);

    /// `gs://bucket/object`.
    std::string to_string() const;

    friend bool operator==(const object_ref&, const object_ref&) = default;

private:
    std::string bucket_;
    std::string name_;
    std::int64_t generation_ = 0;
};

/// Checks the name of a bucket.
///
/// Throws:  `rangeio::error` with `errc::invalid_argument` for a name that no bucket can have.
RANGEIO_API void check_bucket_name(std::string_view bucket);

/// The metadata of one generation of an object, as the service reports it.
class object_info {
public:
    std::string bucket;
    std::string name;
    std::int64_t generation = 0;
    std::int64_t metageneration = 0;
    /// In bytes. While the object is unfinalized, that is still being appended to, this is a lower bound.
    std::uint64_t size = 0;
    bool finalized = false;
    /// Of the whole object, if the service has it. Only meaningful for a finalized object.
    std::optional<std::uint32_t> crc32c;
    std::string etag;
    std::string content_type;
    std::string content_encoding;
    std::string storage_class;
    std::optional<std::chrono::system_clock::time_point> create_time;
    std::optional<std::chrono::system_clock::time_point> update_time;
    std::optional<std::chrono::system_clock::time_point> finalize_time;
};

}  // namespace rangeio
