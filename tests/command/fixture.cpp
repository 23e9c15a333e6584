#include "command/fixture.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

namespace testing {
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
    std::ifstream file(path_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
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
    for (char& c : text) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        c = static_cast<char>(state >> 56);
    }
    return text;
}

fixture::fixture(const std::vector<std::string>& arguments)
    : server(emulate(root, arguments)), address(server.read_line()) {}

process::settings fixture::here(process::settings how) const {
    how.environment.push_back("STORAGE_EMULATOR_HOST_GRPC=" + address);
    return how;
}

outcome fixture::run(const std::vector<std::string>& arguments, process::settings how) const {
    return testing::run(arguments, here(std::move(how)));
}

}  // namespace testing
