#include <rangeio/range_spec.hpp>

#include "unit/message_of.hpp"

#include <doctest/doctest.h>

using rangeio::byte_range;
using rangeio::errc;
using rangeio::range_spec;

namespace {

byte_range resolved(std::string_view text, std::uint64_t size) {
    return range_spec::parse(text).resolve(size);
}

std::string refusal(std::string_view text) {
    return message_of(errc::invalid_argument, [&] { (void)range_spec::parse(text); });
}

std::string unsatisfied(std::string_view text, std::uint64_t size) {
    return message_of(errc::range_not_satisfiable, [&] { (void)resolved(text, size); });
}

}  // namespace

TEST_CASE("range_spec: A-B is the range from A up to B, which is excluded") {
    CHECK(resolved("3-7", 10) == byte_range(3, 4));
    CHECK(resolved("0-10", 10) == byte_range(0, 10));
    CHECK(resolved("007-0010", 10) == byte_range(7, 3));
    CHECK(resolved("5-5", 10) == byte_range(5, 0));
    CHECK(resolved("10-10", 10) == byte_range(10, 0));
    CHECK(resolved("0-9223372036854775807", byte_range::max_end) == byte_range(0, byte_range::max_end));
}

TEST_CASE("range_spec: A- is the range from A to the end") {
    CHECK(resolved("3-", 10) == byte_range(3, 7));
    CHECK(resolved("0-", 0) == byte_range(0, 0));
    CHECK(resolved("10-", 10) == byte_range(10, 0));
    CHECK(range_spec() == range_spec::parse("0-"));
}

TEST_CASE("range_spec: -N is the last N bytes, or all of a shorter object") {
    CHECK(resolved("-3", 10) == byte_range(7, 3));
    CHECK(resolved("-10", 10) == byte_range(0, 10));
    CHECK(resolved("-11", 10) == byte_range(0, 10));
    CHECK(resolved("-0", 10) == byte_range(10, 0));
    CHECK(resolved("-5", 0) == byte_range(0, 0));
}

TEST_CASE("range_spec: bytes past the end of the object are an error that gives the range and the size") {
    CHECK(unsatisfied("3-11", 10) == "range [3, 11): exceeds an object of 10 bytes");
    CHECK(unsatisfied("11-11", 10) == "range [11, 11): exceeds an object of 10 bytes");
    CHECK(unsatisfied("11-", 10) == "range 11 to the end: exceeds an object of 10 bytes");
}

TEST_CASE("range_spec: an object larger than the wire format allows is rejected") {
    for (const auto* text : {"0-1", "0-", "-1"}) {
        CHECK(message_of(errc::invalid_argument, [&] {
                  (void)resolved(text, byte_range::max_end + 1);
              }).find("9223372036854775808") != std::string::npos);
    }
}

TEST_CASE("range_spec: a text that is no range is rejected with the reason") {
    CHECK(refusal("") == "range \"\": empty; expected A-B, A- or -N");
    CHECK(refusal("12") == "range \"12\": no dash; expected A-B, A- or -N");
    CHECK(refusal("-") == "range \"-\": no number; expected A-B, A- or -N");
    CHECK(refusal("--") == "range \"--\": a number of bytes is negative");
    CHECK(refusal("--5") == "range \"--5\": a number of bytes is negative");
    CHECK(refusal("5--7") == "range \"5--7\": a number of bytes is negative");
    CHECK(refusal("-5-7") == "range \"-5-7\": a number of bytes is negative");
    CHECK(refusal("7-5") == "range \"7-5\": end 5 is before begin 7");
    CHECK(refusal("1-2-3") == "range \"1-2-3\": \"2-3\" is not a number of bytes");
    CHECK(refusal(" 1-2") == "range \" 1-2\": \" 1\" is not a number of bytes");
    CHECK(refusal("+1-2") == "range \"+1-2\": \"+1\" is not a number of bytes");
    CHECK(refusal("1-2k") == "range \"1-2k\": \"2k\" is not a number of bytes");
    CHECK(refusal("0x1-") == "range \"0x1-\": \"0x1\" is not a number of bytes");
}

TEST_CASE("range_spec: a number above the signed 64-bit limit is rejected") {
    CHECK(
        refusal("9223372036854775808-") ==
        "range \"9223372036854775808-\": 9223372036854775808 is above 9223372036854775807"
    );
    CHECK(
        refusal("-99999999999999999999999") ==
        "range \"-99999999999999999999999\": 99999999999999999999999 is above 9223372036854775807"
    );
    CHECK(refusal("0-18446744073709551616").find("18446744073709551616 is above") != std::string::npos);
}
