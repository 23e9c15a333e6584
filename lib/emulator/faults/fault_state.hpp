#pragma once

#include <rangeio/emulator.hpp>
#include <rangeio/testing/fault_script.hpp>

#include "emulator/protocol/request_params.hpp"
#include "emulator/protocol/status.hpp"
#include "testing/faults/armed_faults.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace rangeio::emulator {

/// The status with which this fault ends a call.
status status_of(const testing::fault& f, std::string text);

/// The part of a running fault script that all calls share.
///
/// Threads: all members may be called concurrently.
class fault_state {
public:
    using place = testing::armed_faults::place;

    /// Random decisions are drawn from the seed and the place alone, so they do not depend on the order of the threads.
    fault_state(const testing::fault_script& script, std::uint64_t seed);

    /// The number of the call that begins now, counted separately for calls that read and calls for metadata.
    std::uint64_t begin_call();
    std::uint64_t begin_metadata_call();
    /// A number for the detour in a page token; the pages of the fault empty_page have one.
    std::uint64_t next_page();
    /// The fault that strikes here, or null; it is counted. Valid as long as this object.
    const testing::fault* strike(testing::fault_kind kind, const place& here);
    std::uint64_t room_before_fault(const place& here) const;
    /// The number of a new read handle.
    std::uint64_t next_handle();

    /// Records that a client that reads `object` is being redirected with this token and handle; an empty text: none.
    void redirected(const std::string& object, const std::string& token, const std::string& handle);
    /// Records the tokens that a call brings.
    ///
    /// A call is wrong if it has a token of a redirect in only one of header and spec, or the handle of a redirect and
    /// no token. Any token of a redirect is accepted: the streams of a client share their redirects, and may receive
    /// two of them in any order. A call with neither may be that of another client on the same connection that was not
    /// redirected.
    ///
    /// Throws: if `strict`, call_error INVALID_ARGUMENT for a wrong call, naming the place that lacks the token.
    void take_token(
        const std::string& object,
        const request_params& header,
        std::string_view spec,
        std::string_view handle,
        bool strict
    );

    /// Adds the members of server_stats that concern faults.
    void count_into(server_stats& out) const;

private:
    struct redirects {
        std::map<std::string, bool> tokens;  // whether a call has brought it; at most those of the script
        std::deque<std::pair<std::string, std::string>> handles;  // each with its token, the oldest first
    };

    mutable std::mutex mutex_;
    testing::armed_faults faults_;
    std::uint64_t calls_ = 0;
    std::uint64_t metadata_calls_ = 0;
    std::uint64_t pages_ = 0;
    std::uint64_t handles_ = 0;
    std::map<std::string, redirects, std::less<>> redirects_;  // by object
};

/// The faults on one call.
///
/// Threads: none; the caller serializes.
class call_faults {
public:
    explicit call_faults(fault_state& shared);

    /// For the call as a whole.
    const testing::fault* strike(testing::fault_kind kind) { return strike(kind, 0, 0); }
    /// The same, but only for a line that names the call.
    const testing::fault* strike_if_named(testing::fault_kind kind) {
        place here{number_, 0, sent_, 0};
        here.named_only = true;
        return shared_->strike(kind, here);
    }
    /// For a range, by its number.
    const testing::fault* strike(testing::fault_kind kind, std::uint64_t range, std::uint64_t at_range) {
        return shared_->strike(kind, {number_, range, sent_, at_range});
    }
    std::uint64_t room_before_fault(std::uint64_t range, std::uint64_t at_range) const {
        return shared_->room_before_fault({number_, range, sent_, at_range});
    }
    std::uint64_t next_range() noexcept { return ++ranges_; }
    void sent(std::int64_t bytes) noexcept { sent_ += static_cast<std::uint64_t>(bytes); }
    std::uint64_t bytes_sent() const noexcept { return sent_; }
    std::uint64_t next_handle() { return shared_->next_handle(); }
    void redirected(const std::string& object, const std::string& token, const std::string& handle) {
        shared_->redirected(object, token, handle);
    }
    void take_token(
        const std::string& object,
        const request_params& header,
        std::string_view spec,
        std::string_view handle,
        bool strict
    ) {
        shared_->take_token(object, header, spec, handle, strict);
    }

private:
    using place = fault_state::place;

    fault_state* shared_;
    std::uint64_t number_;
    std::uint64_t ranges_ = 0;
    std::uint64_t sent_ = 0;
};

}  // namespace rangeio::emulator
