#pragma once

#include <rangeio/proto/storage.pb.h>

#include "emulator/faults/fault_state.hpp"
#include "emulator/protocol/messages.hpp"
#include "emulator/protocol/request_params.hpp"
#include "emulator/protocol/status.hpp"
#include "emulator/store/object_store.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <variant>
#include <vector>

namespace rangeio::emulator {

/// The serving side of one BidiReadObject call: messages in, steps out. No gRPC, no threads, no clock.
///
///   state    | a message           | half-close            | next()
///   ---------+---------------------+-----------------------+------------------------------------------------
///   new      | -> open (or failed) | -> failed             | wait
///   open     | queue its ranges    | -> draining           | send the opening, then one chunk of each range
///            | (or -> failed)      |                       | in turn; wait when there is none
///   draining | cannot happen       | -                     | as open; finish with OK when there is none
///   failed   | ignored             | ignored               | finish with the error
///
/// Faults (read_stream_faults.cpp) intervene: they make next() wait, finish or change the object before it sends, and
/// change what it sends.
///
/// Threads: none; the caller serializes.
class read_stream {
public:
    using time_point = std::chrono::steady_clock::time_point;

    struct settings {
        bool strict = true;
        std::int64_t max_chunk_bytes = std::int64_t{2} << 20;
    };

    /// Nothing to do until the next event. With a delay, the end of the delay is an event, reported by `waited()`; a
    /// wait without a delay leaves an earlier delay running, every other step ends it.
    struct wait_step {
        std::chrono::nanoseconds delay{0};
    };
    /// The opening needs the object's checksum: compute it on another thread, because it would block other calls, then
    /// call next() again.
    struct checksum_step {
        object_ptr object;
    };
    /// Change the object, by change(), which takes long: call it on another thread, then call next() again.
    struct change_step {
        bool replace = false;
        std::int64_t grow_bytes = 0;
    };
    /// Apply this fault to the connection of the call, or to all connections.
    struct connection_step {
        const testing::fault* what = nullptr;
    };
    struct send_step {
        time_point due;      // of the messages that asked for the data, the latest
        object_ptr opening;  // describe this object, and issue a handle for it; may be null
        std::optional<bidi_response::range_data> data;
        bool more = false;  // the step after this one is not a wait_step

        // Used by faults only.
        bool no_metadata = false;      // the opening has only the handle
        bool no_generation = false;    // the opening's metadata has no generation
        bool wild_timestamps = false;  // the opening's metadata has wild timestamps
        std::uint64_t padding = 0;     // bytes of an unknown field
        std::uint64_t empty_chunks = 0;
        std::uint64_t new_handle = 0;  // the number of a handle to issue; 0: none
        std::vector<bidi_response::range_data> more_data;
    };
    /// End the call.
    struct finish_step {
        status how;
        bool goaway = false;  // and after that, close all connections
    };
    using step = std::variant<wait_step, checksum_step, change_step, connection_step, send_step, finish_step>;

    /// `faults`: empty if there are none.
    read_stream(
        object_store& store,
        const settings& how,
        request_params params,
        std::optional<call_faults> faults = {}
    );

    /// Takes a serialized BidiReadObjectRequest.
    ///
    /// `due`: the time to serve it, which has come. The chunks of its ranges refer to it.
    ///
    /// Returns: the number of ranges that it asks for.
    std::size_t on_message(std::string_view message, time_point due);
    void on_half_close();
    /// Ends the call for a failure outside of this class.
    void fail(status why);
    /// The delay of the last wait_step that had one is over, and no other step was returned since.
    void waited();

    /// The name of the object; empty before it is known.
    std::string name() const;

    /// Whether another message may be read. False while too much is queued: the client has to wait then.
    bool wants_message() const noexcept;

    /// The next step. A step that was returned counts as done.
    step next();

    /// Serializes a step, and reads the bytes of the chunk.
    ///
    /// Throws:  call_error.
    /// Threads: may run concurrently with other members: it reads only state that no longer changes once there is a
    ///          step.
    framed_message encode(const send_step& what) const;
    /// As encode().
    void change(const change_step& how) const;

private:
    using spec = proto::storage::v2::BidiReadObjectSpec;
    using request = proto::storage::v2::BidiReadObjectRequest;

    // The unsent rest of one range.
    struct active_range {
        object_ptr object;
        time_point due;
        std::int64_t read_id = 0;
        std::int64_t offset = 0;
        std::int64_t end = 0;
        // For faults: the number of the range on this call, and its first offset.
        std::uint64_t number = 0;
        std::int64_t begin = 0;
    };

    void take(const request& message, time_point due);
    void open(const spec& wanted);
    void add(const request& message, time_point due);
    bidi_response::range_data take_chunk(active_range& range, std::int64_t max_bytes);

    const testing::fault* strike(testing::fault_kind kind, const active_range* range = nullptr);
    object_ptr faulty_object(object_ptr object);
    std::optional<step> faulty_step();
    std::optional<step> faulty_opening();
    std::optional<step> faulty_end();
    std::optional<step> faulty_idleness();
    step wait(std::chrono::nanoseconds delay);
    step end(status how);
    step faulty_send();
    void add_faulty_chunk(send_step& send);
    std::string text_of_range_error(const std::string& text);

    object_store& store_;
    settings settings_;
    request_params params_;

    spec spec_;
    std::string bucket_;
    object_ptr object_;
    bool opening_due_ = false;
    bool half_closed_ = false;
    std::deque<active_range> ranges_;  // in the order in which they are served
    std::unordered_set<std::int64_t> outstanding_;
    std::optional<status> end_;

    // Faults.
    std::optional<call_faults> faults_;
    // The faults that were considered already for the next response; they would strike again at each call of next().
    struct considered {
        bool slow_link = false;
        bool slow_open = false;
        bool fail_open = false;
        bool change = false;
        bool latency = false;
    };
    considered considered_;
    std::uint64_t bytes_per_second_ = 0;  // 0: unlimited
    std::optional<std::chrono::nanoseconds> idle_limit_;
    std::size_t mute_ranges_ = 0;
    bool aged_ = false;  // the call keeps the object as it was
    bool hung_ = false;
    bool cut_off_ = false;  // the connection of the call is lost
    bool waiting_ = false;  // for the end of a delay only
    bool idle_ = false;     // a delay is pending that a message ends
    bool goaway_ = false;
    std::optional<send_step> held_;                     // to be sent when the wait is over
    std::deque<bidi_response::range_data> afterwards_;  // chunks for ranges that are complete
};

}  // namespace rangeio::emulator
