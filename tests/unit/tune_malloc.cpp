#include <rangeio/tune_malloc.hpp>

#include <doctest/doctest.h>

#include <cstdlib>

namespace {

TEST_SUITE_BEGIN("tune_malloc");

TEST_CASE("tune_malloc: takes effect where the allocator is glibc's, and only there") {
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    CHECK(rangeio::tune_malloc());
#elif !defined(__GLIBC__)
    CHECK_FALSE(rangeio::tune_malloc());
#endif
}

TEST_SUITE_END();

}  // namespace
