#include "emulator/store/metadata.hpp"

#include "emulator/protocol/status.hpp"
#include "emulator/store/conditions.hpp"
#include "emulator/store/object_names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

namespace rangeio::emulator {
namespace {

namespace storage = proto::storage::v2;

constexpr const char* location = "US-CENTRAL1";
constexpr const char* location_type = "zone";
constexpr const char* zone = "us-central1-a";
constexpr const char* storage_class = "RAPID";
// The project is named by its number: some clients accept nothing else.
constexpr const char* project = "projects/123456";

// The fields that are filled below. The messages have no reflection, so a mask is applied by this table.
struct maskable_field {
    std::string_view name;
    void (*clear)(storage::Object&);
};
constexpr std::array maskable_fields{
    maskable_field{"name", [](storage::Object& o) { o.clear_name(); }},
    maskable_field{"bucket", [](storage::Object& o) { o.clear_bucket(); }},
    maskable_field{"generation", [](storage::Object& o) { o.clear_generation(); }},
    maskable_field{"metageneration", [](storage::Object& o) { o.clear_metageneration(); }},
    maskable_field{"storage_class", [](storage::Object& o) { o.clear_storage_class(); }},
    maskable_field{"size", [](storage::Object& o) { o.clear_size(); }},
    maskable_field{"content_type", [](storage::Object& o) { o.clear_content_type(); }},
    maskable_field{"create_time", [](storage::Object& o) { o.clear_create_time(); }},
    maskable_field{"checksums", [](storage::Object& o) { o.clear_checksums(); }},
    maskable_field{"update_time", [](storage::Object& o) { o.clear_update_time(); }},
    maskable_field{"etag", [](storage::Object& o) { o.clear_etag(); }},
    maskable_field{"finalize_time", [](storage::Object& o) { o.clear_finalize_time(); }},
};
// Fields of the service's objects that these objects never have.
constexpr std::array<std::string_view, 23> empty_fields{
    "acl",
    "cache_control",
    "component_count",
    "content_disposition",
    "content_encoding",
    "content_language",
    "contexts",
    "custom_time",
    "customer_encryption",
    "delete_time",
    "event_based_hold",
    "hard_delete_time",
    "kms_key",
    "metadata",
    "owner",
    "restore_token",
    "retention",
    "retention_expire_time",
    "soft_delete_time",
    "temporary_hold",
    "update_storage_class_time",
    "*",
    "",
};

// A path into a field selects the whole field: masks select the fields that a client needs; more fields do no harm.
std::string_view field_of(std::string_view path) noexcept {
    return path.substr(0, path.find('.'));
}

void apply(const google::protobuf::FieldMask& mask, storage::Object& object) {
    bool everything = false;
    for (const std::string& path : mask.paths()) {
        const std::string_view wanted = field_of(path);
        const auto named = [&](const maskable_field& field) { return field.name == wanted; };
        if (std::none_of(maskable_fields.begin(), maskable_fields.end(), named) &&
            std::find(empty_fields.begin(), empty_fields.end(), wanted) == empty_fields.end()) {
            throw call_error(
                status_code::invalid_argument,
                fmt::format("read_mask: objects have no field '{}'", wanted.substr(0, 64))
            );
        }
        everything = everything || wanted == "*";
    }
    if (everything || mask.paths().empty()) {
        return;
    }
    for (const maskable_field& field : maskable_fields) {
        const bool wanted =
            std::any_of(mask.paths().begin(), mask.paths().end(), [&](const std::string& path) {
                return field_of(path) == field.name;
            });
        if (!wanted) {
            field.clear(object);
        }
    }
}

void set(google::protobuf::Timestamp& time, std::int64_t nanoseconds) {
    // Rounded down, so that the fraction is not negative before 1970 either.
    std::int64_t seconds = nanoseconds / 1'000'000'000;
    std::int64_t fraction = nanoseconds % 1'000'000'000;
    if (fraction < 0) {
        --seconds;
        fraction += 1'000'000'000;
    }
    time.set_seconds(seconds);
    time.set_nanos(static_cast<std::int32_t>(fraction));
}

}  // namespace

storage::Object object_metadata(
    const object_attributes& attributes, const google::protobuf::FieldMask* mask
) {
    storage::Object object;
    object.set_name(std::string(attributes.name));
    object.set_bucket(bucket_resource(attributes.bucket));
    object.set_generation(attributes.generation);
    object.set_metageneration(metageneration);
    object.set_storage_class(storage_class);
    object.set_size(attributes.identity.size);
    object.set_content_type("application/octet-stream");
    object.set_etag(fmt::format("{:x}", attributes.generation));
    set(*object.mutable_create_time(), attributes.identity.modified_ns);
    set(*object.mutable_update_time(), attributes.identity.modified_ns);
    if (attributes.finalized) {
        set(*object.mutable_finalize_time(), attributes.identity.modified_ns);
    }
    if (attributes.crc32c) {
        object.mutable_checksums()->set_crc32c(*attributes.crc32c);
    }
    if (mask != nullptr) {
        apply(*mask, object);
    }
    return object;
}

storage::Bucket bucket_metadata(std::string_view bucket, const file_identity& directory) {
    storage::Bucket metadata;
    metadata.set_name(bucket_resource(bucket));
    metadata.set_bucket_id(std::string(bucket));
    metadata.set_project(project);
    metadata.set_metageneration(metageneration);
    metadata.set_location(location);
    metadata.set_location_type(location_type);
    metadata.set_storage_class(storage_class);
    metadata.set_etag(fmt::format("{:x}", directory.inode));
    set(*metadata.mutable_create_time(), directory.changed_ns);
    set(*metadata.mutable_update_time(), directory.changed_ns);
    metadata.mutable_iam_config()->mutable_uniform_bucket_level_access()->set_enabled(true);
    metadata.mutable_custom_placement_config()->add_data_locations(zone);
    metadata.mutable_hierarchical_namespace()->set_enabled(true);
    return metadata;
}

proto::storage::control::v2::StorageLayout storage_layout(std::string_view bucket) {
    proto::storage::control::v2::StorageLayout layout;
    layout.set_name(bucket_resource(bucket) + "/storageLayout");
    layout.set_location(location);
    layout.set_location_type(location_type);
    layout.mutable_custom_placement_config()->add_data_locations(zone);
    layout.mutable_hierarchical_namespace()->set_enabled(true);
    return layout;
}

proto::storage::control::v2::Folder folder_metadata(
    std::string_view bucket, std::string_view folder, const file_identity& directory
) {
    proto::storage::control::v2::Folder metadata;
    metadata.set_name(fmt::format("{}/folders/{}/", bucket_resource(bucket), folder));
    metadata.set_metageneration(metageneration);
    set(*metadata.mutable_create_time(), directory.changed_ns);
    set(*metadata.mutable_update_time(), directory.changed_ns);
    return metadata;
}

}  // namespace rangeio::emulator
