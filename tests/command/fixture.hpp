#pragma once

#include "command/process.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace support {

/// A directory of a test's own, gone at its end.
class scratch {
public:
    scratch();
    ~scratch();
    scratch(const scratch&) = delete;
    scratch& operator=(const scratch&) = delete;

    const std::filesystem::path& path() const noexcept { return path_; }
    std::string operator/(std::string_view name) const { return (path_ / name).string(); }
    void write(const std::string& name, std::string_view content) const;
    std::string read(const std::string& name) const;
    /// The names in it, ordered, hidden ones too.
    std::vector<std::string> names() const;

private:
    std::filesystem::path path_;
};

/// `size` bytes that differ from those at any other offset nearby.
std::string pattern(std::size_t size);

/// The most bytes that `cat` and `cp` read and write at once.
extern const std::size_t block_bytes;
/// More than one block, and more than ten.
std::string beyond_one_block();
std::string many_blocks();

/// `rangeio emulate` on a directory with a bucket `bucket`, and the command as its client.
struct fixture {
    /// With further arguments.
    explicit fixture(const std::vector<std::string>& arguments = {});

    scratch root;
    process server;
    std::string address;

    void put(const std::string& object, std::string_view content) const {
        root.write("bucket/" + object, content);
    }
    /// Runs the command against the emulator.
    outcome run(const std::vector<std::string>& arguments, process::settings how = {}) const;
    process::settings here(process::settings how = {}) const;
    /// The number of ranges that the emulator, started with --verbose, was asked for. Ends it.
    std::uint64_t ranges();
};

/// A command that reads an object of two blocks requests each by itself with --prefetch off, and otherwise more ranges.
/// `here` was started with --verbose.
void check_prefetch_option(fixture& here, std::vector<std::string> command);

}  // namespace support
