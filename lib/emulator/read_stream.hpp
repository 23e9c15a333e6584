#pragma once

#include <rangeio/proto/storage.pb.h>

#include "emulator/messages.hpp"
#include "emulator/object_store.hpp"
#include "emulator/request_params.hpp"
#include "emulator/status.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <variant>

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
/// Threads: none; the caller serialises.
class read_stream {
public:
    struct settings {
        bool strict = true;
        std::int64_t max_chunk_bytes = std::int64_t{2} << 20;
    };

    /// Nothing to do until the next event.
    struct wait_step {};
    /// The object's checksum has to be known for the opening, and computing it would hold up other calls: do
    /// it elsewhere, then ask again.
    struct checksum_step {
        object_ptr object;
    };
    /// Send this.
    struct send_step {
        object_ptr opening;  // describe this object, and give a handle for it; may be null
        std::optional<bidi_response::range_data> data;
        bool more = false;  // the step after this one is not a wait_step
    };
    /// End the call.
    struct finish_step {
        status how;
    };
    using step = std::variant<wait_step, checksum_step, send_step, finish_step>;

    read_stream(object_store& store, const settings& how, request_params params);

    /// Takes a serialised BidiReadObjectRequest. Returns how many ranges it asked for.
    std::size_t on_message(std::string_view message);
    void on_half_close();
    /// Something outside of this class went wrong.
    void fail(status why);

    /// Whether another message may be read. False while too much is queued: the client has to wait then.
    bool wants_message() const noexcept;

    /// What is next to do. A step that was returned counts as done.
    step next();

    /// Turns a step into bytes; computes the chunk's checksum. Throws call_error.
    /// Threads: may run while another member does: it reads only what no longer changes once there is a step.
    framed_message encode(const send_step& what) const;

private:
    using spec = proto::storage::v2::BidiReadObjectSpec;
    using request = proto::storage::v2::BidiReadObjectRequest;

    // What is still to be sent of one range.
    struct active_range {
        object_ptr object;
        std::int64_t read_id = 0;
        std::int64_t offset = 0;
        std::int64_t end = 0;
    };

    void take(const request& message);
    void open(const spec& wanted);
    void add(const request& message);

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
};

}  // namespace rangeio::emulator
