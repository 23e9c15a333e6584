#include "command/fixture.hpp"
#include "command/peers.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace testing {
namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20;
using names = std::vector<std::string>;

TEST_SUITE_BEGIN("cp");

TEST_CASE("cp: copies objects of any size byte by byte") {
    std::size_t size = 0;
    SUBCASE("0") {
        size = 0;
    }
    SUBCASE("1") {
        size = 1;
    }
    SUBCASE("2 MiB - 1") {
        size = 2 * mebibyte - 1;
    }
    SUBCASE("2 MiB") {
        size = 2 * mebibyte;
    }
    SUBCASE("2 MiB + 1") {
        size = 2 * mebibyte + 1;
    }
    SUBCASE("100 MiB + 7") {
        size = 100 * mebibyte + 7;
    }
    const fixture here;
    const scratch out;
    const std::string content = pattern(size);
    here.put("object", content);
    const outcome got = here.run({"cp", "gs://bucket/object", out / "file"});
    CHECK(got.code == 0);
    CHECK(got.out.empty());
    CHECK(got.err.empty());
    CHECK((out.read("file") == content));
    CHECK(out.names() == names{"file"});
}

TEST_CASE("cp: replaces a file, and gives it the permissions of a new one") {
    const fixture here;
    const scratch out;
    here.put("object", "new");
    out.write("file", "old content");
    ::chmod((out / "file").c_str(), 0600);
    CHECK(here.run({"cp", "gs://bucket/object", out / "file"}).code == 0);
    CHECK(out.read("file") == "new");
    const mode_t mask = ::umask(0);
    ::umask(mask);
    struct stat st{};
    REQUIRE(::stat((out / "file").c_str(), &st) == 0);
    CHECK((st.st_mode & 07777) == (0666 & ~mask));
}

TEST_CASE("cp: follows a symbolic link to the file that it replaces") {
    const fixture here;
    const scratch out;
    here.put("object", "new");
    out.write("file", "old");
    std::filesystem::create_symlink("file", out.path() / "link");
    CHECK(here.run({"cp", "gs://bucket/object", out / "link"}).code == 0);
    CHECK(out.read("file") == "new");
    CHECK(std::filesystem::is_symlink(out.path() / "link"));
}

TEST_CASE("cp: writes into a directory, under the last part of the object's name") {
    const fixture here;
    const scratch out;
    here.put("a/b/object", "content");
    SUBCASE("without a slash") {
        CHECK(here.run({"cp", "gs://bucket/a/b/object", out.path()}).code == 0);
    }
    SUBCASE("with a slash") {
        CHECK(here.run({"cp", "gs://bucket/a/b/object", out / ""}).code == 0);
    }
    CHECK(out.read("object") == "content");
}

TEST_CASE("cp: a dash is standard output") {
    const fixture here;
    here.put("object", "content");
    CHECK(here.run({"cp", "gs://bucket/object", "-"}).out == "content");
}

TEST_CASE("cp: refuses names of objects that are no names of files") {
    const fixture here;
    const scratch out;
    for (const char* object :
         {"gs://bucket/dir/", "gs://bucket/a/..", "gs://bucket/a/.", "gs://bucket/a\x1b[31m"}) {
        const outcome got = here.run({"cp", object, out.path()});
        CAPTURE(got.err);
        CHECK(got.code == 1);
        CHECK(got.one_line());
        CHECK(got.err.find('\x1b') == std::string::npos);
        CHECK(out.names().empty());
    }
}

TEST_CASE("cp: says which file cannot be written, and leaves nothing behind") {
    const fixture here;
    const scratch out;
    here.put("object", "content");
    out.write("file", "");
    std::string target;
    SUBCASE("no such directory") {
        target = out / "missing/file";
    }
    SUBCASE("a file in place of a directory") {
        target = out / "file/object";
    }
    SUBCASE("a file that is to be a directory") {
        target = out / "file/";
    }
    SUBCASE("a device") {
        target = "/dev/null";
    }
    SUBCASE("a link to nowhere") {
        std::filesystem::create_symlink("nowhere", out.path() / "link");
        target = out / "link";
    }
    const names before = out.names();
    const outcome got = here.run({"cp", "gs://bucket/object", target});
    CAPTURE(got.err);
    CHECK(got.code == 1);
    CHECK(got.one_line());
    CHECK(got.err.find(target) != std::string::npos);
    CHECK(out.names() == before);
    CHECK(std::filesystem::is_character_file("/dev/null"));
}

TEST_CASE("cp: a missing object leaves nothing behind, and an old file as it was") {
    const fixture here;
    const scratch out;
    out.write("file", "old");
    const outcome got = here.run({"cp", "gs://bucket/missing", out / "file"});
    CHECK(got.code == 1);
    CHECK(got.one_line());
    CHECK(out.names() == names{"file"});
    CHECK(out.read("file") == "old");
}

TEST_CASE("cp: a write that fails in the middle leaves nothing behind, and an old file as it was") {
    const fixture here;
    const scratch out;
    here.put("object", pattern(16 * mebibyte));
    names before;
    SUBCASE("a new file") {}
    SUBCASE("a file that is replaced") {
        out.write("file", "old");
        before = {"file"};
    }
    // As on a full disk, without one. What a file system reserves may exceed the limit, what is written may not;
    // where the reservation fails already, the same is to be seen. Unless it is ignored, the signal would kill.
    process::settings how;
    how.shell = "trap '' XFSZ; ulimit -f 2048";  // in blocks of 512 or 1024 bytes
    const outcome got = here.run({"cp", "gs://bucket/object", out / "file"}, how);
    CAPTURE(got.err);
    CHECK(got.code == 1);
    CHECK(got.one_line());
    CHECK(got.err.find(out / "file" + ": ") != std::string::npos);
    CHECK(got.err.find(std::strerror(EFBIG)) != std::string::npos);
    CHECK(out.names() == before);
    if (!before.empty()) CHECK(out.read("file") == "old");
}

// As the wire has it; `stat` tells it in hexadecimal digits.
std::string checksum_of(const fixture& service, const std::string& object) {
    const std::string told = service.run({"stat", object}).out;
    const auto crc = static_cast<std::uint32_t>(std::stoul(told.substr(told.find("(0x") + 3), nullptr, 16));
    std::string bytes;
    for (const unsigned shift : {0U, 8U, 16U, 24U}) bytes += static_cast<char>(crc >> shift & 0xFFU);
    return bytes;
}

TEST_CASE("cp: bytes that the checksums do not confirm leave nothing behind, and an old file as it was") {
    const fixture here;
    const scratch out;
    out.write("file", "old");
    proxy::filter damage;
    SUBCASE("those of the messages") {
        here.put("object", std::string(5 * mebibyte, 'x'));
        damage = replace(std::string(64, 'x'), std::string(64, 'y'));
    }
    SUBCASE("that of the whole") {
        // In several messages, none of which has the same.
        here.put("object", pattern(5 * mebibyte));
        const std::string right = checksum_of(here, "gs://bucket/object");
        std::string wrong = right;
        wrong.back() ^= 1;
        damage = replace(right, wrong);
    }
    const proxy between(here.address, damage);
    const outcome got = run({"cp", "--endpoint", between.address(), "gs://bucket/object", out / "file"});
    CAPTURE(got.err);
    CHECK(got.code == 1);
    CHECK(got.one_line());
    CHECK(got.err.find("gs://bucket/object") != std::string::npos);
    CHECK(got.err.find("CRC32C") != std::string::npos);
    CHECK(out.names() == names{"file"});
    CHECK(out.read("file") == "old");
}

TEST_CASE("cp: a signal in the middle leaves nothing behind") {
    const fixture here;
    const scratch out;
    here.put("object", pattern(32 * mebibyte));
    // It opens the object, and gets no more than a part of it.
    const proxy between(here.address, stall_after(4 * mebibyte));
    int signal = 0;
    SUBCASE("SIGINT") {
        signal = SIGINT;
    }
    SUBCASE("SIGTERM") {
        signal = SIGTERM;
    }
    SUBCASE("SIGHUP") {
        signal = SIGHUP;
    }
    const creation_watch watch(out.path());
    process cp({"cp", "--endpoint", between.address(), "gs://bucket/object", out / "file"});
    watch.wait();
    cp.signal(signal);
    const outcome got = cp.wait();
    CAPTURE(got.err);
    CHECK(got.code == 128 + signal);
    CHECK(got.one_line());
    CHECK(out.names().empty());
}

TEST_CASE("cp: a read that takes too long leaves nothing behind") {
    const fixture here;
    const scratch out;
    here.put("object", pattern(32 * mebibyte));
    const proxy between(here.address, stall_after(4 * mebibyte));
    const outcome got =
        run({"cp", "--endpoint", between.address(), "--timeout", "500ms", "gs://bucket/object", out / "file"}
        );
    CAPTURE(got.err);
    CHECK(got.code == 1);
    CHECK(got.one_line());
    CHECK(got.err.find("gs://bucket/object [") != std::string::npos);
    CHECK(got.err.find("timed out") != std::string::npos);
    CHECK(out.names().empty());
}

TEST_CASE("cp: shows how far it is on a terminal, within its width") {
    const fixture here;
    const scratch out;
    here.put("object", pattern(32 * mebibyte));
    const unique_fd terminal(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    REQUIRE(::grantpt(terminal.get()) == 0);
    REQUIRE(::unlockpt(terminal.get()) == 0);
    unique_fd screen(::open(::ptsname(terminal.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
    const winsize size{24, 72, 0, 0};
    ::ioctl(screen.get(), TIOCSWINSZ, &size);
    process::settings how;
    how.err_fd = screen.get();
    CHECK(here.run({"cp", "gs://bucket/object", out / "file"}, how).code == 0);
    screen.reset();
    std::string shown(65536, '\0');
    const ssize_t got = ::read(terminal.get(), shown.data(), shown.size());
    REQUIRE(got > 0);
    shown.resize(static_cast<std::size_t>(got));
    CAPTURE(shown);
    CHECK(shown.find("100 %") != std::string::npos);
    CHECK(shown.find("32 MiB of 32 MiB") != std::string::npos);
    CHECK(shown.ends_with("\r\n"));
    std::size_t at = 0;
    while (at < shown.size()) {
        const std::size_t end = std::min(shown.find("\x1b[K", at), shown.size());
        CHECK(end - at <= 72);
        at = end + 3;
    }
}

TEST_SUITE_END();

}  // namespace
}  // namespace testing
