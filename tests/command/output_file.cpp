#include "output_file.hpp"

#include "command/fixture.hpp"
#include "common/process.hpp"
#include "output_stream.hpp"
#include "support/bytes_of.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <thread>

namespace support {
namespace {

using names = std::vector<std::string>;
using rangeio::tool::file_calls;
using rangeio::tool::output_file;
using rangeio::tool::temporary_file;

/// The calls of the system, of which one may fail, or something happen before each.
class scripted_calls : public file_calls {
public:
    names made;
    std::size_t failing = ~std::size_t{0};  // the number of the call that fails
    int error = EIO;
    std::function<void(const std::string& call, const std::string& path)> before;

    int open(const char* path, int flags, mode_t mode) override {
        const bool creates = (flags & O_CREAT) != 0;
        return fails(creates ? "create" : "look", path) ? -1 : file_calls::open(path, flags, mode);
    }
    int duplicate(int fd) override { return fails("duplicate") ? -1 : file_calls::duplicate(fd); }
    int lock(int fd) override { return fails("lock") ? -1 : file_calls::lock(fd); }
    int reserve(int fd, off_t bytes) override {
        return fails("reserve") ? -1 : file_calls::reserve(fd, bytes);
    }
    ssize_t write(int fd, const std::byte* bytes, std::size_t count) override {
        return fails("write") ? -1 : file_calls::write(fd, bytes, count);
    }
    int change_owner(int fd, uid_t owner, gid_t group) override {
        return fails("change_owner") ? -1 : file_calls::change_owner(fd, owner, group);
    }
    int change_mode(int fd, mode_t mode) override {
        return fails("change_mode") ? -1 : file_calls::change_mode(fd, mode);
    }
    int sync(int fd) override { return fails("sync") ? -1 : file_calls::sync(fd); }
    int close(int fd) override {
        // Closed all the same, as on Linux.
        const int result = file_calls::close(fd);
        return fails("close") ? -1 : result;
    }
    int rename(const char* from, const char* to) override {
        return fails("rename", from) ? -1 : file_calls::rename(from, to);
    }
    int remove(const char* path) override { return fails("remove", path) ? -1 : file_calls::remove(path); }

private:
    bool fails(const std::string& call, const std::string& path = "") {
        made.push_back(call);
        if (before) before(call, path);
        errno = error;
        return made.size() - 1 == failing;
    }
};

void write_file(const std::string& path, scripted_calls& calls) {
    output_file file(path, 9, calls);
    for (const char* part : {"new", " con", "te"}) file.append(bytes_of(part));
    file.publish();
}

std::size_t open_descriptors() {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

mode_t mode_of(const std::string& path) {
    struct stat st{};
    REQUIRE(::stat(path.c_str(), &st) == 0);
    return st.st_mode & 07777;
}

bool locked(const std::string& path) {
    const unique_fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    return file.get() >= 0 && ::flock(file.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

TEST_SUITE_BEGIN("output file");

TEST_CASE("output_file: a failed call is reported with file and cause, and leaves the old content") {
    bool replaces = false;
    SUBCASE("a new file") {
        replaces = false;
    }
    SUBCASE("a file that is replaced") {
        replaces = true;
    }
    const scratch dir;
    const std::string path = dir / "file";
    const auto restore = [&dir, &path, replaces] {
        std::filesystem::remove(path);
        if (!replaces) return;
        dir.write("file", "old");
        ::chmod(path.c_str(), 0640);
    };
    scripted_calls good;
    restore();
    write_file(path, good);
    CHECK(dir.read("file") == "new conte");
    names expected{"create", "lock", "duplicate", "reserve", "write", "write", "write"};
    if (replaces) expected.emplace_back("change_mode");
    for (const char* call : {"sync", "close", "rename", "close"}) expected.emplace_back(call);
    names made = good.made;
    std::erase(made, "look");
    CHECK(made == expected);

    const std::size_t descriptors = open_descriptors();
    for (std::size_t number = 0; number < good.made.size(); ++number) {
        const std::string& call = good.made[number];
        CAPTURE(number);
        CAPTURE(call);
        restore();
        const names before = dir.names();
        scripted_calls calls;
        calls.failing = number;
        std::string told;
        try {
            write_file(path, calls);
        } catch (const rangeio::tool::failed& wrong) {
            told = wrong.what();
        }
        CHECK(open_descriptors() == descriptors);
        // Without a lock it is not recognized as a leftover; the last close only gives the lock back.
        if (call == "look" || call == "lock" || number + 1 == good.made.size()) {
            CHECK(told.empty());
            CHECK(dir.names() == names{"file"});
            continue;
        }
        CHECK(told == path + ": " + std::strerror(EIO));
        CHECK(dir.names() == before);
        if (replaces) CHECK(dir.read("file") == "old");
        if (replaces) CHECK(mode_of(path) == 0640);
    }
}

TEST_CASE("output_file: interrupted calls and partial writes are repeated") {
    class slow_calls : public file_calls {
    public:
        ssize_t write(int fd, const std::byte* bytes, std::size_t) override {
            return interrupted() ? -1 : file_calls::write(fd, bytes, 1);
        }
        int reserve(int fd, off_t bytes) override {
            return interrupted() ? -1 : file_calls::reserve(fd, bytes);
        }
        int sync(int fd) override { return interrupted() ? -1 : file_calls::sync(fd); }

    private:
        bool interrupted() {
            errno = EINTR;
            return ++calls_ % 2 == 1;
        }
        int calls_ = 0;
    };
    const scratch dir;
    slow_calls calls;
    output_file file(dir / "file", 11, calls);
    file.append(bytes_of("all of it"));
    file.append(bytes_of("."));
    file.publish();
    CHECK(dir.read("file") == "all of it.");
}

TEST_CASE("output_file: a file system that cannot reserve space is written to, a full one is an error") {
    const scratch dir;
    scripted_calls calls;
    calls.before = [&calls](const std::string& call, const std::string&) {
        if (call == "reserve") calls.failing = calls.made.size() - 1;
    };
    SUBCASE("no reservation of space") {
        calls.error = EOPNOTSUPP;
        write_file(dir / "file", calls);
        CHECK(dir.read("file") == "new conte");
    }
    for (const int full : {ENOSPC, EDQUOT, EFBIG}) {
        calls.error = full;
        CAPTURE(full);
        CHECK_THROWS_WITH(
            write_file(dir / "other", calls), (dir / "other" + ": " + std::strerror(full)).c_str()
        );
        CHECK_FALSE(std::filesystem::exists(dir / "other"));
    }
}

TEST_CASE("output_file: a write of zero bytes is reported as a full device") {
    class full_calls : public file_calls {
        ssize_t write(int, const std::byte*, std::size_t) override { return 0; }
    };
    const scratch dir;
    full_calls calls;
    output_file file(dir / "file", 1, calls);
    CHECK_THROWS_AS(file.append(bytes_of("x")), rangeio::tool::failed);
}

TEST_CASE("output_stream: a failed call is reported with name and cause, and leaves no open descriptor") {
    const scratch dir;
    dir.write("device", "");
    const std::string path = dir / "device";
    const unique_fd descriptor(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    const rangeio::tool::open_descriptor opened{descriptor.get(), path};
    const rangeio::tool::device named{path};
    const auto write = [&](scripted_calls& calls, bool by_name) {
        const auto out = by_name ? std::make_unique<rangeio::tool::output_stream>(named, calls)
                                 : std::make_unique<rangeio::tool::output_stream>(opened, calls);
        out->append(bytes_of("x"));
        out->finish();
    };
    for (const bool by_name : {false, true}) {
        scripted_calls good;
        write(good, by_name);
        CHECK(good.made == names{by_name ? "look" : "duplicate", "write", "close"});
        const std::size_t descriptors = open_descriptors();
        for (std::size_t number = 0; number < good.made.size(); ++number) {
            scripted_calls calls;
            calls.failing = number;
            CAPTURE(good.made[number]);
            CHECK_THROWS_WITH(write(calls, by_name), (path + ": " + std::strerror(EIO)).c_str());
            CHECK(open_descriptors() == descriptors);
        }
    }
    CHECK(dir.read("device").size() > 1);
}

TEST_CASE("write_all: a non-blocking pipe is written to the end as its reader takes the bytes") {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    REQUIRE(::fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
    const std::string all = pattern(std::size_t{1} << 20);  // what a pipe holds, many times
    std::string got;
    {
        const std::jthread reader([&] {
            std::array<char, 4096> piece{};
            for (ssize_t n = 0; (n = ::read(ends[0], piece.data(), piece.size())) > 0;)
                got.append(piece.data(), static_cast<std::size_t>(n));
        });
        const auto hang_up = [](const int* fd) { ::close(*fd); };
        const std::unique_ptr<const int, decltype(hang_up)> writer(&ends[1], hang_up);
        rangeio::tool::write_all(ends[1], bytes_of(all), "the pipe", file_calls::real());
    }
    ::close(ends[0]);
    CHECK((got == all));
}

TEST_CASE("close_out: an error of the close is reported, except that the descriptor was closed already") {
    class failing_close : public file_calls {
    public:
        explicit failing_close(int error) : error_(error) {}
        int close(int) override {
            errno = error_;
            return -1;
        }

    private:
        int error_;
    };
    failing_close full(EDQUOT);
    CHECK_THROWS_AS(rangeio::tool::close_out(full), rangeio::tool::failed);
    failing_close closed(EBADF);
    CHECK_NOTHROW(rangeio::tool::close_out(closed));
}

TEST_CASE("temporary_file: the file is locked from its first byte until it is renamed or removed") {
    const scratch dir;
    std::size_t seen = 0;
    scripted_calls calls;
    calls.before = [&seen](const std::string& call, const std::string& path) {
        if (call != "rename" && call != "remove") return;
        ++seen;
        CHECK(locked(path));
    };
    write_file(dir / "file", calls);
    {
        output_file given_up(dir / "file", 0, calls);
        given_up.append(bytes_of("x"));
    }
    CHECK(seen == 2);
}

TEST_CASE("temporary_file: a file that another process takes for a leftover is not written to") {
    const scratch dir;
    const std::string target = dir / "file";
    // Between its creation and its lock the file looks as a dead process's does.
    std::unique_ptr<output_file> other;
    scripted_calls calls;
    calls.before = [&](const std::string& call, const std::string&) {
        if (call == "lock" && !other) other = std::make_unique<output_file>(target, 0);
    };
    output_file file(target, 0, calls);
    file.append(bytes_of("one"));
    other->append(bytes_of("other"));
    CHECK(dir.names().size() == 2);
    file.publish();
    CHECK(dir.read("file") == "one");
    other->publish();
    CHECK(dir.read("file") == "other");
    CHECK(dir.names() == names{"file"});
}

TEST_CASE("temporary_file: leftovers of the same target are removed, those of others and locked ones are not"
) {
    const scratch dir;
    names leftovers;
    const auto leave = [&](const std::string& target) {
        // As if the process had been killed: the descriptors are closed and nothing else is done.
        class killed : public file_calls {
            int remove(const char*) override { return 0; }
        };
        killed calls;
        const output_file file(dir / target, 0, calls);
    };
    leave("a");
    leave("b");
    REQUIRE(dir.names().size() == 2);
    const output_file living(dir / "b", 0);
    CHECK(dir.names().size() == 2);
    write_file(dir / "a", *std::make_unique<scripted_calls>());
    write_file(dir / "b", *std::make_unique<scripted_calls>());
    CHECK(dir.names().size() == 3);
    CHECK(dir.names().front().starts_with(".rangeio-"));
}

TEST_CASE("temporary_file: copies to one target are limited to max_copies at a time") {
    const scratch dir;
    std::vector<std::unique_ptr<output_file>> copies;
    for (int i = 0; i < temporary_file::max_copies; ++i) {
        copies.push_back(std::make_unique<output_file>(dir / "file", 0));
    }
    CHECK_THROWS_AS(output_file(dir / "file", 0), rangeio::tool::failed);
    copies.pop_back();
    CHECK_NOTHROW(output_file(dir / "file", 0));
}

TEST_CASE("temporary_file: concurrent copies to one target do not disturb each other") {
    const scratch dir;
    constexpr int rounds = 200;
    std::vector<std::string> wrong(4);
    {
        std::vector<std::jthread> threads;
        for (std::string& mine : wrong) {
            threads.emplace_back([&dir, &mine] {
                try {
                    for (int i = 0; i < rounds; ++i) {
                        output_file file(dir / "file", 0);
                        file.append(bytes_of("content"));
                        if (i % 2 == 0) file.publish();
                    }
                } catch (const std::exception& thrown) {
                    mine = thrown.what();
                }
            });
        }
    }
    for (const std::string& mine : wrong) CHECK(mine.empty());
    CHECK(dir.names() == names{"file"});
    CHECK(dir.read("file") == "content");
}

// A list that lets user 65534 read and write, and the group nothing.
std::string list_with_a_user() {
    std::string list{2, 0, 0, 0};
    const auto add = [&list](char tag, char permissions, std::uint32_t id) {
        list += {tag, 0, permissions, 0};
        for (const unsigned shift : {0U, 8U, 16U, 24U}) list += static_cast<char>(id >> shift & 0xFFU);
    };
    add(0x01, 6, ~std::uint32_t{0});
    add(0x02, 6, 65534);
    add(0x04, 0, ~std::uint32_t{0});
    add(0x10, 6, ~std::uint32_t{0});
    add(0x20, 0, ~std::uint32_t{0});
    return list;
}

TEST_CASE("output_file: a replaced file passes its access control list on, or the absence of one") {
    const scratch dir;
    const std::string path = dir / "file";
    const std::string list = list_with_a_user();
    const auto set_list = [&list](const std::string& of, const char* name) {
        return ::setxattr(of.c_str(), name, list.data(), list.size(), 0) == 0;
    };
    const auto list_of = [](const std::string& file) {
        std::string got(1000, '\0');
        const ssize_t size = ::getxattr(file.c_str(), "system.posix_acl_access", got.data(), got.size());
        got.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
        return got;
    };
    dir.write("file", "old");
    scripted_calls calls;
    if (!set_list(path, "system.posix_acl_access")) return;  // there are none here
    REQUIRE(mode_of(path) == 0660);
    write_file(path, calls);
    CHECK((list_of(path) == list));
    CHECK(mode_of(path) == 0660);

    std::filesystem::remove(path);
    dir.write("file", "old");
    ::chmod(path.c_str(), 0660);
    REQUIRE(set_list(dir.path(), "system.posix_acl_default"));
    write_file(path, calls);
    CHECK(list_of(path).empty());
    CHECK(mode_of(path) == 0660);
    // A new file has what the directory gives it.
    write_file(dir / "other", calls);
    CHECK_FALSE(list_of(dir / "other").empty());
}

TEST_CASE("output_file: a replaced file passes its permissions on, and for root its owner and group") {
    const scratch dir;
    const std::string path = dir / "file";
    for (const mode_t mode : {0600U, 0755U, 0444U, 0666U}) {
        dir.write("file", "old");
        ::chmod(path.c_str(), mode);
        scripted_calls calls;
        mode_t while_written = 0;
        calls.before = [&](const std::string& call, const std::string&) {
            if (call != "write") return;
            const std::string temporary = dir.names().front();
            while_written |= mode_of(dir / temporary) & ~mode & 0077;
        };
        write_file(path, calls);
        CHECK(dir.read("file") == "new conte");
        CHECK(mode_of(path) == mode);
        CHECK(while_written == 0);
        std::filesystem::remove(path);
    }
    if (::geteuid() != 0) return;
    dir.write("file", "old");
    REQUIRE(::chown(path.c_str(), 1234, 2345) == 0);
    ::chmod(path.c_str(), 06664);
    scripted_calls calls;
    write_file(path, calls);
    struct stat st{};
    REQUIRE(::stat(path.c_str(), &st) == 0);
    CHECK(st.st_uid == 1234);
    CHECK(st.st_gid == 2345);
    CHECK(mode_of(path) == 0664);
    CHECK(std::ranges::count(calls.made, "change_owner") == 1);
    SUBCASE("root gets an error if the owner cannot be kept") {
        calls.before = [&calls](const std::string& call, const std::string&) {
            if (call == "change_owner") calls.failing = calls.made.size() - 1;
        };
        calls.error = EPERM;
        CHECK_THROWS_AS(write_file(path, calls), rangeio::tool::failed);
        CHECK(dir.names() == names{"file"});
    }
    SUBCASE("without root, a group that cannot be kept loses the permissions that others lack") {
        ::chmod(dir.path().c_str(), 0777);
        REQUIRE(::seteuid(65534) == 0);
        write_file(path, calls);
        REQUIRE(::seteuid(0) == 0);
        REQUIRE(::stat(path.c_str(), &st) == 0);
        CHECK(st.st_uid == 65534);
        CHECK(mode_of(path) == 0644);
    }
}

TEST_SUITE_END();

}  // namespace
}  // namespace support
