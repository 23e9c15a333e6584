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

/// A service with one object, as far as all of its calls share it.
class service_state {
public:
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
    /// Something is wrong with the routing token that a call brings now; empty if nothing is.
    std::string complaint_of(std::string_view token) const;

    object_ref object{"bucket", "object"};  // its name alone
    armed_faults faults;
    std::uint64_t size = 0;
    std::int64_t generation = 7;
    bool finalized = true;
    std::uint64_t max_chunk_bytes = 2 << 20;
    std::string expected_token;  // what the next call has to bring along; empty: nothing
    // The same for calls that begin while the client is being told of new ones.
    std::vector<std::string> outgoing_tokens;
    std::uint64_t handles = 0;  // how many read handles were made
    // What all connections have in common: 0 is no limit.
    std::uint64_t max_streams = 0;            // calls that one connection serves at once
    std::uint64_t link_bytes_per_second = 0;  // of all together
};

/// One BidiReadObject call, as a service with faults plays it: requests in, steps out. No threads, no clock, no bytes.
///
/// Without faults: the first response has the metadata and a handle, each range gets one chunk in turn, the last chunk of
/// a range says that it is over, and the call never ends by itself. It knows of the object what there was when it began.
class call_script {
public:
    struct chunk {
        std::int64_t read_id = 0;
        std::int64_t offset = 0;   // as it is said
        std::uint64_t source = 0;  // where the bytes come from
        std::uint64_t size = 0;
        bool range_end = false;
        bool damaged = false;    // the checksum is not that of the bytes
        bool unchecked = false;  // there is none
    };
    struct response {
        bool metadata = false;
        bool generation = true;  // which the metadata has
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
        std::vector<std::int64_t> blamed;  // ranges that are named in the status
        bool unconnected = false;          // the service has not seen the call
        failure refused{};                 // the client's transport ends the call, with this
    };
    /// Wait for the next event (`delay` zero) or at most so long; or send; or end. A response and an ending come after
    /// `delay`. Or do this to the connection of the call, which does nothing more by itself then.
    struct step {
        std::chrono::nanoseconds delay{0};
        std::optional<response> send;
        std::optional<ending> end;
        const fault* connection = nullptr;
    };

    /// Call number `number`, from 1, begins with this. `pinned`: the generation that it names; 0: whatever there is.
    call_script(service_state& service, std::uint64_t number, bool has_handle, std::int64_t pinned = 0);
    void ask(std::int64_t read_id, std::uint64_t offset, std::uint64_t length);
    /// What comes next. A step that was returned counts as done, but for a wait.
    step next();
    /// The delay of a waiting step is over, and nothing was asked meanwhile.
    void waited() { waited_ = true; }
    /// Something that a client must not do; empty if there is nothing.
    const std::string& complaint() const noexcept { return complaint_; }
    /// The object as it was when the call began: what replaces it later, or is appended, is for later calls.
    std::int64_t generation() const noexcept { return generation_; }
    object_info info() const { return service_.info(generation_, size_); }
    /// What was appended meanwhile is for this call, too.
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
    const bool replaced_;               // the generation that was named is there no more
    std::deque<range> ranges_;          // those that are not over, in the order of their turns
    std::deque<chunk> afterwards_;      // empty ones, each for a message of its own
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
