#include "emulator/fixture.hpp"

#include <rangeio/crc32c.hpp>

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <span>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace support {

scratch::scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "rangeio-emulator-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) {
        throw std::system_error(errno, std::generic_category(), name);
    }
    path_ = name;
}

scratch::~scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

void scratch::write(const std::string& name, std::string_view content) const {
    const std::filesystem::path target = path_ / name;
    std::filesystem::create_directories(target.parent_path());
    const std::filesystem::path fresh = path_ / "written-next-to-the-buckets";
    std::ofstream(fresh, std::ios::binary)
        .write(content.data(), static_cast<std::streamsize>(content.size()));
    std::filesystem::rename(fresh, target);
}

std::string pattern(std::size_t size, unsigned seed) {
    std::string text(size, '\0');
    std::uint64_t state = seed;
    for (char& c : text) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        c = static_cast<char>(state >> 56);
    }
    return text;
}

namespace {

rangeio::emulator::server_options rooted(rangeio::emulator::server_options options, const scratch& files) {
    std::filesystem::create_directory(files.path() / "b");
    return options.root(files.path());
}

}  // namespace

fixture::fixture(rangeio::emulator::server_options options)
    : server(rooted(std::move(options), files)), client(server.address()) {}

storage::Object fixture::stat(const std::string& object) {
    storage::GetObjectRequest request;
    request.set_bucket(bucket_name);
    request.set_object(object);
    return ask<storage::Object>(get_object, request);
}

storage::BidiReadObjectRequest bidi_request(const std::string& object, const std::vector<asked>& ranges) {
    storage::BidiReadObjectRequest request;
    if (!object.empty()) {
        request.mutable_read_object_spec()->set_bucket(bucket_name);
        request.mutable_read_object_spec()->set_object(object);
    }
    for (const asked& wanted : ranges) {
        auto& range = *request.add_read_ranges();
        range.set_read_offset(wanted.offset);
        range.set_read_length(wanted.length);
        range.set_read_id(wanted.id);
    }
    return request;
}

void received::take(const std::string& message) {
    storage::BidiReadObjectResponse response;
    REQUIRE(response.ParseFromString(message));
    CHECK(response.object_data_ranges_size() <= 1);
    for (const auto& data : response.object_data_ranges()) {
        REQUIRE(data.has_checksummed_data());
        const std::string& content = data.checksummed_data().content();
        CHECK(content.size() <= std::size_t{2} << 20);
        REQUIRE(data.checksummed_data().has_crc32c());
        CHECK(data.checksummed_data().crc32c() == rangeio::crc32c(std::as_bytes(std::span(content))));

        const std::int64_t id = data.read_range().read_id();
        CHECK_FALSE(ended[id]);
        order.push_back(id);
        first_offset.try_emplace(id, data.read_range().read_offset());
        CHECK(
            data.read_range().read_offset() == first_offset[id] + static_cast<std::int64_t>(bytes[id].size())
        );
        CHECK(data.read_range().read_length() == static_cast<std::int64_t>(content.size()));
        bytes[id] += content;
        ended[id] = data.range_end();
    }
    responses.push_back(std::move(response));
}

void received::read(raw_call& call, std::size_t ranges) {
    const auto done = [&] {
        std::size_t count = 0;
        for (const auto& [id, end] : ended) {
            count += end ? 1 : 0;
        }
        return count >= ranges;
    };
    while (!done()) {
        const auto message = call.read();
        REQUIRE(message);
        take(*message);
    }
}

call_outcome received::read_all(raw_call& call) {
    while (const auto message = call.read()) {
        take(*message);
    }
    return call.finish();
}

stream_result read_ranges(
    fixture& server, const storage::BidiReadObjectRequest& request, const std::string& params
) {
    raw_call call = server.open_stream(params);
    call.write(request.SerializeAsString());
    call.half_close();
    stream_result result;
    result.outcome = result.got.read_all(call);
    return result;
}

}  // namespace support
