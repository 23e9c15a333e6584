#include "testing/service/scripted_message.hpp"

#include <rangeio/crc32c.hpp>

#include "error_text.hpp"
#include "grpc/service_status.hpp"
#include "testing/service/object_content.hpp"

#include <fmt/format.h>

#include <span>
#include <utility>

namespace rangeio::testing {

using namespace grpc_transport;

namespace {

object_info described_by(const call_script::response& response, object_info object) {
    if (!response.generation) object.generation = 0;
    return object;
}

}  // namespace

scripted_message::scripted_message(
    const call_script::response& response, object_info object, std::int64_t content, std::uint64_t handles
)
    : object_(described_by(response, std::move(object))),
      handle_(fmt::format("handle {}", handles)),
      has_metadata_(response.metadata),
      has_handle_(response.handle) {
    for (const call_script::chunk& c : response.chunks) {
        wire::data_chunk out;
        out.read_id = c.read_id;
        out.read_offset = c.offset;
        out.read_length = static_cast<std::int64_t>(c.size);
        out.has_read_range = true;
        out.range_end = c.range_end;
        out.has_data = true;
        out.payload = {0, bytes_.size(), c.size};
        for (std::uint64_t i = 0; i < c.size; ++i) {
            bytes_.push_back(object_content(content, c.source + i));
        }
        if (!c.unchecked) out.crc32c = crc32c(std::span(bytes_).last(c.size)) + (c.damaged ? 1U : 0U);
        chunks_.push_back(out);
    }
    slices_.emplace_back(bytes_);
}

incoming scripted_message::view() const noexcept {
    incoming out;
    out.message = slices_;
    out.chunks = chunks_;
    if (has_metadata_) out.metadata = &object_;
    if (has_handle_) out.read_handle = &handle_;
    return out;
}

call_end to_call_end(const call_script::ending& how) {
    if (how.refused) return how.refused;
    call_end out;
    out.why = from_status(how.status, how.text);
    if (how.retry_after.count() != 0) out.why = with_retry_after(out.why, how.retry_after);
    out.unconnected = how.unconnected;
    if (how.redirect) {
        call_end::redirection to;
        to.routing_token = how.redirect->token;
        if (how.redirect->handle) to.read_handle = "handle of " + how.redirect->token;
        out.redirect = std::move(to);
    }
    for (const std::int64_t id : how.blamed) out.range_errors.push_back({id, out.why});
    return out;
}

}  // namespace rangeio::testing
