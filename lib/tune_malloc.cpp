#include <rangeio/tune_malloc.hpp>

// Any header of the C library defines __GLIBC__ if this is glibc.
#include <cstdlib>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace rangeio {

bool tune_malloc() noexcept {
#if defined(__GLIBC__)
    constexpr int mib = 1 << 20;
    // Setting any of these disables glibc's dynamic adjustment of the thresholds, so all are set.
    const bool trim = mallopt(M_TRIM_THRESHOLD, 256 * mib) != 0;
    const bool pad = mallopt(M_TOP_PAD, 64 * mib) != 0;
    const bool map = mallopt(M_MMAP_THRESHOLD, 32 * mib) != 0;
    const bool arenas = mallopt(M_ARENA_MAX, 1) != 0;
    return trim && pad && map && arenas;
#else
    return false;
#endif
}

}  // namespace rangeio
