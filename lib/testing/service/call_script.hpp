#pragma once

#include <rangeio/error.hpp>
#include <rangeio/object.hpp>
#include <rangeio/testing/fault_script.hpp>

#include "testing/faults/armed_faults.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rangeio::testing {

/// The state of a service with one object that all of its calls share.
class service_state {
public:
    using time_point = std::chrono::steady_clock::time_point;

    service_state(const fault_script& script, armed_faults::chance decide)
        : faults(script, std::move(decide)) {}
    /// `options`: of a scripted or a threaded service.
    template <class Options>
    service_state(object_ref named, const Options& options, armed_faults::chance decide)
        : object(std::move(named)),
          faults(options.faults(), std::move(decide)),
          size(options.object_bytes()),
          finalized(options.finalized()),
          max_chunk_bytes(std::max<std::uint64_t>(options.max_chunk_bytes(), 1)) {}

    object_info info(std::int64_t of_generation, std::uint64_t of_size) const;
    /// The error in the routing token of a call that begins now; empty if there is none.
    std::string complaint_of(std::string_view token) const;

    /// Reserves the link for so many bytes, after all that were reserved before. Returns when they have passed. A rate
    /// of 0 is no limit.
    time_point reserve_link(time_point now, std::uint64_t bytes, std::uint64_t bytes_per_second);

    object_ref object{"bucket", "object"};  // its name alone
    armed_faults faults;
    std::uint64_t size = 0;
    std::int64_t generation = 7;
    bool finalized = true;
    std::uint64_t max_chunk_bytes = 2 << 20;
    std::string expected_token;  // the token that the next call has to carry; empty: none
    // The same for calls that begin while the client receives a new one.
    std::vector<std::string> outgoing_tokens;
    std::uint64_t handles = 0;  // how many read handles were made
    // State of all connections; 0 is no limit.
    std::uint64_t max_streams = 0;            // calls that one connection serves at once
    std::uint64_t link_bytes_per_second = 0;  // for all together, of the fault `slow-link`
    time_point link_free_at{};                // of reserve_link()
};

/// One BidiReadObject call as a service with faults performs it: requests go in, steps come out. No threads, no clock,
/// no bytes.
///
/// Without faults: the first response has the metadata and a handle, each range gets one chunk in turn, the last chunk
/// of a range carries its end, and the call never ends by itself. It serves the object as it was when the call began.
class call_script {
public:
    struct chunk {
        std::int64_t read_id = 0;
        std::int64_t offset = 0;   // as it is reported
        std::uint64_t source = 0;  // of the bytes
        std::uint64_t size = 0;
        bool range_end = false;
        bool damaged = false;    // the checksum is not that of the bytes
        bool unchecked = false;  // there is no checksum
    };
    struct response {
        bool metadata = false;
        bool generation = true;  // the metadata has one
        bool handle = false;
        std::vector<chunk> chunks;
    };
    struct redirection {
        std::string token;
        bool handle = false;
    };
    struct ending {
        int status = 0;
        std::string text;
        std::optional<redirection> redirect;
        std::vector<std::int64_t> blamed;         // ranges that are named in the status
        bool unconnected = false;                 // the call has not reached the service
        error_value refused{};                    // the client's transport ends the call, with this error
        std::chrono::nanoseconds retry_after{0};  // the wait that the status requests
    };
    /// Wait for the next event (`delay` zero) or at most so long; or send; or end. A response and an ending are due
    /// after `delay`. Or apply a fault to the connection of the call, which then does nothing more by itself.
    struct step {
        std::chrono::nanoseconds delay{0};
        std::optional<response> send;
        std::optional<ending> end;
        const fault* connection = nullptr;
    };

    /// Begins call number `number`, from 1. `pinned`: the generation that it names; 0: any.
    call_script(service_state& service, std::uint64_t number, bool has_handle, std::int64_t pinned = 0);
    void ask(std::int64_t read_id, std::uint64_t offset, std::uint64_t length);
    /// The next step. A returned step counts as done, unless it is a wait.
    step next();
    /// Reports that the delay of a waiting step has passed, without a new request.
    void waited() { waited_ = true; }
    /// The error of the client; empty if there is none.
    const std::string& complaint() const noexcept { return complaint_; }
    /// The object as it was when the call began: later replacements and appended bytes are for later calls.
    std::int64_t generation() const noexcept { return generation_; }
    object_info info() const { return service_.info(generation_, size_); }
    /// Makes bytes that were appended meanwhile visible to this call, too.
    void catch_up() noexcept { size_ = service_.size; }

private:
    struct range {
        std::uint64_t number = 0;
        std::int64_t read_id = 0;
        std::uint64_t begin = 0;
        std::uint64_t end = 0;
        std::uint64_t at = 0;
        bool mute = false;
    };

    const fault* strike(fault_kind kind, const range* r = nullptr);
    armed_faults::place place_of(const range* r) const;
    std::optional<step> open();
    std::optional<step> end_instead(const range* r);
    void take_chunk(response& out);
    step finish(ending how);
    step refuse(const char* why);

    service_state& service_;
    const std::uint64_t number_;
    const bool has_handle_;
    const std::int64_t generation_;
    std::uint64_t size_;
    const bool replaced_;               // the generation that was named is no longer live
    std::deque<range> ranges_;          // ranges that have not ended, in the order of their turns
    std::deque<chunk> afterwards_;      // empty chunks, each for a message of its own
    std::vector<std::int64_t> beyond_;  // ranges that begin behind the end
    std::uint64_t asked_ = 0;
    std::uint64_t sent_ = 0;
    std::uint64_t bytes_per_second_ = 0;
    bool answered_ = false;
    bool waited_ = false;
    bool hung_ = false;
    bool over_ = false;
    std::chrono::nanoseconds open_delay_{-1};
    std::optional<std::chrono::nanoseconds> idle_after_;
    std::string complaint_;
};

}  // namespace rangeio::testing
