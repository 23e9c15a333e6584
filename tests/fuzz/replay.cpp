// The inputs that are kept, corpora and what once went wrong, in every build and without libFuzzer.

#include "fuzz/targets.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace {

using namespace rangeio::fuzz;

std::string content(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

void replay(const target& t) {
    const char* const given = std::getenv("RANGEIO_CORPUS");
    const std::filesystem::path corpus = given != nullptr ? given : "tests/fuzz/corpus";
    std::size_t inputs = 0;
    for (const auto& entry : std::filesystem::directory_iterator(corpus / t.name)) {
        CAPTURE(entry.path().filename().string());
        CHECK_NOTHROW(t.run(content(entry.path())));
        ++inputs;
    }
    CHECK(inputs > 0);
}

}  // namespace

TEST_CASE("corpus: every stored input passes") {
    for (const target& t : targets) {
        CAPTURE(t.name);
        replay(t);
    }
}
