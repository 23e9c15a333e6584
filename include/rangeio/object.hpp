#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace rangeio {

/// Which object: bucket, name and generation.
///
/// Bucket: 3 to 222 characters of `A-Z a-z 0-9 . _ -`. Name: 1 to 1024 bytes of UTF-8 without CR, LF and NUL.
class object_ref {
public:
    object_ref() = default;
    /// Throws: `rangeio::error` with `errc::invalid_argument` for a bucket or name that cannot exist.
    object_ref(std::string bucket, std::string name, std::int64_t generation = 0);

    /// Reads `gs://bucket/object`. Throws as the constructor does, and for any other form.
    static object_ref parse(std::string_view uri);

    const std::string& bucket() const noexcept { return bucket_; }
    const std::string& name() const noexcept { return name_; }
    /// 0, the default, stands for whatever generation is live when the object is opened.
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

/// Throws: `rangeio::error` with `errc::invalid_argument` for a name that no bucket can have.
void check_bucket_name(std::string_view bucket);

/// What the service says about one generation of an object.
class object_info {
public:
    std::string bucket;
    std::string name;
    std::int64_t generation = 0;
    std::int64_t metageneration = 0;
    /// Bytes. While the object is unfinalized this is a lower bound: it is still being appended to.
    std::uint64_t size = 0;
    bool finalized = false;
    /// Of the whole object, when the service knows it. Only meaningful for a finalized object.
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
