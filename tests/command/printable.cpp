#include "common/printable.hpp"

#include <boost/json/parse.hpp>

#include <doctest/doctest.h>

#include <cstddef>

namespace rangeio::tool {
namespace {

TEST_SUITE_BEGIN("printable");

TEST_CASE("printable: characters with a glyph of their own are unchanged") {
    for (const char* text :
         {"plain",
          "",
          "\xc3\xa4",
          "e\xcc\x81",
          "\xe2\x82\xac",
          "\xf0\x9f\x98\x80",
          "a\\b",
          "\xef\xbf\xbd",
          "\xe2\x80\xa7"}) {
        CHECK(printable(text) == text);
    }
}

TEST_CASE("printable: controls, format characters and separators are escaped byte by byte") {
    CHECK(printable("a\x1b[0m\n\x7f") == "a\\x1b[0m\\x0a\\x7f");
    CHECK(printable(std::string_view("\0", 1)) == "\\x00");
    CHECK(printable("\xc2\x9b") == "\\xc2\\x9b");
    CHECK(printable("a\xe2\x80\xaetxt") == "a\\xe2\\x80\\xaetxt");   // U+202E
    CHECK(printable("\xe2\x80\xa8") == "\\xe2\\x80\\xa8");           // U+2028
    CHECK(printable("\xe2\x80\xa9") == "\\xe2\\x80\\xa9");           // U+2029
    CHECK(printable("\xe2\x81\xa6") == "\\xe2\\x81\\xa6");           // U+2066
    CHECK(printable("\xef\xbb\xbf") == "\\xef\\xbb\\xbf");           // U+FEFF
    CHECK(printable("\xc2\xad") == "\\xc2\\xad");                    // U+00AD
    CHECK(printable("\xf3\xa0\x81\xbf") == "\\xf3\\xa0\\x81\\xbf");  // U+E007F
    CHECK(printable("\xf0\x91\x82\xbd") == "\\xf0\\x91\\x82\\xbd");  // U+110BD
}

TEST_CASE("printable: bytes that are not UTF-8 are escaped one by one") {
    CHECK(
        printable("\x9b"
                  "31m") ==
        "\\x9b"
        "31m"
    );
    CHECK(printable("\xc3") == "\\xc3");
    CHECK(printable("\xe2\x80") == "\\xe2\\x80");
    CHECK(printable("\xe2\x80z") == "\\xe2\\x80z");
    CHECK(printable("\xc0\x9b") == "\\xc0\\x9b");  // overlong
    CHECK(printable("\xe0\x82\x9b") == "\\xe0\\x82\\x9b");
    CHECK(printable("\xed\xa0\x80") == "\\xed\\xa0\\x80");  // a surrogate
    CHECK(printable("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");
    CHECK(printable("\xff\xfe") == "\\xff\\xfe");
}

TEST_CASE("json_text: characters are escaped as in printable, and the parsed value is unchanged") {
    const boost::json::object value{
        {"name", "a\x1b\xc2\x9b\xe2\x80\xae\xf3\xa0\x81\xbf\x7f\xc3\xa4"}, {"size", 5}
    };
    const std::string text = json_text(value);
    CHECK(text == "{\"name\":\"a\\u001b\\u009b\\u202e\\udb40\\udc7f\\u007f\xc3\xa4\",\"size\":5}");
    CHECK(boost::json::parse(text) == value);
    CHECK(printable(text) == text);
}

TEST_SUITE_END();

}  // namespace
}  // namespace rangeio::tool
