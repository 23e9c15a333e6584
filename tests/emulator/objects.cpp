#include <rangeio/crc32c.hpp>
#include <rangeio/proto/storage_control.pb.h>

#include "emulator/fixture.hpp"
#include "support/bytes_of.hpp"

#include <doctest/doctest.h>

#include <thread>

using namespace support;
using rangeio::crc32c;

namespace {

namespace control = rangeio::proto::storage::control::v2;

struct plain_read {
    call_outcome outcome;
    std::string bytes;
    std::vector<storage::ReadObjectResponse> responses;
};

plain_read read_plain(
    fixture& f, const storage::ReadObjectRequest& request, const std::string& params = bucket_params
) {
    raw_call call = f.client.start(read_object, params);
    call.write(request.SerializeAsString());
    call.half_close();
    plain_read result;
    while (const auto message = call.read()) {
        storage::ReadObjectResponse response;
        REQUIRE(response.ParseFromString(*message));
        const std::string& content = response.checksummed_data().content();
        CHECK(response.checksummed_data().has_crc32c());
        CHECK(response.checksummed_data().crc32c() == crc32c(bytes_of(content)));
        CHECK(content.size() <= std::size_t{2} << 20);
        result.bytes += content;
        result.responses.push_back(std::move(response));
    }
    result.outcome = call.finish();
    return result;
}

storage::ReadObjectRequest read_request(std::int64_t offset, std::int64_t limit) {
    storage::ReadObjectRequest request;
    request.set_bucket(bucket_name);
    request.set_object("o");
    request.set_read_offset(offset);
    request.set_read_limit(limit);
    return request;
}

}  // namespace

TEST_CASE("GetObject: the fields that a reader needs are returned") {
    fixture f;
    // Larger than what is checksummed on a callback thread, and not a multiple of a block.
    const std::string content = pattern((std::size_t{9} << 20) + 5);
    f.files.write("b/dir/o", content);
    f.files.write("b/empty", "");
    const storage::Object object = f.stat("dir/o");
    CHECK(object.name() == "dir/o");
    CHECK(object.bucket() == bucket_name);
    CHECK(object.size() == static_cast<std::int64_t>(content.size()));
    CHECK(object.generation() > 0);
    CHECK(object.metageneration() == 1);
    CHECK(object.storage_class() == "RAPID");
    CHECK(object.checksums().crc32c() == crc32c(bytes_of(content)));
    CHECK(object.has_finalize_time());
    CHECK(object.create_time().seconds() > 0);
    CHECK_FALSE(object.etag().empty());
    CHECK(f.stat("dir/o").generation() == object.generation());

    const storage::Object empty = f.stat("empty");
    CHECK(empty.size() == 0);
    CHECK(empty.checksums().has_crc32c());
    CHECK(empty.checksums().crc32c() == 0);
}

TEST_CASE("GetObject: read masks and preconditions apply, and invalid requests are rejected") {
    fixture f;
    f.files.write("b/o", "text");
    storage::GetObjectRequest request;
    request.set_bucket(bucket_name);
    request.set_object("o");
    SUBCASE("a mask selects fields") {
        request.mutable_read_mask()->add_paths("size");
        request.mutable_read_mask()->add_paths("checksums.crc32c");
        const auto object = f.ask<storage::Object>(get_object, request);
        CHECK(object.size() == 4);
        CHECK(object.checksums().has_crc32c());
        CHECK(object.name().empty());
        CHECK(object.generation() == 0);
    }
    SUBCASE("a star selects all fields") {
        request.mutable_read_mask()->add_paths("*");
        CHECK(f.ask<storage::Object>(get_object, request).name() == "o");
    }
    SUBCASE("an unknown field in a mask") {
        request.mutable_read_mask()->add_paths("sice");
        CHECK(f.refused(get_object, request).code == code::invalid_argument);
    }
    SUBCASE("a generation that does not exist") {
        request.set_generation(5);
        CHECK(f.refused(get_object, request).code == code::not_found);
    }
    SUBCASE("a precondition") {
        request.set_if_generation_match(5);
        CHECK(f.refused(get_object, request).code == code::failed_precondition);
    }
    SUBCASE("a missing header") {
        const call_outcome outcome = f.refused(get_object, request, "");
        CHECK(outcome.code == code::invalid_argument);
        CHECK(outcome.message.find("x-goog-request-params") != std::string::npos);
    }
    SUBCASE("a missing object") {
        request.set_object("none");
        const call_outcome outcome = f.refused(get_object, request);
        CHECK(outcome.code == code::not_found);
        CHECK(outcome.message.find("gs://b/none") != std::string::npos);
    }
    SUBCASE("malformed") {
        CHECK(f.client.unary(get_object, "\xff\xff", bucket_params).code == code::invalid_argument);
    }
}

TEST_CASE("ReadObject: one range is served, described by its first response") {
    fixture f;
    const std::string content = pattern((std::size_t{9} << 20) + 5);
    f.files.write("b/o", content);
    const auto size = static_cast<std::int64_t>(content.size());
    SUBCASE("everything, in chunks") {
        const plain_read got = read_plain(f, read_request(0, 0));
        CHECK(got.outcome.code == code::ok);
        CHECK(got.bytes == content);
        REQUIRE(got.responses.size() == 5);
        CHECK(got.responses[0].metadata().size() == size);
        CHECK(got.responses[0].object_checksums().crc32c() == crc32c(bytes_of(content)));
        CHECK(got.responses[0].content_range().start() == 0);
        CHECK(got.responses[0].content_range().end() == size);
        CHECK(got.responses[0].content_range().complete_length() == size);
        CHECK_FALSE(got.responses[1].has_metadata());
        CHECK_FALSE(got.responses[1].has_content_range());
    }
    SUBCASE("a range") {
        CHECK(read_plain(f, read_request(100, 50)).bytes == content.substr(100, 50));
    }
    SUBCASE("a tail") {
        const plain_read got = read_plain(f, read_request(-7, 0));
        CHECK(got.bytes == content.substr(content.size() - 7));
        CHECK(got.responses[0].content_range().start() == size - 7);
    }
    SUBCASE("at the end of the object: one empty response") {
        const plain_read got = read_plain(f, read_request(size, 0));
        CHECK(got.outcome.code == code::ok);
        CHECK(got.bytes.empty());
        CHECK(got.responses.size() == 1);
    }
    SUBCASE("beyond the end of the object") {
        CHECK(read_plain(f, read_request(size + 1, 0)).outcome.code == code::out_of_range);
    }
    SUBCASE("a negative limit") {
        CHECK(read_plain(f, read_request(0, -1)).outcome.code == code::out_of_range);
    }
    SUBCASE("a missing header") {
        CHECK(read_plain(f, read_request(0, 0), "").outcome.code == code::invalid_argument);
    }
    SUBCASE("a precondition") {
        storage::ReadObjectRequest request = read_request(0, 0);
        request.set_if_generation_match(5);
        CHECK(read_plain(f, request).outcome.code == code::failed_precondition);
    }
}

TEST_CASE("GetBucket and GetStorageLayout: a zonal bucket is described") {
    fixture f;
    storage::GetBucketRequest request;
    request.set_name(bucket_name);
    const auto bucket = f.ask<storage::Bucket>(get_bucket, request);
    CHECK(bucket.name() == bucket_name);
    CHECK(bucket.bucket_id() == "b");
    // By number: there are clients that understand nothing else.
    const std::string project = bucket.project();
    CHECK(project.starts_with("projects/"));
    CHECK(project.find_first_not_of("0123456789", 9) == std::string::npos);
    CHECK(project.size() > 9);
    CHECK(bucket.location_type() == "zone");
    CHECK(bucket.storage_class() == "RAPID");
    CHECK(bucket.hierarchical_namespace().enabled());
    CHECK(bucket.iam_config().uniform_bucket_level_access().enabled());
    CHECK(bucket.custom_placement_config().data_locations_size() == 1);
    request.set_if_metageneration_match(7);
    CHECK(f.refused(get_bucket, request).code == code::failed_precondition);
    request.set_if_metageneration_match(1);
    request.set_if_metageneration_not_match(7);
    CHECK(f.ask<storage::Bucket>(get_bucket, request).bucket_id() == "b");
    request.set_if_metageneration_not_match(1);
    CHECK(f.refused(get_bucket, request).code == code::aborted);

    control::GetStorageLayoutRequest layout_request;
    layout_request.set_name(bucket_name + "/storageLayout");
    const auto layout = f.ask<control::StorageLayout>(get_storage_layout, layout_request);
    CHECK(layout.name() == bucket_name + "/storageLayout");
    CHECK(layout.location_type() == "zone");
    CHECK(layout.hierarchical_namespace().enabled());
    CHECK(layout.custom_placement_config().data_locations_size() == 1);

    request.set_name("projects/_/buckets/none");
    CHECK(f.refused(get_bucket, request, "bucket=projects/_/buckets/none").code == code::not_found);
    layout_request.set_name(bucket_name);
    CHECK(f.refused(get_storage_layout, layout_request).code == code::invalid_argument);
}

TEST_CASE("GetFolder: directories are folders, other names are not") {
    fixture f;
    f.files.write("b/a/deep/o", "x");
    std::filesystem::create_directory(f.files.path() / "b/empty");
    std::filesystem::create_directory_symlink("a", f.files.path() / "b/link");
    control::GetFolderRequest request;
    for (const std::string name : {"a", "a/", "a/deep", "empty/"}) {
        CAPTURE(name);
        request.set_name(bucket_name + "/folders/" + name);
        const auto folder = f.ask<control::Folder>(get_folder, request);
        CHECK(folder.name() == request.name() + (name.ends_with('/') ? "" : "/"));
        CHECK(folder.metageneration() == 1);
        CHECK(folder.create_time().seconds() > 0);
    }
    request.set_if_metageneration_match(7);
    CHECK(f.refused(get_folder, request).code == code::failed_precondition);
    request.clear_if_metageneration_match();
    for (const std::string name : {"none", "a/deep/o", "a/deep/none", "..", "a/../a", "a//deep", "link"}) {
        CAPTURE(name);
        request.set_name(bucket_name + "/folders/" + name);
        CHECK(f.refused(get_folder, request).code == code::not_found);
    }
    request.set_name("projects/_/buckets/none/folders/a");
    CHECK(f.refused(get_folder, request, "bucket=projects/_/buckets/none").code == code::not_found);
    CHECK(f.refused(get_folder, request).code == code::invalid_argument);
    for (const std::string& name : {bucket_name, bucket_name + "/folders/", bucket_name + "/folders//"}) {
        CAPTURE(name);
        request.set_name(name);
        CHECK(f.refused(get_folder, request).code == code::invalid_argument);
    }
}

TEST_CASE("checksums: a checksum that many calls request at once is right for each") {
    fixture f;
    const std::string content = pattern(std::size_t{40} << 20);
    f.files.write("b/o", content);
    const std::uint32_t expected = crc32c(bytes_of(content));
    std::vector<std::thread> threads;
    std::vector<std::uint32_t> seen(6);
    for (std::size_t i = 0; i < seen.size(); ++i) {
        threads.emplace_back([&, i] {
            if (i % 2 == 0) {
                seen[i] = f.stat("o").checksums().crc32c();
            } else {
                seen[i] = read_ranges(f, bidi_request("o", {{0, 1, 1}}))
                              .got.responses.front()
                              .metadata()
                              .checksums()
                              .crc32c();
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(seen == std::vector<std::uint32_t>(seen.size(), expected));
}
