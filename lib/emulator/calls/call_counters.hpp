#pragma once

#include <rangeio/emulator.hpp>

#include <atomic>
#include <cstdint>

namespace rangeio::emulator {

/// The counters of rpc_stats, incremented by several threads.
struct rpc_counters {
    std::atomic<std::uint64_t> calls{0};
    std::atomic<std::uint64_t> open{0};
    std::atomic<std::uint64_t> requests{0};
    std::atomic<std::uint64_t> responses{0};

    rpc_stats read() const noexcept { return {calls, open, requests, responses}; }
};

/// Those counters of server_stats that several threads increment.
struct call_counters {
    rpc_counters bidi_read_object;
    rpc_counters read_object;
    rpc_counters get_object;
    rpc_counters list_objects;
    rpc_counters get_bucket;
    rpc_counters get_storage_layout;
    rpc_counters get_folder;
    rpc_counters unknown;
    std::atomic<std::uint64_t> ranges_requested{0};
    std::atomic<std::uint64_t> ranges_served{0};
    std::atomic<std::uint64_t> bytes_sent{0};
    std::atomic<std::uint64_t> authorized_calls{0};

    server_stats read() const noexcept {
        return {
            bidi_read_object.read(),
            read_object.read(),
            get_object.read(),
            list_objects.read(),
            get_bucket.read(),
            get_storage_layout.read(),
            get_folder.read(),
            unknown.read(),
            ranges_requested,
            ranges_served,
            bytes_sent,
            {},
            {},
            0,
            0,
            authorized_calls,
            {},
            {},
            {},
        };
    }
};

}  // namespace rangeio::emulator
