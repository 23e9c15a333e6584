#include "command/fixture.hpp"
#include "command/peers.hpp"
#include "support/mib.hpp"

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

namespace support {
namespace {

using names = std::vector<std::string>;

TEST_SUITE_BEGIN("cp");

TEST_CASE("cp: objects of any size are copied byte for byte") {
    std::size_t size = 0;
    SUBCASE("0") {
        size = 0;
    }
    SUBCASE("1") {
        size = 1;
    }
    SUBCASE("2 MiB - 1") {
        size = 2 * mib - 1;
    }
    SUBCASE("2 MiB") {
        size = 2 * mib;
    }
    SUBCASE("2 MiB + 1") {
        size = 2 * mib + 1;
    }
    SUBCASE("a block") {
        size = block_bytes;
    }
    SUBCASE("a block and a partial block") {
        size = block_bytes + 1;
    }
    SUBCASE("twelve blocks and a partial one") {
        size = 12 * block_bytes + 7;
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

TEST_CASE(
    "cp --prefetch: an object is fetched ahead, unless that is off: then each block is requested by itself"
) {
    fixture here({"--verbose"});
    const scratch out;
    const std::string content = pattern(2 * block_bytes);
    here.put("object", content);
    check_prefetch_option(
        here, {"cp", "gs://bucket/object", out / "file", "--concurrency", "1", "--budget", "2MiB"}
    );
    CHECK((out.read("file") == content));
}

TEST_CASE("cp: a response without metadata or generation is an error and leaves no file") {
    for (const char* faults : {"no-metadata call=1 times=0", "no-generation times=0"}) {
        CAPTURE(faults);
        const fixture here({"--faults", faults});
        const scratch out;
        here.put("object", pattern(1000));
        const outcome got = here.run({"cp", "gs://bucket/object", out / "file"});
        CHECK(got.code == 1);
        CHECK(got.err.starts_with("rangeio: gs://bucket/object: "));
        CHECK(out.names().empty());
    }
}

TEST_CASE("cp: a new file has the permissions that the umask leaves") {
    const fixture here;
    const scratch out;
    here.put("object", "new");
    process::settings how;
    how.shell = "umask 026";
    CHECK(here.run({"cp", "gs://bucket/object", out / "file"}, how).code == 0);
    struct stat st{};
    REQUIRE(::stat((out / "file").c_str(), &st) == 0);
    CHECK((st.st_mode & 07777) == 0640);
}

TEST_CASE("cp: a replaced file keeps its permissions, and its other hard links keep the old bytes") {
    const fixture here;
    const scratch out;
    here.put("object", "new");
    out.write("file", "old content");
    ::chmod((out / "file").c_str(), 0600);
    std::filesystem::create_hard_link(out / "file", out / "other");
    CHECK(here.run({"cp", "gs://bucket/object", out / "file"}).code == 0);
    CHECK(out.read("file") == "new");
    CHECK(out.read("other") == "old content");
    struct stat st{};
    REQUIRE(::stat((out / "file").c_str(), &st) == 0);
    CHECK((st.st_mode & 07777) == 0600);
}

TEST_CASE("cp: a symbolic link is followed to the file that is replaced") {
    const fixture here;
    const scratch out;
    here.put("object", "new");
    out.write("file", "old");
    std::filesystem::create_symlink("file", out.path() / "link");
    CHECK(here.run({"cp", "gs://bucket/object", out / "link"}).code == 0);
    CHECK(out.read("file") == "new");
    CHECK(std::filesystem::is_symlink(out.path() / "link"));
}

TEST_CASE("cp: the copy in a target directory has the last part of the object's name") {
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

TEST_CASE("cp: descriptors and devices are written from their current position") {
    const fixture here;
    const scratch out;
    here.put("object", "content");
    const auto cp = [&here](const std::string& target, const process::settings& how = {}) {
        outcome got = here.run({"cp", "gs://bucket/object", target}, how);
        CAPTURE(target);
        CAPTURE(got.err);
        CHECK(got.code == 0);
        CHECK(got.err.empty());
        return got.out;
    };
    std::filesystem::create_symlink("/dev/stdout", out.path() / "link");
    SUBCASE("a pipe that is standard output") {
        for (const char* target : {"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"})
            CHECK(cp(target) == "content");
        CHECK(cp(out / "link") == "content");
        CHECK(cp("link", {.shell = "cd " + out.path().string()}) == "content");
    }
    SUBCASE("a file that is standard output and has content already") {
        for (const char* target : {"-", "/dev/stdout", "/dev/fd/1"}) {
            process::settings how;
            how.shell = "echo before";
            how.out_path = out / "file";
            cp(target, how);
            CHECK(out.read("file") == "before\ncontent");
        }
    }
    SUBCASE("another descriptor") {
        process::settings how;
        how.shell = "exec 3>" + out / "file" + "; echo before >&3";
        cp("/dev/fd/3", how);
        CHECK(out.read("file") == "before\ncontent");
    }
    SUBCASE("a file given by its name while it is also standard output") {
        process::settings how;
        how.shell = "echo before";
        how.out_path = out / "file";
        cp(out / "file", how);
        CHECK(out.read("file") == "content");
    }
    SUBCASE("a named pipe") {
        REQUIRE(::mkfifo((out / "pipe").c_str(), 0600) == 0);
        const unique_fd reader(::open((out / "pipe").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
        cp(out / "pipe");
        std::string got(100, '\0');
        got.resize(static_cast<std::size_t>(std::max<ssize_t>(0, ::read(reader.get(), got.data(), got.size()))
        ));
        CHECK(got == "content");
    }
    SUBCASE("a device") {
        cp("/dev/null");
        CHECK(std::filesystem::is_character_file("/dev/null"));
    }
    CHECK(std::filesystem::is_symlink(out.path() / "link"));
}

TEST_CASE("cp: a descriptor or device that rejects writes is named in the error") {
    const fixture here;
    here.put("object", "content");
    const auto check =
        [&here](
            const std::string& target, const std::string& name, int cause, const process::settings& how = {}
        ) {
            const outcome got = here.run({"cp", "gs://bucket/object", target}, how);
            CAPTURE(got.err);
            CHECK(got.code == 1);
            CHECK(got.err == "rangeio: " + name + ": " + std::strerror(cause) + '\n');
        };
    check("/dev/full", "/dev/full", ENOSPC);
    check("/dev/stdout", "/dev/stdout", ENOSPC, {.out_path = "/dev/full"});
    check("-", "standard output", ENOSPC, {.out_path = "/dev/full"});
    check("/dev/stdout", "/dev/stdout", EBADF, {.out_path = "-"});
    check("/dev/fd/0", "/dev/fd/0", EBADF);
    check("/dev/fd/99", "/dev/fd/99", EBADF);
}

TEST_CASE("cp: an empty target is a usage error that names it") {
    const outcome got = run({"cp", "gs://bucket/object", ""});
    CHECK(got.code == 2);
    CHECK(got.one_line());
    CHECK(got.err.find("TARGET") != std::string::npos);
}

TEST_CASE("cp: object names that are not file names are rejected") {
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

TEST_CASE("cp: an error names the file that cannot be written and the cause, and leaves nothing behind") {
    const fixture here;
    const scratch out;
    here.put("object", "content");
    out.write("file", "");
    std::string target;
    std::string cause;
    std::string named;
    SUBCASE("no such directory") {
        target = out / "missing/file";
        cause = std::strerror(ENOENT);
    }
    SUBCASE("a file in place of a directory") {
        target = out / "file/object";
        cause = std::strerror(ENOTDIR);
    }
    SUBCASE("a file given with a slash at its end") {
        target = out / "file/";
        cause = std::strerror(ENOTDIR);
    }
    SUBCASE("a directory in place of the file") {
        std::filesystem::create_directories(out.path() / "dir/object");
        target = out / "dir";
        cause = std::strerror(EISDIR);
    }
    SUBCASE("a dangling link") {
        std::filesystem::create_symlink("nowhere", out.path() / "link");
        target = out / "link";
        cause = "a broken symbolic link";
    }
    SUBCASE("a link to itself") {
        std::filesystem::create_symlink("link", out.path() / "link");
        target = out / "link";
        cause = std::strerror(ELOOP);
    }
    const names before = out.names();
    const outcome got = here.run({"cp", "gs://bucket/object", target});
    CAPTURE(got.err);
    CHECK(got.code == 1);
    CHECK(got.one_line());
    CHECK(got.err.find(target) != std::string::npos);
    CHECK(got.err.ends_with(": " + cause + '\n'));
    CHECK(out.names() == before);
}

TEST_CASE("cp: a missing object leaves no new file, and an old file unchanged") {
    const fixture here;
    const scratch out;
    out.write("file", "old");
    const outcome got = here.run({"cp", "gs://bucket/missing", out / "file"});
    CHECK(got.code == 1);
    CHECK(got.one_line());
    CHECK(out.names() == names{"file"});
    CHECK(out.read("file") == "old");
}

TEST_CASE("cp: a write that fails midway leaves no new file, and an old file unchanged") {
    const fixture here;
    const scratch out;
    here.put("object", many_blocks());
    names before;
    SUBCASE("a new file") {}
    SUBCASE("a file that would be replaced") {
        out.write("file", "old");
        before = {"file"};
    }
    // As on a full disk, without one. What a file system reserves may exceed the limit, what is written may not;
    // where the reservation fails already, the same is to be seen. The signal of it must not skip the clean-up.
    process::settings how;
    how.shell = "ulimit -f 20480";  // in units of 512 or 1024 bytes: more than a block of ours
    const outcome got = here.run({"cp", "gs://bucket/object", out / "file"}, how);
    CAPTURE(got.err);
    CHECK(got.code == 1);
    CHECK(got.one_line());
    CHECK(got.err.find(out / "file" + ": ") != std::string::npos);
    CHECK(got.err.find(std::strerror(EFBIG)) != std::string::npos);
    CHECK(out.names() == before);
    if (!before.empty()) CHECK(out.read("file") == "old");
}

// In the byte order of the wire; `stat` prints hexadecimal digits.
std::string checksum_of(const fixture& service, const std::string& object) {
    const std::string told = service.run({"stat", object}).out;
    const auto crc = static_cast<std::uint32_t>(std::stoul(told.substr(told.find("(0x") + 3), nullptr, 16));
    std::string bytes;
    for (const unsigned shift : {0U, 8U, 16U, 24U}) bytes += static_cast<char>(crc >> shift & 0xFFU);
    return bytes;
}

TEST_CASE("cp: a checksum mismatch leaves no new file, and an old file unchanged") {
    const fixture here;
    const scratch out;
    out.write("file", "old");
    proxy::filter damage;
    SUBCASE("the checksums of the messages") {
        here.put("object", std::string(5 * mib, 'x'));
        damage = replace(std::string(64, 'x'), std::string(64, 'y'));
    }
    const auto damage_whole = [&](const std::string& content) {
        // In several messages, none of which has the same.
        here.put("object", content);
        const std::string right = checksum_of(here, "gs://bucket/object");
        std::string wrong = right;
        wrong.back() ^= 1;
        damage = replace(right, wrong);
    };
    SUBCASE("the checksum of the whole object, of one block") {
        damage_whole(pattern(5 * mib));
    }
    SUBCASE("the checksum of the whole object, of one block and one byte") {
        damage_whole(beyond_one_block());
    }
    SUBCASE("the checksum of the whole object, of many blocks") {
        damage_whole(many_blocks());
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

// The emulator has the checksum of an object as large as this at hand only later, so cp asks for it at the end.
TEST_CASE("cp: a complete copy is kept when the query for the checksum of the whole object fails") {
    const fixture here({"--faults", "fail-metadata times=0 status=PERMISSION_DENIED"});
    const scratch out;
    const std::string content = pattern(65 * mib);
    here.put("object", content);
    const outcome got = here.run({"cp", "gs://bucket/object", out / "file"});
    CHECK(got.code == 0);
    CHECK((out.read("file") == content));
    // It may have been there after all.
    if (!got.err.empty()) {
        CHECK(got.err.starts_with(
            "rangeio: warning: the checksum of the whole object is unknown: gs://bucket/object: "
        ));
    }
}

TEST_CASE("cp: a signal during the copy leaves nothing behind") {
    const fixture here;
    const scratch out;
    here.put("object", pattern(32 * mib));
    for (const int signal :
         {SIGHUP,
          SIGINT,
          SIGQUIT,
          SIGUSR1,
          SIGUSR2,
          SIGALRM,
          SIGTERM,
          SIGSTKFLT,
          SIGXCPU,
          SIGVTALRM,
          SIGPROF,
          SIGIO,
          SIGPWR,
          SIGRTMIN,
          SIGRTMAX}) {
        CAPTURE(signal);
        // It opens the object, and gets no more than a part of it.
        const proxy between(here.address, stall_after(4 * mib));
        const creation_watch watch(out.path());
        process cp(
            {"cp", "--endpoint", between.address(), "gs://bucket/object", out / "file"},
            {.shell = "ulimit -c 0"}
        );
        watch.wait();
        cp.signal(signal);
        const outcome got = cp.wait();
        CAPTURE(got.err);
        CHECK(got.code == 128 + signal);
        CHECK(got.one_line());
        CHECK(out.names().empty());
    }
}

TEST_CASE("cp: a copy removes what a killed copy to the same name left, and nothing of a running one") {
    const fixture here;
    const scratch out;
    here.put("object", pattern(32 * mib));
    here.put("small", "content");
    const proxy between(here.address, stall_after(4 * mib));
    const creation_watch watch(out.path());
    process first({"cp", "--endpoint", between.address(), "gs://bucket/object", out / "file"});
    watch.wait();
    CHECK(here.run({"cp", "gs://bucket/small", out / "file"}).code == 0);
    CHECK(out.names().size() == 2);
    CHECK(out.names().front().starts_with(".rangeio-"));
    first.signal(SIGKILL);
    first.wait();
    CHECK(here.run({"cp", "gs://bucket/small", out / "other"}).code == 0);
    CHECK(out.names().size() == 3);
    CHECK(here.run({"cp", "gs://bucket/small", out / "file"}).code == 0);
    CHECK(out.names() == names{"file", "other"});
}

TEST_CASE("cp: a read that exceeds its timeout leaves nothing behind") {
    const fixture here;
    const scratch out;
    here.put("object", pattern(32 * mib));
    const proxy between(here.address, stall_after(4 * mib));
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

TEST_CASE("cp: the progress line fits the width of the terminal") {
    const fixture here;
    const scratch out;
    here.put("object", pattern(32 * mib));
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
}  // namespace support
