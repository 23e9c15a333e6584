#pragma once

#include "common/file_calls.hpp"

#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace rangeio::tool {

/// Something that went wrong, told in one line. Exit code 1.
class failed : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Something about a file: `what: why`, with the words of `errno_value`.
failed file_failed(std::string_view what, int errno_value);

/// The command line asks for what cannot be. Exit code 2.
class usage_failed : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// A signal ended the work, all of it has been cleaned up. The process ends by that signal, as its parent
/// expects. An empty message: nothing is printed.
class interrupted : public std::runtime_error {
public:
    explicit interrupted(int signal, const std::string& message = "")
        : runtime_error(message), signal_(signal) {}
    int signal() const noexcept { return signal_; }

private:
    int signal_;
};

/// To be called first. `name` leads what complain() prints. Standard streams that are closed are opened on /dev/null, each in the direction in
/// which it fails: else the first socket would become standard output. SIGPIPE and SIGXFSZ are ignored: what is
/// written reports the same as an error, after which files are cleaned up.
void prepare_process(const std::string& name);

/// Ends this process by `signal`, however that is handled at the moment.
[[noreturn]] void die_of(int signal);

/// Writes all of it, however long that takes.
///
/// Throws: `interrupted` (SIGPIPE) when nobody reads any more; `failed`, naming `target`.
void write_all(
    int fd, std::span<const std::byte> bytes, std::string_view target, file_calls& calls = file_calls::real()
);

/// The bytes of a file, or one more than `max_bytes` of them if it has more. Throws: `failed`, naming `what`.
std::string read_file(const std::string& path, std::size_t max_bytes, std::string_view what);

/// Standard output, at once.
void write_out(std::span<const std::byte> bytes);
void write_out(std::string_view text);

/// Closes standard output. Throws: `failed` for what the file system only tells then.
void close_out(file_calls& calls = file_calls::real());

/// One line on standard error: the name of the program, a colon and the text, whatever the text has in it.
void complain(std::string_view text);

/// One line on standard error that says how far something is. If it cannot be shown, nobody is looking.
void show_progress(std::string line);

}  // namespace rangeio::tool
