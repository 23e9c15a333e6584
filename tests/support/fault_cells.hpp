#pragma once

#include <rangeio/testing/fault_script.hpp>

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

// Each fault at each stage of a read. The reads are the same everywhere: an object of 24 bytes in chunks of 2, first
// 0-16 as two ranges at once, then, after a pause, 8-24.
namespace support {

enum class stage { opening, first_piece, middle, last_piece, resuming, idle, cancelled, closing };

struct stage_row {
    stage what;
    std::string_view title;
};
inline constexpr std::array stages{
    stage_row{stage::opening, "opening"},
    stage_row{stage::first_piece, "first piece"},
    stage_row{stage::middle, "middle"},
    stage_row{stage::last_piece, "last piece"},
    stage_row{stage::resuming, "resuming"},
    stage_row{stage::idle, "idle"},
    stage_row{stage::cancelled, "read is cancelled"},
    stage_row{stage::closing, "pool closes"},
};

/// The time at which a reader abandons its read, by cancelling it or closing its pool: the chunks of a read arrive a
/// millisecond apart, so this is between the last chunk of the first range and the last one of the second.
inline constexpr std::chrono::microseconds giving_up{7500};

/// The moments of a call at which a fault can strike.
enum class reach {
    call_end,   ///< before anything is sent, and at any byte
    chunk,      ///< with a chunk of a range
    range_end,  ///< with the last chunk of a range
    range,      ///< when a range is requested
    open,       ///< instead of the first response
    response,   ///< with the first response of a call
    call,       ///< throughout a call
    idle,       ///< while the stream is idle
    service,    ///< of the service as a whole
    metadata,   ///< not on the call of a read
};

inline reach reach_of(rangeio::testing::fault_kind kind) {
    using rangeio::testing::fault_kind;
    switch (kind) {
        case fault_kind::reset:
        case fault_kind::redirect:
        case fault_kind::silent_connection:
        case fault_kind::too_many_pings:
        case fault_kind::outage:
        case fault_kind::goaway: return reach::call_end;
        case fault_kind::max_streams: return reach::service;
        case fault_kind::surplus:
        case fault_kind::short_end:
        case fault_kind::late_id:
        case fault_kind::no_range_end:
        case fault_kind::double_range_end:
        case fault_kind::empty_range_end: return reach::range_end;
        case fault_kind::mute: return reach::range;
        case fault_kind::slow_open:
        case fault_kind::fail_open:
        case fault_kind::hang_open: return reach::open;
        case fault_kind::no_metadata:
        case fault_kind::no_generation:
        case fault_kind::old_size:
        case fault_kind::wild_timestamp: return reach::response;
        case fault_kind::bandwidth:
        case fault_kind::slow_link:
        case fault_kind::batch:
        case fault_kind::chunk: return reach::call;
        case fault_kind::idle_abort: return reach::idle;
        case fault_kind::fail_metadata:
        case fault_kind::hang_metadata:
        case fault_kind::repeat_page:
        case fault_kind::empty_page:
        case fault_kind::unordered_page: return reach::metadata;
        default: return reach::chunk;
    }
}

/// The place of the fault in the first call for this stage; empty if it cannot strike there.
inline std::optional<std::string_view> place_of(reach how, stage when) {
    if (how == reach::metadata) return std::nullopt;
    const bool ranged = how == reach::chunk || how == reach::call_end;
    if (how == reach::service) {
        const bool all_through =
            when == stage::opening || when == stage::resuming || when >= stage::cancelled;
        return all_through ? std::optional<std::string_view>("") : std::nullopt;
    }
    switch (when) {
        case stage::opening:
            if (how == reach::call_end) return "call=1";
            if (how == reach::open || how == reach::call || how == reach::response) return "call=1";
            return std::nullopt;
        case stage::first_piece:
            if (ranged) return "call=1 range=1";
            if (how == reach::range) return "call=1 range=1";
            return std::nullopt;
        case stage::middle:
            if (ranged) return "call=1 range=1 byte=4";
            return std::nullopt;
        case stage::last_piece:
            if (ranged) return "call=1 range=1 byte=6";
            if (how == reach::range_end) return "call=1 range=1";
            return std::nullopt;
        case stage::resuming:
            if (how == reach::call_end || how == reach::chunk || how == reach::range_end ||
                how == reach::range)
                return "call=2 range=1";
            return "call=2";
        case stage::idle:
            if (how == reach::call_end) return "call=1 byte=16";
            if (how == reach::idle) return "call=1";
            if (how == reach::response) return "call=2";
            return std::nullopt;
        case stage::cancelled:
        case stage::closing:
            if (ranged) return "call=1 range=1 byte=4";
            if (how == reach::range_end || how == reach::range) return "call=1 range=1";
            if (how == reach::open || how == reach::call) return "call=1";
            if (how == reach::response) return "call=2";
            return std::nullopt;
    }
    return std::nullopt;
}

/// Whether the object has to be one that is still being appended to.
inline bool needs_growth(rangeio::testing::fault_kind kind) {
    using rangeio::testing::fault_kind;
    return kind == fault_kind::grow || kind == fault_kind::old_size;
}

/// The script of a cell; empty if the fault cannot strike at that stage.
inline std::optional<std::string> script_of(rangeio::testing::fault_kind kind, stage when) {
    using rangeio::testing::fault_kind;
    const reach how = reach_of(kind);
    const auto place = place_of(how, when);
    if (!place) return std::nullopt;
    const bool given_up = when == stage::cancelled || when == stage::closing;
    std::string out;
    // A read has to be under way when the reader abandons it, and the fault has to have struck.
    if (given_up && kind == fault_kind::latency) return "latency delay=1ms";
    if (given_up && kind != fault_kind::slow_open && kind != fault_kind::hang_open) {
        out = kind == fault_kind::batch ? "latency delay=2ms; " : "latency delay=1ms; ";
    }
    if (when == stage::resuming || (given_up && how == reach::response))
        out += "reset call=1 range=1 byte=4; ";
    // Not before the first read is requested, which takes its time over gRPC, but before the second.
    if (when == stage::idle && how == reach::response) out += "idle-abort call=1 delay=10ms; ";
    if (kind == fault_kind::long_details) {
        const std::string_view call = when == stage::resuming ? "call=2" : "call=1";
        return out + "long-details bytes=20000 " + std::string(call) + "; range-error " + std::string(*place);
    }
    out += std::string(to_string(kind)) + ' ' + std::string(*place);
    switch (kind) {
        case fault_kind::latency:
        case fault_kind::idle_abort: return out + " delay=1ms";
        case fault_kind::slow_open: return out + " delay=20ms";
        case fault_kind::outage: return out + " delay=20ms";
        case fault_kind::bandwidth: return out + " bytes=1000";
        // The link has to carry the messages around the bytes, too.
        case fault_kind::slow_link: return out + " bytes=100000";
        case fault_kind::max_streams: return out + " bytes=1";
        case fault_kind::redirect: return out + " token=elsewhere handle=yes";
        // These faults concern later calls: so there has to be one.
        case fault_kind::new_generation:
            if (when == stage::resuming) return out + "; reset call=2 range=1 byte=2";
            return out + (when == stage::last_piece ? "; reset call=1 range=2 byte=6"
                                                    : "; reset call=1 range=1 byte=6");
        default: return out;
    }
}

}  // namespace support
