#include <rangeio/tune_malloc.hpp>

#include <doctest/doctest.h>

#include <cstdlib>

// A sanitizer brings an allocator of its own. GCC and clang say so in different ways.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif

namespace {

TEST_SUITE_BEGIN("tune_malloc");

TEST_CASE("tune_malloc: the call has an effect with glibc's allocator, and only there") {
#if defined(__GLIBC__) && !defined(SANITIZED)
    CHECK(rangeio::tune_malloc());
#elif !defined(__GLIBC__)
    CHECK_FALSE(rangeio::tune_malloc());
#endif
}

TEST_SUITE_END();

}  // namespace

#undef SANITIZED
