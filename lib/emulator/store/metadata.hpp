#pragma once

#include <rangeio/proto/storage.pb.h>
#include <rangeio/proto/storage_control.pb.h>

#include "emulator/store/stored_object.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace rangeio::emulator {

/// The attributes of an object, independent of their origin.
struct object_attributes {
    std::string_view bucket;
    std::string_view name;
    file_identity identity;
    std::int64_t generation = 0;
    bool finalized = true;
    /// Absent where it is not known yet, and in listings, which would have to read every file.
    std::optional<std::uint32_t> crc32c;
};

/// The metadata of an object, restricted to the fields in `mask` (null: all fields).
///
/// Throws: call_error INVALID_ARGUMENT when the mask names a field that objects do not have.
proto::storage::v2::Object object_metadata(
    const object_attributes& attributes, const google::protobuf::FieldMask* mask
);

/// The metadata of a bucket: one in a zone, of class RAPID, with a hierarchical namespace.
proto::storage::v2::Bucket bucket_metadata(std::string_view bucket, const file_identity& directory);

proto::storage::control::v2::StorageLayout storage_layout(std::string_view bucket);

proto::storage::control::v2::Folder folder_metadata(
    std::string_view bucket, std::string_view folder, const file_identity& directory
);

}  // namespace rangeio::emulator
