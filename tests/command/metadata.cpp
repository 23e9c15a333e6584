#include "command/fixture.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <sstream>

namespace support {
namespace {

std::vector<std::string> lines(const std::string& text) {
    std::istringstream in(text);
    std::vector<std::string> out;
    for (std::string line; std::getline(in, line);) out.push_back(line);
    return out;
}

using text_lines = std::vector<std::string>;

TEST_SUITE_BEGIN("metadata");

TEST_CASE("stat: size, generation and checksum are printed") {
    const fixture here;
    here.put("dir/object", "123456789");
    const outcome got = here.run({"stat", "gs://bucket/dir/object"});
    CHECK(got.code == 0);
    CHECK(got.out.starts_with("gs://bucket/dir/object\n"));
    CHECK(got.out.find("  size             9\n") != std::string::npos);
    CHECK(got.out.find("4waSgw== (0xe3069283)") != std::string::npos);
    CHECK(got.err.empty());
}

TEST_CASE("stat --json: the output is one line, with the generation as a string") {
    const fixture here({"--unfinalized", "bucket/log"});
    here.put("object", "123456789");
    here.put("log", "abc");
    const outcome got = here.run({"stat", "--json", "gs://bucket/object"});
    CHECK(got.code == 0);
    CHECK(lines(got.out).size() == 1);
    const auto json = boost::json::parse(got.out).as_object();
    CHECK(json.at("bucket").as_string() == "bucket");
    CHECK(json.at("name").as_string() == "object");
    CHECK(json.at("size").as_int64() == 9);
    CHECK(json.at("finalized").as_bool());
    CHECK(json.at("crc32c").as_string() == "4waSgw==");
    const std::string generation(json.at("generation").as_string());

    CHECK(here.run({"cat", "--generation", generation, "gs://bucket/object"}).out == "123456789");
    const outcome log = here.run({"stat", "--json", "gs://bucket/log"});
    const auto unfinalized = boost::json::parse(log.out).as_object();
    CHECK_FALSE(unfinalized.at("finalized").as_bool());
    CHECK_FALSE(unfinalized.contains("crc32c"));
}

TEST_CASE("ls: a delimiter folds names after a slash, without it all names are listed") {
    const fixture here;
    for (const char* name : {"a", "b/1", "b/2", "b/c/3", "z"}) here.put(name, "x");
    const auto ls = [&here](const std::vector<std::string>& arguments) {
        std::vector<std::string> words{"ls"};
        words.insert(words.end(), arguments.begin(), arguments.end());
        const outcome got = here.run(words);
        CAPTURE(got.err);
        CHECK(got.code == 0);
        return lines(got.out);
    };
    CHECK(ls({"gs://bucket"}) == text_lines{"gs://bucket/a", "gs://bucket/b/", "gs://bucket/z"});
    CHECK(ls({"gs://bucket/"}) == text_lines{"gs://bucket/a", "gs://bucket/b/", "gs://bucket/z"});
    CHECK(ls({"gs://bucket/b"}) == text_lines{"gs://bucket/b/"});
    CHECK(ls({"gs://bucket/b/"}) == text_lines{"gs://bucket/b/1", "gs://bucket/b/2", "gs://bucket/b/c/"});
    CHECK(
        ls({"--recursive", "gs://bucket/b"}) ==
        text_lines{"gs://bucket/b/1", "gs://bucket/b/2", "gs://bucket/b/c/3"}
    );
    const text_lines details = ls({"-l", "gs://bucket"});
    REQUIRE(details.size() == 3);
    CHECK(details[0].find("   1  20") != std::string::npos);
    CHECK(details[0].ends_with("Z  gs://bucket/a"));
    CHECK(details[1].ends_with("-  gs://bucket/b/"));
}

TEST_CASE("ls: every page is listed, as JSON lines on request") {
    const fixture here;
    constexpr std::size_t count = 2345;
    for (std::size_t i = 0; i < count; ++i) here.put("object-" + std::to_string(i), "");
    CHECK(lines(here.run({"ls", "gs://bucket"}).out).size() == count);
    const text_lines all = lines(here.run({"ls", "--json", "gs://bucket"}).out);
    REQUIRE(all.size() == count);
    CHECK(boost::json::parse(all.front()).at("name").as_string() == "object-0");
    here.put("dir/object", "");
    const text_lines first = lines(here.run({"ls", "--json", "gs://bucket/d"}).out);
    CHECK(first == text_lines{R"({"bucket":"bucket","prefix":"dir/"})"});
}

TEST_CASE("ls: an empty bucket lists nothing, a prefix without a match is an error") {
    const fixture here;
    const outcome empty = here.run({"ls", "gs://bucket"});
    CHECK(empty.code == 0);
    CHECK(empty.out.empty());
    const outcome none = here.run({"ls", "gs://bucket/nothing"});
    CHECK(none.code == 1);
    CHECK(none.one_line());
    CHECK(none.err.find("gs://bucket/nothing") != std::string::npos);
}

TEST_CASE("ls: a prefix matches any beginning of a name") {
    const fixture here;
    for (const char* name : {".hidden", "..data", "...", "a"}) here.put(name, "x");
    const auto ls = [&here](const char* prefix) { return lines(here.run({"ls", prefix}).out); };
    CHECK(ls("gs://bucket/.") == text_lines{"gs://bucket/...", "gs://bucket/..data", "gs://bucket/.hidden"});
    CHECK(ls("gs://bucket/..") == text_lines{"gs://bucket/...", "gs://bucket/..data"});
    CHECK(ls("gs://bucket/...") == text_lines{"gs://bucket/..."});
}

TEST_CASE("printable names: control characters of a name do not reach the terminal") {
    const fixture here;
    const std::string name = "red\x1b[31m\xe2\x80\xae\xe2\x80\xa8\xef\xbb\xbf\xc2\x9b";
    const std::string shown = R"(red\x1b[31m\xe2\x80\xae\xe2\x80\xa8\xef\xbb\xbf\xc2\x9b)";
    here.put(name, "x");
    here.put("dir\xe2\x80\xae/object", "x");
    CHECK(
        here.run({"ls", "gs://bucket"}).out == R"(gs://bucket/dir\xe2\x80\xae/)"
                                               "\ngs://bucket/" +
                                                   shown + "\n"
    );
    CHECK(here.run({"stat", "gs://bucket/" + name}).out.starts_with("gs://bucket/" + shown + "\n"));
    const outcome missing = here.run({"cat", "gs://bucket/no-" + name});
    CHECK(missing.one_line());
    CHECK(missing.err.find("gs://bucket/no-" + shown) != std::string::npos);
    const outcome log = here.run({"cat", "-v", "gs://bucket/" + name});
    CHECK(log.out == "x");
    CHECK(log.err.starts_with("rangeio: gs://bucket/" + shown + ": "));
    const outcome option = here.run({"cat", "--no-" + name, "gs://bucket/a"});
    CHECK(option.err.find("--no-" + shown) != std::string::npos);
    for (const outcome& json :
         {here.run({"ls", "--json", "gs://bucket/r"}), here.run({"stat", "--json", "gs://bucket/" + name})}) {
        CHECK(json.out.find_first_of("\x1b\xe2\xef\xc2") == std::string::npos);
        CHECK(boost::json::parse(json.out).at("name").as_string() == name);
    }
}

TEST_SUITE_END();

}  // namespace
}  // namespace support
