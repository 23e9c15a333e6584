#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace support {

/// A descriptor, closed at its end.
class unique_fd {
public:
    explicit unique_fd(int fd = -1) noexcept : fd_(fd) {}
    unique_fd(unique_fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    unique_fd& operator=(unique_fd&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~unique_fd() { reset(); }

    int get() const noexcept { return fd_; }
    void reset() noexcept;

private:
    int fd_;
};

/// How a process ended, and what it wrote.
struct outcome {
    /// As in a shell: the exit code, or 128 + the signal.
    int code = -1;
    std::string out;
    std::string err;

    /// Whether there is exactly one line on standard error.
    bool one_line() const { return !err.empty() && err.find('\n') == err.size() - 1; }
};

/// What a process under test starts with.
struct process_settings {
    /// The variable that names the program.
    std::string program = "RANGEIO_COMMAND";
    /// NAME=VALUE, besides what is inherited.
    std::vector<std::string> environment = {};
    /// Standard output goes there; empty: to this object; "-": it is closed.
    std::string out_path = {};
    /// One of ours that is its standard error, instead of a pipe to this object.
    int err_fd = -1;
    /// What a shell is to do first, in the process that then is the command: limits and signals are inherited.
    std::string shell = {};
};

/// A process under test. It is killed at its deadline, and with this object: none outlives a test.
class process {
public:
    static constexpr auto deadline = std::chrono::seconds(30);

    using settings = process_settings;

    /// Runs the command under test.
    explicit process(const std::vector<std::string>& arguments, const settings& how = {});
    process(const process&) = delete;
    process& operator=(const process&) = delete;
    ~process();

    /// The next line of its standard output, without the line's end. Throws at the deadline.
    std::string read_line();
    /// Exactly as many bytes of its standard output.
    std::string read(std::size_t bytes);
    /// Closes the reading end of its standard output.
    void close_out() { out_.reset(); }
    void signal(int number) const;
    /// Reads what is left of its output, until it ends. Throws at the deadline.
    outcome wait();

private:
    using clock = std::chrono::steady_clock;

    // False at the end of that stream.
    bool read_more(unique_fd& from, std::string& into) const;
    int left() const;

    pid_t pid_ = -1;
    unique_fd pid_fd_;
    unique_fd out_;
    unique_fd err_;
    std::string buffered_;
    clock::time_point ends_ = clock::now() + deadline;
};

/// Of `rangeio-stress`.
process_settings stress_settings();

/// Runs the command to its end.
outcome run(const std::vector<std::string>& arguments, const process::settings& how = {});

}  // namespace support
