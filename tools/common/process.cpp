#include "common/process.hpp"

#include "common/printable.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>

namespace rangeio::tool {
namespace {

std::string program_name = "rangeio";
constexpr std::string_view standard_output = "standard output";
// Linux writes at most this number of bytes at once.
constexpr std::size_t max_write = std::size_t{1} << 30;

}  // namespace

failed file_failed(std::string_view what, int errno_value) {
    return failed(fmt::format("{}: {}", what, std::strerror(errno_value)));
}

void prepare_process(const std::string& name) {
    program_name = name;
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (::fcntl(fd, F_GETFD) == -1) ::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    }
    for (const int signal : {SIGPIPE, SIGXFSZ}) std::signal(signal, SIG_IGN);
}

void die_of(int signal) {
    struct sigaction by_default{};
    by_default.sa_handler = SIG_DFL;
    ::sigaction(signal, &by_default, nullptr);
    sigset_t only;
    ::sigemptyset(&only);
    ::sigaddset(&only, signal);
    ::pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
    ::kill(::getpid(), signal);
    // Not reached, unless the signal is ignored by default.
    std::_Exit(EXIT_FAILURE);
}

void write_all(int fd, std::span<const std::byte> bytes, std::string_view target, file_calls& calls) {
    while (!bytes.empty()) {
        const ssize_t written = calls.write(fd, bytes.data(), std::min(bytes.size(), max_write));
        if (written == 0)
            throw file_failed(target, ENOSPC);  // a device that is full, and has no error for it
        if (written > 0) {
            bytes = bytes.subspan(static_cast<std::size_t>(written));
        } else if (errno == EAGAIN) {
            // Another process that shares the descriptor has made it non-blocking.
            pollfd writable{fd, POLLOUT, 0};
            ::poll(&writable, 1, -1);
        } else if (errno == EPIPE) {
            throw interrupted(SIGPIPE);
        } else if (errno != EINTR) {
            throw file_failed(target, errno);
        }
    }
}

std::string read_file(const std::string& path, std::size_t max_bytes, std::string_view what) {
    std::ifstream file(path, std::ios::binary);
    std::string out;
    if (file) {
        out.resize(max_bytes + 1);
        file.read(out.data(), static_cast<std::streamsize>(out.size()));
        out.resize(static_cast<std::size_t>(file.gcount()));
    }
    if (!file.is_open() || file.bad()) throw file_failed(what, errno);
    return out;
}

void write_out(std::span<const std::byte> bytes) {
    write_all(STDOUT_FILENO, bytes, standard_output);
}

void write_out(std::string_view text) {
    write_out(std::as_bytes(std::span(text)));
}

void close_out(file_calls& calls) {
    if (calls.close(STDOUT_FILENO) != 0 && errno != EBADF) throw file_failed(standard_output, errno);
}

void complain(std::string_view text) {
    const std::string line = fmt::format("{}: {}\n", program_name, printable(text));
    // If the line cannot be written, there is no place left to report that.
    [[maybe_unused]] const ssize_t ignored = ::write(STDERR_FILENO, line.data(), line.size());
}

void show_progress(std::string line) {
    line += '\n';
    [[maybe_unused]] const ssize_t ignored = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace rangeio::tool
