#include "command/fixture.hpp"

#include "block_reader.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>

namespace support {
namespace {

std::vector<std::string> emulate(const scratch& root, const std::vector<std::string>& arguments) {
    std::filesystem::create_directory(root.path() / "bucket");
    std::vector<std::string> words{"emulate", "--root", root.path().string()};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return words;
}

}  // namespace

scratch::scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "rangeio-command-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::system_error(errno, std::generic_category(), name);
    path_ = name;
}

scratch::~scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

void scratch::write(const std::string& name, std::string_view content) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary)
        .write(content.data(), static_cast<std::streamsize>(content.size()));
}

std::string scratch::read(const std::string& name) const {
    std::ifstream file(path_ / name, std::ios::binary | std::ios::ate);
    if (!file) return {};
    std::string content(static_cast<std::size_t>(file.tellg()), '\0');
    file.seekg(0);
    file.read(content.data(), static_cast<std::streamsize>(content.size()));
    return content;
}

std::vector<std::string> scratch::names() const {
    std::vector<std::string> all;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
        all.push_back(entry.path().filename().string());
    }
    std::ranges::sort(all);
    return all;
}

std::string pattern(std::size_t size) {
    std::string text(size, '\0');
    std::uint64_t state = 1;
    for (std::size_t at = 0; at < size; at += sizeof state) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        const std::uint64_t word = state ^ (state >> 32);  // the low bits are none too random
        std::memcpy(text.data() + at, &word, std::min(sizeof word, size - at));
    }
    return text;
}

const std::size_t block_bytes = rangeio::tool::max_block_bytes;

std::string beyond_one_block() {
    return pattern(block_bytes + 1);
}

std::string many_blocks() {
    return pattern(10 * block_bytes + 3);
}

fixture::fixture(const std::vector<std::string>& arguments)
    : server(emulate(root, arguments)), address(server.read_line()) {}

process::settings fixture::here(process::settings how) const {
    how.environment.push_back("STORAGE_EMULATOR_HOST_GRPC=" + address);
    return how;
}

outcome fixture::run(const std::vector<std::string>& arguments, process::settings how) const {
    return support::run(arguments, here(std::move(how)));
}

std::uint64_t fixture::ranges() {
    server.signal(SIGTERM);
    std::istringstream log(server.wait().err);
    const std::string before = " BidiReadObject gs://bucket/object: ";
    std::uint64_t out = 0;
    for (std::string line; std::getline(log, line);) {
        const auto at = line.find(before);
        if (at != std::string::npos && line.ends_with(" ranges"))
            out += std::stoull(line.substr(at + before.size()));
    }
    return out;
}

void check_prefetch_option(fixture& here, std::vector<std::string> command) {
    SUBCASE("off") {
        command.insert(command.end(), {"--prefetch", "off"});
        CHECK(here.run(command).code == 0);
        CHECK(here.ranges() == 2);
    }
    SUBCASE("adaptive") {
        CHECK(here.run(command).code == 0);
        CHECK(here.ranges() > 2);
    }
}

}  // namespace support
