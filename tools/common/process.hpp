#pragma once

#include "common/file_calls.hpp"

#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace rangeio::tool {

/// A failure, reported in one line. Exit code 1.
class failed : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// A failure of a file: `what: why`, with the text of `errno_value`.
failed file_failed(std::string_view what, int errno_value);

/// The command line is invalid. Exit code 2.
class usage_failed : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// A signal ended the work, and everything has been cleaned up. The process ends by that signal, as its parent expects.
/// An empty message: nothing is printed.
class interrupted : public std::runtime_error {
public:
    explicit interrupted(int signal, const std::string& message = "")
        : runtime_error(message), signal_(signal) {}
    int signal() const noexcept { return signal_; }

private:
    int signal_;
};

/// Prepares the process; to be called first. `name` is the prefix of the lines that complain() prints. Standard streams
/// that are closed are opened on /dev/null, each in the direction in which it fails: otherwise the first socket would
/// become standard output. SIGPIPE and SIGXFSZ are ignored: the write reports the same condition as an error, after
/// which files are cleaned up.
void prepare_process(const std::string& name);

/// Ends this process by `signal`, however it is handled at the moment.
[[noreturn]] void die_of(int signal);

/// Writes all bytes, however long that takes.
///
/// Throws: `interrupted` (SIGPIPE) when the pipe has no reader any more; `failed`, naming `target`.
void write_all(
    int fd, std::span<const std::byte> bytes, std::string_view target, file_calls& calls = file_calls::real()
);

/// The bytes of a file, or the first `max_bytes` + 1 of them if it has more.
///
/// Throws: `failed`, naming `what`.
std::string read_file(const std::string& path, std::size_t max_bytes, std::string_view what);

/// Writes to standard output, without buffering.
void write_out(std::span<const std::byte> bytes);
void write_out(std::string_view text);

/// Closes standard output.
///
/// Throws: `failed` for an error that the file system reports only then.
void close_out(file_calls& calls = file_calls::real());

/// Prints one line on standard error: the name of the program, a colon and the text. Line breaks and control characters
/// in the text are escaped.
void complain(std::string_view text);

/// Prints one line of progress on standard error. A failure to print is ignored.
void show_progress(std::string line);

}  // namespace rangeio::tool
