#include "grpc/response_intake.hpp"

#include "grpc/limits.hpp"
#include "unit/wire_fields.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace rangeio::test;
using namespace rangeio::grpc_transport;
using rangeio::errc;
using rangeio::error_value;

namespace {

/// Takes down what is handed on.
class taken final : public bidi_call_events {
public:
    void on_response(const incoming& response) noexcept override {
        ++responses;
        chunks = response.chunks.size();
        if (response.metadata != nullptr) generation = response.metadata->generation;
        if (response.read_handle != nullptr) handle = *response.read_handle;
    }
    void on_write_done() noexcept override {}
    void on_done(const call_end&) noexcept override {}

    std::size_t responses = 0;
    std::size_t chunks = 0;
    std::int64_t generation = 0;
    std::string handle;
};

error_value take(const std::string& message, taken& into) {
    return take_response(sliced(message, 1000).slices(), into);
}

// Rejected, and nothing of it handed on. Returns why.
std::string refused(const std::string& message) {
    taken into;
    const error_value why = take(message, into);
    CHECK(why.code() == errc::protocol_error);
    CHECK(into.responses == 0);
    return why.message();
}

std::string times(std::size_t count, const std::string& what) {
    std::string out;
    for (std::size_t i = 0; i < count; ++i) out += what;
    return out;
}

}  // namespace

TEST_CASE("response intake: all parts of a response are passed on, the parts of its metadata together") {
    taken into;
    const std::string piece = bytes_field(6, bytes_field(1, bytes_field(1, "abc")));
    CHECK_FALSE(take(
        bytes_field(4, varint_field(3, 7)) + piece + bytes_field(4, varint_field(6, 5)) +
            bytes_field(7, bytes_field(1, "h")),
        into
    ));
    CHECK(into.responses == 1);
    CHECK(into.chunks == 1);
    CHECK(into.generation == 7);
    CHECK(into.handle == "h");
}

TEST_CASE("response intake: a message may have the maximum of pieces, and one more is rejected") {
    taken into;
    const std::string empty = bytes_field(6, "");
    CHECK_FALSE(take(times(max_chunks, empty), into));
    CHECK(into.chunks == max_chunks);
    CHECK(refused(times(max_chunks + 1, empty)) == "a response has more than 16384 chunks in one message");
    CHECK(
        refused(times(max_metadata_parts + 1, bytes_field(4, ""))) ==
        "a response has more than 64 parts of metadata in one message"
    );
}

TEST_CASE("response intake: a string that is too long is rejected with its limit") {
    taken into;
    CHECK_FALSE(take(bytes_field(7, bytes_field(1, std::string(max_handle_bytes, 'h'))), into));
    CHECK(into.handle.size() == max_handle_bytes);
    CHECK(
        refused(bytes_field(7, bytes_field(1, std::string(max_handle_bytes + 1, 'h')))) ==
        "a response has 65537 bytes of read handle, the limit is 65536"
    );
    const std::string etag = bytes_field(27, std::string(max_metadata_bytes / 2, 'e'));
    CHECK(refused(times(2, bytes_field(4, etag))).starts_with("a response has 10485"));
}

TEST_CASE("response intake: a malformed response is rejected with the place") {
    CHECK(refused("\xff") == "malformed response: truncated");
    CHECK(
        refused(bytes_field(4, varint_field(6, static_cast<std::uint64_t>(-1)))) ==
        "malformed response: a negative size"
    );
}
