#include "emulator/calls/object_read.hpp"

#include <rangeio/crc32c.hpp>

#include "emulator/protocol/status.hpp"
#include "emulator/store/conditions.hpp"
#include "emulator/store/metadata.hpp"
#include "emulator/store/object_names.hpp"
#include "emulator/store/resolve_range.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>

namespace rangeio::emulator {

object_read::object_read(
    object_store& store, const settings& how, const request_params& params, std::string_view request
)
    : max_chunk_bytes_(how.max_chunk_bytes) {
    proto::storage::v2::ReadObjectRequest& wanted = request_;
    if (!wanted.ParseFromArray(request.data(), static_cast<int>(request.size()))) {
        throw call_error(status_code::invalid_argument, "malformed ReadObjectRequest");
    }
    bucket_ = bucket_of(wanted.bucket());
    if (how.strict) {
        params.require_bucket(wanted.bucket());
    }
    object_ = store.open(bucket_, wanted.object());
    check(conditions_of(wanted), *object_);
    const resolved_range bytes = resolve(wanted.read_offset(), wanted.read_limit(), object_->size());
    if (!bytes.problem.empty()) {
        throw call_error(
            status_code::out_of_range,
            fmt::format(
                "{}: range offset={} limit={}: {}",
                object_->display_name(),
                wanted.read_offset(),
                wanted.read_limit(),
                bytes.problem
            )
        );
    }
    begin_ = offset_ = bytes.begin;
    end_ = bytes.end;
}

framed_message object_read::next() {
    read_response response;
    response.object = object_;
    response.content = {*object_, offset_, std::min(end_ - offset_, max_chunk_bytes_)};
    const std::span<const std::byte> bytes = response.content.bytes();
    response.crc32c = crc32c(bytes);
    if (std::exchange(first_, false)) {
        const object_attributes attributes{
            bucket_,
            request_.object(),
            object_->identity(),
            object_->generation(),
            object_->finalized(),
            object_->checksum(),
        };
        const auto metadata =
            object_metadata(attributes, request_.has_read_mask() ? &request_.read_mask() : nullptr);
        response.first = {metadata.SerializeAsString(), object_->checksum(), begin_, end_};
    }
    offset_ += static_cast<std::int64_t>(bytes.size());
    done_ = offset_ == end_;
    return encode(response);
}

}  // namespace rangeio::emulator
