#pragma once

#include <rangeio/object.hpp>

#include "grpc/bidi_call.hpp"
#include "testing/service/call_script.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace rangeio::testing {

/// A response of a script with its bytes, as a transport delivers it: all payloads lie in one slice.
class scripted_message {
public:
    /// `content`: selects the bytes, see `object_content`. `handles`: the number of read handles so far.
    scripted_message(
        const call_script::response& response, object_info object, std::int64_t content, std::uint64_t handles
    );
    scripted_message(const scripted_message&) = delete;
    scripted_message& operator=(const scripted_message&) = delete;

    /// Valid as long as this object.
    grpc_transport::incoming view() const noexcept;

private:
    const object_info object_;
    const std::string handle_;
    const bool has_metadata_;
    const bool has_handle_;
    std::vector<std::byte> bytes_;
    std::vector<wire::data_chunk> chunks_;
    std::vector<wire::slice> slices_;
};

/// The ending of a script as a transport reports it.
grpc_transport::call_end to_call_end(const call_script::ending& how);

}  // namespace rangeio::testing
