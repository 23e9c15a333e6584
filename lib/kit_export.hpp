#pragma once

#include <rangeio/detail/visibility.hpp>

// Exported for rangeio-testing of the same version, which runs the library's own streams over scripted calls. Not part
// of the API.
#define RANGEIO_KIT_EXPORT RANGEIO_API
