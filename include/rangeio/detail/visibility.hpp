#pragma once

// The shared library exports declarations with RANGEIO_API and no others; tests/ci/exports.txt lists them.
#if defined(__GNUC__)
#define RANGEIO_API __attribute__((visibility("default")))
#else
#define RANGEIO_API
#endif
