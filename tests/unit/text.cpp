#include "text.hpp"

#include <doctest/doctest.h>

#include <string>

using rangeio::fits_header;
using rangeio::is_utf8;
using rangeio::printable;

TEST_CASE("text: UTF-8 is accepted as the standard defines it") {
    for (const char* good :
         {"",
          "a",
          "\xc2\x80",
          "\xe0\xa0\x80",
          "\xed\x9f\xbf",
          "\xee\x80\x80",
          "\xf0\x90\x80\x80",
          "\xf4\x8f\xbf\xbf"}) {
        CAPTURE(good);
        CHECK(is_utf8(good));
    }
    // Stray, cut short, longer than need be, surrogates, past the last one.
    for (const char* bad :
         {"\x80",
          "\xff",
          "\xc0\x80",
          "\xc1\xbf",
          "a\xc3",
          "\xe0\x9f\xbf",
          "\xe2\x82",
          "\xed\xa0\x80",
          "\xf0\x8f\xbf\xbf",
          "\xf4\x90\x80\x80",
          "\xf5\x80\x80\x80"}) {
        CAPTURE(bad);
        CHECK_FALSE(is_utf8(bad));
    }
}

TEST_CASE("text: a header accepts printable ASCII only") {
    for (int c = 0; c < 256; ++c) {
        CAPTURE(c);
        CHECK(fits_header(std::string(1, static_cast<char>(c))) == (c >= 0x20 && c <= 0x7e));
    }
}

TEST_CASE("text: printed text is one line of UTF-8 in one direction") {
    CHECK(printable("gr\xc3\xbc\xc3\x9f") == "gr\xc3\xbc\xc3\x9f");
    CHECK(printable("a\r\nb\x1b[31m\x7f\tc") == "a  b [31m  c");
    CHECK(printable(std::string("a\0b", 3)) == "a b");
    // C1 controls; U+2028, U+202E, U+2066, U+FEFF, U+200B.
    CHECK(
        printable("a\xc2\x9b"
                  "b") == "a b"
    );
    CHECK(printable("\xe2\x80\xa8|\xe2\x80\xae|\xe2\x81\xa6|\xef\xbb\xbf|\xe2\x80\x8b") == " | | | | ");
    CHECK(printable("a\xff\xe2\x82") == "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
}

TEST_CASE("text: a text that is too long is cut between characters and marked") {
    CHECK(printable("1234567890", 10) == "1234567890");
    CHECK(printable("12345678901", 10) == "1234567...");
    CHECK(
        printable(
            "123456\xc3\xbc"
            "8901",
            10
        ) == "123456..."
    );
    CHECK(
        printable(
            "12345\xc3\xbc"
            "8901",
            10
        ) == "12345\xc3\xbc..."
    );
    CHECK(printable("\xff\xff\xff\xff", 10) == "\xef\xbf\xbd\xef\xbf\xbd...");
    CHECK(printable(std::string(100'000, 'x')).size() == 1024);
    CHECK(printable("abc", 2) == "..");
}
