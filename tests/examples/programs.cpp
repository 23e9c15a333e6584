#include <rangeio/crc32c.hpp>
#include <rangeio/emulator.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <stdlib.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

/// An emulator on a directory of its own, with a bucket `examples`.
class served {
public:
    served() : server_(rangeio::emulator::server_options().root(root_.path)) {}

    void put(const std::string& name, std::string_view content) const {
        std::ofstream file(root_.path / "examples" / name, std::ios::binary);
        file.exceptions(std::ios::failbit | std::ios::badbit);
        file << content << std::flush;
    }
    std::string address() const { return server_.address(); }
    rangeio::emulator::server_stats stats() const { return server_.stats(); }

private:
    struct directory {
        directory() {
            std::string name = (std::filesystem::temp_directory_path() / "rangeio-example-XXXXXX").string();
            if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
            path = name;
            std::filesystem::create_directory(path / "examples");
        }
        ~directory() {
            std::error_code ignored;
            std::filesystem::remove_all(path, ignored);
        }
        std::filesystem::path path;
    };

    directory root_;
    rangeio::emulator::server server_;
};

struct ending {
    int code = -1;
    std::string said;  // on both streams
};

/// `which`: the variable that names the program.
ending run_example(
    const std::string& arguments, const std::string& endpoint, const char* which = "RANGEIO_READ_OBJECT"
) {
    const char* const program = std::getenv(which);
    if (program == nullptr)
        throw std::runtime_error(fmt::format("{} is not set: run this by `meson test`", which));
    const std::string command =
        fmt::format("STORAGE_EMULATOR_HOST_GRPC='{}' '{}' {} 2>&1", endpoint, program, arguments);
    FILE* const pipe = ::popen(command.c_str(), "r");
    if (pipe == nullptr) throw std::runtime_error("popen " + command);
    ending out;
    std::array<char, 4096> buffer;
    for (std::size_t n = 0; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) != 0;) {
        out.said.append(buffer.data(), n);
    }
    const int status = ::pclose(pipe);
    if (WIFEXITED(status)) out.code = WEXITSTATUS(status);
    return out;
}

}  // namespace

TEST_CASE("read_object: size and checksum of the read object are printed") {
    const served s;
    std::string content;
    for (int i = 0; content.size() < (std::size_t{20} << 20); ++i) content += fmt::format("{:08x}\n", i);
    for (const auto size : {content.size(), std::size_t{1}, std::size_t{0}}) {
        content.resize(size);
        s.put("o", content);
        const std::uint32_t crc = rangeio::crc32c(std::as_bytes(std::span(content)));
        const ending end = run_example("gs://examples/o", s.address());
        CHECK(end.said == fmt::format("{} bytes, CRC32C {:x}\n", size, crc));
        CHECK(end.code == 0);
    }
}

TEST_CASE("read_object: a missing object is named in one line") {
    const served s;
    const ending end = run_example("gs://examples/missing", s.address());
    CHECK(end.said.find("gs://examples/missing") != std::string::npos);
    CHECK(end.said.find('\n') == end.said.size() - 1);
    CHECK(end.code == 1);
}

TEST_CASE("read_object: without an argument the form of an object name is printed") {
    const ending end = run_example("", "127.0.0.1:1");
    CHECK(end.said.find("gs://bucket/object") != std::string::npos);
    CHECK(end.code == 1);
}

TEST_CASE("parquet_metadata: the metadata is read in one round trip if it is short") {
    const served s;
    for (const std::size_t size : {std::size_t{100}, std::size_t{100'000}}) {
        std::string metadata;
        for (int i = 0; metadata.size() < size; ++i) metadata += fmt::format("{:09x}\n", i);
        std::string length(4, '\0');
        for (std::size_t i = 0; i < 4; ++i) length[i] = static_cast<char>(metadata.size() >> 8 * i);
        s.put("o", "PAR1" + std::string(1'000'000, 'x') + metadata + length + "PAR1");
        const std::uint64_t before = s.stats().ranges_requested;
        const ending end = run_example("gs://examples/o", s.address(), "RANGEIO_PARQUET_METADATA");
        const std::uint32_t crc = rangeio::crc32c(std::as_bytes(std::span(metadata)));
        CHECK(end.said == fmt::format("{} bytes, CRC32C {:x}\n", metadata.size(), crc));
        CHECK(end.code == 0);
        // The magic and the footer; then the part of the metadata that is not in the footer.
        CHECK(s.stats().ranges_requested - before == (size < (64 << 10) ? 2 : 3));
    }
}

TEST_CASE("parquet_metadata: another file is an error") {
    const served s;
    s.put("o", "PART, but no Parquet file");
    const ending end = run_example("gs://examples/o", s.address(), "RANGEIO_PARQUET_METADATA");
    CHECK(end.said == "not a Parquet file\n");
    CHECK(end.code == 1);
}

TEST_CASE("combining: the output is that of docs/combining.md") {
    const served s;
    s.put("o", "a content of 20 byte");
    const ending end = run_example("gs://examples/o", s.address(), "RANGEIO_COMBINING");
    const std::vector<std::string> lines{
        "tokens: gs://examples/o [1000000, 1000010): the object ends at 20",
        "two at once: 10 and 5 bytes",
        "whichever ends first: range not satisfiable",
        "limited: 10 bytes",
        "strand: 10 bytes here",
        "callback: 10 bytes, Success",
        "future: 10 bytes",
    };
    CAPTURE(end.said);
    for (const std::string& line : lines) CHECK(end.said.find(line + '\n') != std::string::npos);
    CHECK(end.code == 0);
}
