#include "emulator/read_stream.hpp"

#include "emulator/conditions.hpp"
#include "emulator/metadata.hpp"
#include "emulator/object_names.hpp"
#include "emulator/read_handle.hpp"
#include "emulator/resolve_range.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace rangeio::emulator {
namespace {

constexpr int max_ranges_per_message = 100;
// Beyond this no message is read until some ranges have been served. Far above what clients queue on a
// stream.
constexpr std::size_t max_outstanding_ranges = 50'000;

}  // namespace

read_stream::read_stream(object_store& store, const settings& how, request_params params)
    : store_(store), settings_(how), params_(std::move(params)) {}

std::size_t read_stream::on_message(std::string_view message) {
    if (end_) {
        return 0;
    }
    request parsed;
    try {
        if (!parsed.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
            throw call_error(status_code::invalid_argument, "malformed BidiReadObjectRequest");
        }
        take(parsed);
    } catch (const call_error& e) {
        fail(e.why());
    }
    return static_cast<std::size_t>(parsed.read_ranges_size());
}

void read_stream::on_half_close() {
    half_closed_ = true;
    if (!object_ && !end_) {
        fail({status_code::invalid_argument, "the stream ended before a message with a read_object_spec", {}}
        );
    }
}

void read_stream::fail(status why) {
    if (!end_) {
        end_ = std::move(why);
        ranges_.clear();
        outstanding_.clear();
    }
}

bool read_stream::wants_message() const noexcept {
    return !end_ && !half_closed_ && ranges_.size() < max_outstanding_ranges;
}

void read_stream::take(const request& message) {
    if (!object_) {
        if (!message.has_read_object_spec()) {
            throw call_error(
                status_code::invalid_argument, "the first message of a stream must have a read_object_spec"
            );
        }
        open(message.read_object_spec());
    } else if (message.has_read_object_spec() && settings_.strict) {
        throw call_error(
            status_code::invalid_argument, "only the first message of a stream may have a read_object_spec"
        );
    }
    add(message);
}

void read_stream::open(const spec& wanted) {
    bucket_ = bucket_of(wanted.bucket());
    if (settings_.strict) {
        params_.require_bucket(wanted.bucket());
        if (wanted.has_routing_token()) {
            params_.check_routing_token(wanted.routing_token());
        }
    }
    object_ptr object = store_.open(bucket_, wanted.object());
    check(conditions_of(wanted), *object);
    if (wanted.has_read_handle()) {
        conditions pinned;
        pinned.generation = generation_of_handle(wanted.read_handle().handle(), bucket_, wanted.object());
        check(pinned, *object);
    }
    spec_ = wanted;
    object_ = std::move(object);
    opening_due_ = true;
}

void read_stream::add(const request& message) {
    if (settings_.strict && message.read_ranges_size() > max_ranges_per_message) {
        throw call_error(
            status_code::invalid_argument,
            fmt::format(
                "{} read_ranges in one message, more than {}",
                message.read_ranges_size(),
                max_ranges_per_message
            )
        );
    }
    if (!object_->finalized()) {
        // It may have grown. Chunks on their way keep the mapping that they were cut from.
        object_ptr now = store_.open(bucket_, spec_.object());
        conditions same;
        same.generation = object_->generation();
        check(same, *now);
        object_ = std::move(now);
    }

    // All of a message is checked before any of it is served.
    std::vector<active_range> added;
    std::vector<std::int64_t> bad_ids;
    std::string complaint;
    for (const auto& range : message.read_ranges()) {
        if (settings_.strict && !outstanding_.insert(range.read_id()).second) {
            throw call_error(
                status_code::invalid_argument,
                fmt::format("read_id {} is already that of an outstanding range", range.read_id())
            );
        }
        const resolved_range bytes = resolve(range.read_offset(), range.read_length(), object_->size());
        if (!bytes.problem.empty()) {
            bad_ids.push_back(range.read_id());
            if (complaint.empty()) {
                complaint = fmt::format(
                    "{}: range read_id={} offset={} length={}: {}",
                    object_->display_name(),
                    range.read_id(),
                    range.read_offset(),
                    range.read_length(),
                    bytes.problem
                );
            }
        }
        added.push_back({object_, range.read_id(), bytes.begin, bytes.end});
    }
    if (!bad_ids.empty()) {
        // Only the offenders are named: of the others nothing is wrong, and clients fail what is named.
        constexpr auto code = status_code::out_of_range;
        throw call_error({code, complaint, encode_range_errors(static_cast<int>(code), complaint, bad_ids)});
    }
    ranges_.insert(ranges_.end(), added.begin(), added.end());
}

read_stream::step read_stream::next() {
    if (end_) {
        return finish_step{*end_};
    }
    if (!object_) {
        return wait_step{};
    }
    if (opening_due_ && !object_->checksum_is_cheap()) {
        return checksum_step{object_};
    }
    send_step send;
    if (std::exchange(opening_due_, false)) {
        send.opening = object_;
    }
    if (!ranges_.empty()) {
        active_range range = std::move(ranges_.front());
        ranges_.pop_front();
        // Not emplace(): clang does not yet know the members' initializers where it decides whether that may be.
        send.data = bidi_response::range_data{};
        bidi_response::range_data& data = *send.data;
        data.object = range.object;
        data.read_id = range.read_id;
        data.offset = range.offset;
        data.length = std::min(range.end - range.offset, settings_.max_chunk_bytes);
        range.offset += data.length;
        data.range_end = range.offset == range.end;
        if (data.range_end) {
            outstanding_.erase(range.read_id);
        } else {
            ranges_.push_back(std::move(range));
        }
    }
    send.more = !ranges_.empty();
    if (send.opening || send.data) {
        return send;
    }
    if (half_closed_) {
        return finish_step{};
    }
    return wait_step{};
}

framed_message read_stream::encode(const send_step& what) const {
    bidi_response response;
    if (what.opening) {
        const stored_object& object = *what.opening;
        object_attributes attributes{
            bucket_, spec_.object(), object.identity(), object.generation(), object.finalized(), {}
        };
        attributes.crc32c = object.checksum();
        response.metadata = object_metadata(attributes, spec_.has_read_mask() ? &spec_.read_mask() : nullptr)
                                .SerializeAsString();
        response.read_handle = make_read_handle(bucket_, spec_.object(), object.generation());
    }
    response.data = what.data;
    if (response.data && response.data->length != 0) {
        response.data->object->check();
        response.data->crc32c = response.data->object->checksum(response.data->offset, response.data->length);
    }
    return emulator::encode(response);
}

}  // namespace rangeio::emulator
