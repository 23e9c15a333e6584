#pragma once

// The whole library, but for the hooks of simulations (context_clock.hpp, preemption.hpp). The simulation
// (rangeio/sim/), the scripted services (rangeio/testing/) and the emulator (rangeio/emulator.hpp) are separate
// libraries.

#include <rangeio/access_pattern.hpp>
#include <rangeio/byte_block.hpp>
#include <rangeio/byte_range.hpp>
#include <rangeio/byte_slice.hpp>
#include <rangeio/client.hpp>
#include <rangeio/completion_token.hpp>
#include <rangeio/crc32c.hpp>
#include <rangeio/direct_buffer.hpp>
#include <rangeio/error.hpp>
#include <rangeio/fetch_options.hpp>
#include <rangeio/fwd.hpp>
#include <rangeio/grpc_log.hpp>
#include <rangeio/memory_budget.hpp>
#include <rangeio/memory_budget_stats.hpp>
#include <rangeio/mrd_pool.hpp>
#include <rangeio/mrd_pool_cache.hpp>
#include <rangeio/multi_range_downloader.hpp>
#include <rangeio/object.hpp>
#include <rangeio/object_reader.hpp>
#include <rangeio/observer.hpp>
#include <rangeio/pool_cache_stats.hpp>
#include <rangeio/pool_stats.hpp>
#include <rangeio/range_spec.hpp>
#include <rangeio/readahead_cache.hpp>
#include <rangeio/retry_policy.hpp>
#include <rangeio/split_range.hpp>
#include <rangeio/stream_stats.hpp>
#include <rangeio/tune_malloc.hpp>
#include <rangeio/version.hpp>
