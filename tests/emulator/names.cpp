#include "emulator/fixture.hpp"

#include <doctest/doctest.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

using namespace support;

namespace {

int code_of(fixture& f, const std::string& bucket, const std::string& object) {
    storage::GetObjectRequest request;
    request.set_bucket(bucket);
    request.set_object(object);
    const int unary = f.refused(get_object, request, "bucket=" + bucket).code;
    storage::BidiReadObjectRequest stream = bidi_request(object.empty() ? "x" : object, {});
    stream.mutable_read_object_spec()->set_bucket(bucket);
    stream.mutable_read_object_spec()->set_object(object);
    CHECK(read_ranges(f, stream, "bucket=" + bucket).outcome.code == unary);
    return unary;
}

}  // namespace

TEST_CASE("hostile names: no name leads out of the bucket, and each is rejected in a defined way") {
    fixture f;
    f.files.write("b/dir/o", "inside");
    f.files.write("secret", "outside of any bucket");
    f.files.write("other/o", "another bucket");
    const std::filesystem::path root = f.files.path();
    std::filesystem::create_symlink(root / "secret", root / "b/link");
    std::filesystem::create_directory_symlink(root / "other", root / "b/dirlink");
    std::filesystem::create_symlink("dir/o", root / "b/inner-link");
    std::filesystem::create_directory_symlink(root / "b", root / "bucket-link");
    const std::string absolute = (root / "secret").string();

    for (const std::string& name : std::initializer_list<std::string>{
             "..",
             ".",
             "../secret",
             "../other/o",
             "dir/../../secret",
             "dir/./o",
             "./dir/o",
             "dir//o",
             "/dir/o",
             "dir/o/",
             "dir/",
             "dir",
             "/",
             "//",
             absolute,
             "dir/..",
             "link",
             "dirlink/o",
             "inner-link",
             "dir/o/x",
             "none",
             "dir\\..\\..\\secret",
             "..\\secret",
             "%2e%2e/secret",
             "..%2fsecret",
             std::string(255, 'a'),
             std::string(256, 'a'),
             std::string(1024, 'a'),
             std::string(600, 'a') + "/" + std::string(400, 'b')
         }) {
        CAPTURE(name);
        CHECK(code_of(f, bucket_name, name) == code::not_found);
    }
    using namespace std::string_literals;
    for (const std::string& name :
         {""s,
          "dir/o\0"s,
          "\0"s,
          "a\nb"s,
          "a\rb"s,
          std::string(1025, 'a'),
          "\xff"s,
          "\xc0\xaf"s,
          "\xed\xa0\x80"s}) {
        CAPTURE(name);
        CHECK(code_of(f, bucket_name, name) == code::invalid_argument);
    }
    for (const std::string& bucket :
         {""s,
          "b"s,
          "projects/_/buckets/"s,
          "projects/_/buckets/.."s,
          "projects/_/buckets/."s,
          "projects/_/buckets/b/dir"s,
          "projects/_/buckets//b"s,
          "projects/x/buckets/b"s,
          "projects/_/buckets/b/../other"s,
          "projects/_/buckets/b\\c"s,
          "projects/_/buckets/.hidden"s,
          "projects/_/buckets/"s + std::string(300, 'a')}) {
        CAPTURE(bucket);
        CHECK(code_of(f, bucket, "dir/o") == code::invalid_argument);
    }
    for (const std::string& bucket : {"none"s, "secret"s, "bucket-link"s}) {
        CAPTURE(bucket);
        CHECK(code_of(f, "projects/_/buckets/" + bucket, "dir/o") == code::not_found);
    }
    CHECK(code_of(f, bucket_name, "dir/o") == code::ok);
}

TEST_CASE("special files: they are not objects, and an open of one does not block") {
    fixture f;
    const std::filesystem::path bucket = f.files.path() / "b";
    REQUIRE(::mkfifo((bucket / "fifo").c_str(), 0600) == 0);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, (bucket / "socket").c_str(), sizeof address.sun_path - 1);
    REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    ::close(fd);
    CHECK(code_of(f, bucket_name, "fifo") == code::not_found);
    CHECK(code_of(f, bucket_name, "socket") == code::not_found);
    CHECK(code_of(f, bucket_name, "fifo/x") == code::not_found);
}

TEST_CASE("unusual names: they are served as written") {
    fixture f;
    using namespace std::string_literals;
    for (const std::string& name :
         {"a b"s,
          "back\\slash"s,
          "..."s,
          "..a"s,
          ".hidden"s,
          "~"s,
          "%2e"s,
          "\xc3\xa4"s,
          "\xf0\x9f\x90\x9f"s,
          "tab\t"s,
          "dir/\xe2\x82\xac"s,
          "a&bucket=c"s,
          std::string(250, 'a') + "/" + std::string(250, 'b') + "/" + std::string(250, 'c')}) {
        CAPTURE(name);
        f.files.write("b/" + name, name);
        const stream_result result = read_ranges(f, bidi_request(name, {{0, 0, 1}}));
        CHECK(result.outcome.code == code::ok);
        CHECK(result.got.bytes.at(1) == name);
        CHECK(result.got.responses.front().metadata().name() == name);
    }
}
