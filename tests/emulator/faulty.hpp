#pragma once

#include <rangeio/crc32c.hpp>

#include "emulator/fixture.hpp"

#include <doctest/doctest.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace support {

/// An emulator with a fault script, and an object `o` of so many bytes on it.
struct faulty_fixture : fixture {
    explicit faulty_fixture(
        std::string_view script, std::size_t size = 1000, rangeio::emulator::server_options options = {}
    )
        : fixture(options.faults(rangeio::testing::fault_script::parse(script))), content(pattern(size)) {
        files.write("b/o", content);
    }

    const std::string content;
};

/// One chunk, as it was on the wire.
struct seen_chunk {
    std::size_t message = 0;  // in which, from 0
    std::int64_t id = 0;
    std::int64_t offset = 0;
    std::string bytes;
    bool good_checksum = false;
    bool end = false;
};

/// What came on a stream. Nothing of it is checked, but that it can be parsed.
struct seen {
    std::vector<storage::BidiReadObjectResponse> responses;
    std::vector<seen_chunk> chunks;

    void take(const std::string& message) {
        storage::BidiReadObjectResponse response;
        REQUIRE(response.ParseFromString(message));
        for (const auto& data : response.object_data_ranges()) {
            const std::string& content = data.checksummed_data().content();
            CHECK(data.read_range().read_length() == static_cast<std::int64_t>(content.size()));
            const std::uint32_t crc = rangeio::crc32c(std::as_bytes(std::span(content)));
            chunks.push_back({
                responses.size(),
                data.read_range().read_id(),
                data.read_range().read_offset(),
                content,
                data.checksummed_data().crc32c() == crc,
                data.range_end(),
            });
        }
        responses.push_back(std::move(response));
    }
    void read(raw_call& call, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            const auto message = call.read();
            REQUIRE(message);
            take(*message);
        }
    }
    call_outcome read_all(raw_call& call) {
        while (const auto message = call.read()) take(*message);
        return call.finish();
    }
    std::string bytes(std::int64_t id) const {
        std::string out;
        for (const seen_chunk& chunk : chunks) out += chunk.id == id ? chunk.bytes : "";
        return out;
    }
};

/// Opens a stream with these ranges of `o`, half-closes, and reads everything.
struct seen_stream : seen {
    call_outcome outcome;

    seen_stream(fixture& f, const std::vector<asked>& ranges) : seen_stream(f, bidi_request("o", ranges)) {}
    seen_stream(
        fixture& f, const storage::BidiReadObjectRequest& request, const std::string& params = bucket_params
    ) {
        raw_call call = f.open_stream(params);
        call.write(request.SerializeAsString());
        call.half_close();
        outcome = read_all(call);
    }
};

}  // namespace support
