#include "grpc/status_details.hpp"

#include "grpc/limits.hpp"
#include "status_numbers.hpp"
#include "unit/wire_fields.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <limits>
#include <string>

// What protobuf would not take, or make too much of. The rest is in tests/emulator/status_details.cpp.

using namespace rangeio::test;
using rangeio::errc;
using rangeio::grpc_transport::end_of_call;
using rangeio::grpc_transport::max_range_errors;

namespace {

using rangeio::status_number::out_of_range;
using rangeio::status_number::resource_exhausted;

std::string detail(const std::string& type, const std::string& value) {
    return bytes_field(
        3, bytes_field(1, "type.googleapis.com/google.storage.v2." + type) + bytes_field(2, value)
    );
}

std::string range_error_field(std::uint64_t id, std::uint64_t code, const std::string& text) {
    return bytes_field(1, varint_field(1, id) + bytes_field(2, varint_field(1, code) + bytes_field(2, text)));
}

std::string range_errors(const std::string& errors) {
    return detail("BidiReadObjectError", errors);
}

}  // namespace

TEST_CASE("status details: a range's status appears once, with its own text or that of the call") {
    const auto end = end_of_call(
        out_of_range,
        "ranges are bad",
        range_errors(
            range_error_field(1, 11, "past the end") + range_error_field(2, 11, "") +
            range_error_field(3, 5, "")
        )
    );
    REQUIRE(end.range_errors.size() == 3);
    CHECK_FALSE(end.unreadable);
    CHECK(end.range_errors[0].why.message() == "past the end (OUT_OF_RANGE)");
    CHECK(end.range_errors[1].why.message() == "ranges are bad (OUT_OF_RANGE)");
    CHECK(end.range_errors[2].why.message() == "ranges are bad (NOT_FOUND)");
    CHECK(end.range_errors[2].why.code() == errc::not_found);
}

TEST_CASE("status details: the wait that the service requests is decoded") {
    const auto asked = [](const std::string& duration) {
        const std::string value = bytes_field(1, duration);
        return end_of_call(
            resource_exhausted,
            "slower",
            bytes_field(3, bytes_field(1, "type.googleapis.com/google.rpc.RetryInfo") + bytes_field(2, value))
        );
    };
    const auto end = asked(varint_field(1, 2) + varint_field(2, 500'000'000));
    CHECK(end.why.kind() == rangeio::error_class::throttled);
    CHECK(end.why.retry_after() == std::chrono::milliseconds(2500));
    CHECK(end.why.message() == "slower (RESOURCE_EXHAUSTED)");
    CHECK(end.why.with_context("gs://b/o").retry_after() == std::chrono::milliseconds(2500));
    CHECK_FALSE(end.unreadable);
    CHECK(asked(varint_field(1, std::uint64_t{1} << 62)).why.retry_after() == std::chrono::hours(24));
    // What says nothing.
    for (const std::string& odd :
         {std::string(), varint_field(1, ~std::uint64_t{0}), varint_field(2, 1'000'000'000)}) {
        CHECK(asked(odd).why.retry_after().count() == 0);
        CHECK_FALSE(asked(odd).unreadable);
    }
    CHECK(asked("\xff").why.retry_after().count() == 0);
    CHECK_FALSE(asked("\xff").unreadable);
}

TEST_CASE("status details: an unknown status becomes UNKNOWN, with its number in the text") {
    for (const std::int64_t code :
         {std::int64_t{17},
          std::int64_t{-1},
          std::int64_t{std::numeric_limits<std::int32_t>::min()},
          std::int64_t{std::numeric_limits<std::int32_t>::max()}}) {
        const auto end = end_of_call(
            out_of_range, "bad", range_errors(range_error_field(1, static_cast<std::uint64_t>(code), "odd"))
        );
        REQUIRE(end.range_errors.size() == 1);
        CHECK(end.range_errors[0].why.kind() == rangeio::error_class::unknown);
        CHECK(end.range_errors[0].why.message() == "odd (UNKNOWN, status " + std::to_string(code) + ")");
        CHECK(
            end_of_call(static_cast<int>(code), "odd", "").why.message() ==
            "odd (UNKNOWN, status " + std::to_string(code) + ")"
        );
    }
}

TEST_CASE("status details: texts become one line of UTF-8, tokens and handles are unchanged") {
    const auto end = end_of_call(
        10,
        "a\nb\xff",
        detail(
            "BidiReadObjectRedirectedError",
            bytes_field(2, "t\n\xff") + bytes_field(1, bytes_field(1, "h\n\xff"))
        )
    );
    CHECK(end.why.message() == "a b\xef\xbf\xbd (ABORTED)");
    REQUIRE(end.redirect);
    CHECK(end.redirect->routing_token == "t\n\xff");
    CHECK(end.redirect->read_handle == "h\n\xff");
    const auto named =
        end_of_call(out_of_range, "", range_errors(range_error_field(1, 11, std::string(5000, 'x'))));
    REQUIRE(named.range_errors.size() == 1);
    CHECK(named.range_errors[0].why.message().size() < 1100);
}

TEST_CASE("status details: range errors beyond the limit are dropped") {
    std::string errors;
    for (std::uint64_t id = 1; id <= max_range_errors + 5; ++id) errors += range_error_field(id, 11, "");
    CHECK(end_of_call(out_of_range, "bad", range_errors(errors)).range_errors.size() == max_range_errors);
}

TEST_CASE("status details: malformed details, at any level, make the end unreadable") {
    const std::string good = range_errors(range_error_field(1, 11, ""));
    CHECK_FALSE(end_of_call(out_of_range, "", "").unreadable);
    CHECK_FALSE(end_of_call(out_of_range, "", good + detail("Unheard", "\xff")).unreadable);
    CHECK(end_of_call(out_of_range, "", "\xff").unreadable);
    CHECK(end_of_call(out_of_range, "", good.substr(0, good.size() - 1)).unreadable);
    CHECK(end_of_call(out_of_range, "", range_errors("\x0a\x05")).unreadable);
    CHECK(end_of_call(out_of_range, "", range_errors(bytes_field(1, bytes_field(2, "\x08")))).unreadable);
    CHECK(end_of_call(out_of_range, "", detail("BidiReadObjectRedirectedError", bytes_field(1, "\x0a\x05")))
              .unreadable);
}
