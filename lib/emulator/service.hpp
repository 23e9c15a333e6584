#pragma once

#include <rangeio/emulator.hpp>

#include "emulator/calls/background.hpp"
#include "emulator/calls/call_counters.hpp"
#include "emulator/calls/call_info.hpp"
#include "emulator/calls/request_log.hpp"
#include "emulator/calls/shaped_link.hpp"
#include "emulator/calls/timers.hpp"
#include "emulator/faults/fault_state.hpp"
#include "emulator/store/directory_walk.hpp"
#include "emulator/store/listing.hpp"
#include "emulator/store/name_set.hpp"
#include "emulator/store/object_store.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rangeio::emulator {

/// The state that all calls share, and the unary methods. Request and response are serialized messages. Every method
/// may take as long as reading a directory or a whole file does.
///
/// Throws: call_error.
class service {
public:
    /// The effects of faults on connections.
    struct connection_faults {
        /// Ends all connections, soon, and on another thread.
        std::function<void()> go_away;
        /// Strikes the connection whose client has this port, or all connections; at once.
        std::function<void(const testing::fault& what, std::uint16_t peer_port)> strike;
    };
    service(const server_options& options, connection_faults faults);

    std::string get_object(std::string_view request, const call_info& call);
    std::string list_objects(std::string_view request, const call_info& call);
    std::string get_bucket(std::string_view request, const call_info& call);
    std::string get_storage_layout(std::string_view request, const call_info& call);
    std::string get_folder(std::string_view request, const call_info& call);

    object_store& store() noexcept { return store_; }
    call_counters& counters() noexcept { return counters_; }
    server_stats stats() const;
    background& workers() noexcept { return workers_; }
    emulator::timers& timers() noexcept { return timers_; }
    shaped_link& link() noexcept { return link_; }
    request_log& log() noexcept { return log_; }
    /// Records what the headers of a call reveal about the client.
    void note(bool authorized, const std::vector<std::string>& user_projects);
    void compute_checksum(const stored_object& object) const;
    /// Stops tasks that take long.
    void request_stop() noexcept;
    /// Null: the script has no faults.
    fault_state* faults() noexcept { return faults_ ? &*faults_ : nullptr; }
    void go_away() noexcept;
    void strike_connection(const testing::fault& what, std::uint16_t peer_port) {
        connection_faults_.strike(what, peer_port);
    }
    bool strict() const noexcept { return strict_; }
    std::int64_t max_chunk_bytes() const noexcept { return max_chunk_bytes_; }

private:
    void check(const call_info& call, std::string_view bucket) const;
    void spoil(list_page& page, std::uint64_t call, const std::string& asked, const std::string& place);

    bool strict_;
    std::int64_t max_chunk_bytes_;
    object_store store_;
    directory_cache directories_;
    std::optional<fault_state> faults_;
    connection_faults connection_faults_;
    call_counters counters_;
    name_set user_projects_;
    request_log log_;
    shaped_link link_;
    // The tasks of the workers own calls, which have timers.
    emulator::timers timers_;
    background workers_;
};

}  // namespace rangeio::emulator
