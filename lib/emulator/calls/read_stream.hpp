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
///   failed   | ignored             | ignored               | finish with what went wrong
///
/// Faults (read_stream_faults.cpp) come between: they make next() wait, finish or change the object before it sends, and
/// change what it sends.
///
/// Threads: none; the caller serialises.
class read_stream {
public:
    struct settings {
        bool strict = true;
        std::int64_t max_chunk_bytes = std::int64_t{2} << 20;
    };

    /// Nothing to do until the next event. With a delay, `waited()` is one when that is over; a wait without a delay leaves
    /// an earlier one running, every other step ends it.
    struct wait_step {
        std::chrono::nanoseconds delay{0};
    };
    /// The opening is to have the object's checksum: compute it elsewhere, for it holds up other calls, then ask again.
    struct checksum_step {
        object_ptr object;
    };
    /// Change the object, by change(), which takes long: do it elsewhere, then ask again.
    struct change_step {
        bool replace = false;
        std::int64_t grow_bytes = 0;
    };
    /// Do this to the connection of the call, or to all of them.
    struct connection_step {
        const testing::fault* what = nullptr;
    };
    /// Send this.
    struct send_step {
        object_ptr opening;  // describe this object, and give a handle for it; may be null
        std::optional<bidi_response::range_data> data;
        bool more = false;  // the step after this one is not a wait_step

        // What only faults do.
        bool no_metadata = false;      // the opening has the handle alone
        bool no_generation = false;    // which the opening's metadata lacks
        bool wild_timestamps = false;  // which it has
        std::uint64_t padding = 0;     // bytes of a field that nobody knows
        std::uint64_t empty_pieces = 0;
        std::uint64_t new_handle = 0;  // the number of a handle to give; 0: none
        std::vector<bidi_response::range_data> more_data;
    };
    /// End the call.
    struct finish_step {
        status how;
        bool goaway = false;  // and after that, all connections
    };
    using step = std::variant<wait_step, checksum_step, change_step, connection_step, send_step, finish_step>;

    /// `faults` may be none.
    read_stream(
        object_store& store,
        const settings& how,
        request_params params,
        std::optional<call_faults> faults = {}
    );

    /// Takes a serialised BidiReadObjectRequest. Returns how many ranges it asked for.
    std::size_t on_message(std::string_view message);
    void on_half_close();
    /// Something outside of this class went wrong.
    void fail(status why);
    /// The delay of the last wait_step that had one is over, and no other step came since.
    void waited();

    /// Of the object; empty before it is known.
    std::string name() const;

    /// Whether another message may be read. False while too much is queued: the client has to wait then.
    bool wants_message() const noexcept;

    /// What is next to do. A step that was returned counts as done.
    step next();

    /// Turns a step into bytes; reads the chunk. Throws call_error.
    /// Threads: may run while another member does: it reads only what no longer changes once there is a step.
    framed_message encode(const send_step& what) const;
    /// As encode().
    void change(const change_step& how) const;

private:
    using spec = proto::storage::v2::BidiReadObjectSpec;
    using request = proto::storage::v2::BidiReadObjectRequest;

    // What is still to be sent of one range.
    struct active_range {
        object_ptr object;
        std::int64_t read_id = 0;
        std::int64_t offset = 0;
        std::int64_t end = 0;
        // For faults: which range of the call it is, and where it began.
        std::uint64_t number = 0;
        std::int64_t begin = 0;
    };

    void take(const request& message);
    void open(const spec& wanted);
    void add(const request& message);
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
    std::deque<active_range> ranges_;  // in the order in which they get their turns
    std::unordered_set<std::int64_t> outstanding_;
    std::optional<status> end_;

    // Faults.
    std::optional<call_faults> faults_;
    // What was thought of already for the response that is next, and would strike again each time it is looked at.
    struct considered {
        bool slow_link = false;
        bool slow_open = false;
        bool fail_open = false;
        bool change = false;
        bool latency = false;
    };
    considered considered_;
    std::uint64_t bytes_per_second_ = 0;  // 0: any
    std::optional<std::chrono::nanoseconds> idle_limit_;
    std::size_t mute_ranges_ = 0;
    bool aged_ = false;  // the call keeps the object as it was
    bool hung_ = false;
    bool cut_off_ = false;  // its connection is gone
    bool waiting_ = false;  // for the end of a delay, and nothing else
    bool idle_ = false;     // a delay is under way that a message ends
    bool goaway_ = false;
    std::optional<send_step> held_;                     // to be sent when the wait is over
    std::deque<bidi_response::range_data> afterwards_;  // chunks for ranges that are over
};

}  // namespace rangeio::emulator
