#include "command/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <system_error>

extern char** environ;

namespace support {
namespace {

[[noreturn]] void fail(const std::string& what) {
    throw std::system_error(errno, std::generic_category(), what);
}

std::pair<unique_fd, unique_fd> make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail("pipe2");
    return {unique_fd(ends[0]), unique_fd(ends[1])};
}

std::string program_under_test(const std::string& variable) {
    const char* const path = std::getenv(variable.c_str());
    if (path == nullptr) throw std::runtime_error(variable + " must name the program under test");
    return path;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
    std::vector<char*> out;
    out.reserve(strings.size() + 1);
    for (std::string& text : strings) out.push_back(text.data());
    out.push_back(nullptr);
    return out;
}

std::vector<std::string> environment_with(const std::vector<std::string>& extra) {
    std::vector<std::string> all = extra;
    for (char** at = environ; *at != nullptr; ++at) {
        const std::string inherited = *at;
        const std::string name = inherited.substr(0, inherited.find('=') + 1);
        // The user's own settings for these are none of a test's business.
        const bool dropped = name.starts_with("GRPC_") || name.starts_with("STORAGE_EMULATOR_") ||
                             name.starts_with("GOOGLE_APPLICATION_");
        const bool replaced =
            std::ranges::any_of(extra, [&name](const std::string& e) { return e.starts_with(name); });
        if (!dropped && !replaced) all.push_back(inherited);
    }
    return all;
}

}  // namespace

void unique_fd::reset() noexcept {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

process::process(const std::vector<std::string>& arguments, const settings& how) {
    auto [out_read, out_write] = make_pipe();
    auto [err_read, err_write] = make_pipe();
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (how.out_path == "-") {
        ::posix_spawn_file_actions_addclose(&actions, STDOUT_FILENO);
    } else if (!how.out_path.empty()) {
        ::posix_spawn_file_actions_addopen(
            &actions, STDOUT_FILENO, how.out_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666
        );
    } else {
        ::posix_spawn_file_actions_adddup2(&actions, out_write.get(), STDOUT_FILENO);
    }
    const int err = how.err_fd >= 0 ? how.err_fd : err_write.get();
    ::posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);

    // The parent of the tests may ignore some of the signals.
    posix_spawnattr_t attributes;
    ::posix_spawnattr_init(&attributes);
    sigset_t all;
    ::sigfillset(&all);
    ::posix_spawnattr_setsigdefault(&attributes, &all);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);

    std::vector<std::string> words = arguments;
    words.insert(words.begin(), program_under_test(how.program));
    if (!how.shell.empty()) {
        words.insert(words.begin(), {"/bin/sh", "-c", "set -e; " + how.shell + R"(; exec "$0" "$@")"});
    }
    std::vector<std::string> environment = environment_with(how.environment);
    const int problem = ::posix_spawn(
        &pid_,
        words.front().c_str(),
        &actions,
        &attributes,
        pointers(words).data(),
        pointers(environment).data()
    );
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
    if (problem != 0) throw std::system_error(problem, std::generic_category(), words.front());
    out_ = std::move(out_read);
    err_ = std::move(err_read);
    pid_fd_ = unique_fd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
}

process::~process() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
}

void process::signal(int number) const {
    if (::kill(pid_, number) != 0) fail("kill");
}

int process::left() const {
    const auto time = std::chrono::duration_cast<std::chrono::milliseconds>(ends_ - clock::now());
    if (time.count() <= 0) throw std::runtime_error("the command under test did not end in time");
    return static_cast<int>(time.count());
}

bool process::read_more(unique_fd& from, std::string& into) const {
    pollfd readable{from.get(), POLLIN, 0};
    ::poll(&readable, 1, left());
    std::array<char, 65536> block{};
    if (readable.revents == 0) return true;
    const ssize_t got = ::read(from.get(), block.data(), block.size());
    if (got > 0) into.append(block.data(), static_cast<std::size_t>(got));
    return got > 0;
}

std::string process::read(std::size_t bytes) {
    while (buffered_.size() < bytes) {
        if (!read_more(out_, buffered_)) throw std::runtime_error("its output ended early");
    }
    std::string taken = buffered_.substr(0, bytes);
    buffered_.erase(0, bytes);
    return taken;
}

std::string process::read_line() {
    while (buffered_.find('\n') == std::string::npos) {
        if (!read_more(out_, buffered_)) throw std::runtime_error("its output ended early");
    }
    const std::size_t end = buffered_.find('\n');
    std::string line = buffered_.substr(0, end);
    buffered_.erase(0, end + 1);
    return line;
}

outcome process::wait() {
    outcome result;
    result.out = std::move(buffered_);
    bool out_open = out_.get() >= 0;
    bool err_open = true;
    while (out_open || err_open) {
        std::array<pollfd, 2> waited{
            pollfd{out_open ? out_.get() : -1, POLLIN, 0}, pollfd{err_open ? err_.get() : -1, POLLIN, 0}
        };
        ::poll(waited.data(), waited.size(), left());
        if (waited[0].revents != 0) out_open = read_more(out_, result.out);
        if (waited[1].revents != 0) err_open = read_more(err_, result.err);
    }
    pollfd ended{pid_fd_.get(), POLLIN, 0};
    while (ended.revents == 0) ::poll(&ended, 1, left());
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return result;
}

process_settings stress_settings() {
    process_settings out;
    out.program = "RANGEIO_STRESS";
    return out;
}

outcome run(const std::vector<std::string>& arguments, const process::settings& how) {
    process running(arguments, how);
    return running.wait();
}

}  // namespace support
