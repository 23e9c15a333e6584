#include "emulator/calls/read_stream.hpp"

#include <rangeio/crc32c.hpp>

#include "emulator/protocol/read_handle.hpp"
#include "emulator/store/conditions.hpp"
#include "emulator/store/metadata.hpp"
#include "emulator/store/object_names.hpp"
#include "emulator/store/resolve_range.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

namespace rangeio::emulator {
namespace {

constexpr int max_ranges_per_message = 100;
// Above this number no message is read until some ranges have been served. Far above what clients queue on a stream.
constexpr std::size_t max_outstanding_ranges = 50'000;

void read_content(bidi_response::range_data& data) {
    data.content = {*data.object, data.offset, data.length};
    data.crc32c = crc32c(data.content.bytes());
    if (data.surplus != 0) {
        const std::vector<std::byte> zeros(static_cast<std::size_t>(data.surplus));
        data.crc32c = crc32c_extend(data.crc32c, zeros);
    }
    if (data.damaged) data.crc32c ^= 1;
}

void add_wild_timestamps(proto::storage::v2::Object& object) {
    object.mutable_create_time()->set_seconds(std::numeric_limits<std::int64_t>::max());
    object.mutable_create_time()->set_nanos(std::numeric_limits<std::int32_t>::max());
    object.mutable_update_time()->set_seconds(std::numeric_limits<std::int64_t>::min());
    object.mutable_update_time()->set_nanos(std::numeric_limits<std::int32_t>::min());
}

}  // namespace

read_stream::read_stream(
    object_store& store, const settings& how, request_params params, std::optional<call_faults> faults
)
    : store_(store), settings_(how), params_(std::move(params)), faults_(std::move(faults)) {
    if (!faults_) return;
    if (const testing::fault* f = strike(testing::fault_kind::bandwidth)) bytes_per_second_ = f->bytes;
    if (const testing::fault* f = strike(testing::fault_kind::idle_abort)) idle_limit_ = f->delay;
    // The listener configures this fault for gRPC when it starts; here it is only counted.
    (void)strike(testing::fault_kind::max_streams);
}

std::size_t read_stream::on_message(std::string_view message, time_point due) {
    if (end_) {
        return 0;
    }
    idle_ = false;
    request parsed;
    try {
        if (!parsed.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
            throw call_error(status_code::invalid_argument, "malformed BidiReadObjectRequest");
        }
        take(parsed, due);
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
        afterwards_.clear();
        held_.reset();
    }
}

std::string read_stream::name() const {
    return object_ ? object_->display_name() : std::string();
}

bool read_stream::wants_message() const noexcept {
    return !end_ && !half_closed_ && ranges_.size() < max_outstanding_ranges;
}

void read_stream::take(const request& message, time_point due) {
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
    add(message, due);
}

void read_stream::open(const spec& wanted) {
    bucket_ = bucket_of(wanted.bucket());
    if (settings_.strict) {
        params_.require_bucket(wanted.bucket());
        if (wanted.has_routing_token()) {
            params_.check_routing_token(wanted.routing_token());
        }
    }
    if (faults_) {
        const std::string name = display_name(bucket_, wanted.object());
        const std::string& handle = wanted.read_handle().handle();
        faults_->take_token(name, params_, wanted.routing_token(), handle, settings_.strict);
    }
    object_ptr object = store_.open(bucket_, wanted.object());
    check(conditions_of(wanted), *object);
    if (wanted.has_read_handle()) {
        conditions pinned;
        pinned.generation = generation_of_handle(wanted.read_handle().handle(), bucket_, wanted.object());
        check(pinned, *object);
    }
    if (faults_) object = faulty_object(std::move(object));
    spec_ = wanted;
    object_ = std::move(object);
    opening_due_ = true;
}

void read_stream::add(const request& message, time_point due) {
    if (settings_.strict && message.read_ranges_size() > max_ranges_per_message) {
        throw call_error(
            status_code::invalid_argument,
            fmt::format(
                "{} read_ranges in one message (the limit is {})",
                message.read_ranges_size(),
                max_ranges_per_message
            )
        );
    }
    if (!object_->finalized() && !aged_) {
        // The object may have grown. Chunks that were cut already keep the state that they were cut from.
        object_ptr now = store_.open(bucket_, spec_.object());
        conditions same;
        same.generation = object_->generation();
        check(same, *now);
        object_ = std::move(now);
    }

    // All ranges of a message are checked before any of them is served.
    std::vector<active_range> added;
    std::vector<std::int64_t> bad_ids;
    std::string complaint;
    for (const auto& range : message.read_ranges()) {
        if (settings_.strict && !outstanding_.insert(range.read_id()).second) {
            throw call_error(
                status_code::invalid_argument,
                fmt::format("read_id {} is already used by an outstanding range", range.read_id())
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
        added.push_back({object_, due, range.read_id(), bytes.begin, bytes.end, 0, bytes.begin});
    }
    if (!bad_ids.empty()) {
        // Only the rejected ranges are named: the others are valid, and clients fail the ranges that are named.
        constexpr auto code = status_code::out_of_range;
        const std::string each = faults_ ? text_of_range_error(complaint) : std::string();
        throw call_error(
            {code, complaint, encode_range_errors(static_cast<int>(code), complaint, bad_ids, each)}
        );
    }
    for (active_range& range : added) {
        if (faults_) {
            range.number = faults_->next_range();
            if (strike(testing::fault_kind::mute, &range) != nullptr) {
                ++mute_ranges_;
                continue;
            }
        }
        ranges_.push_back(std::move(range));
    }
}

bidi_response::range_data read_stream::take_chunk(active_range& range, std::int64_t max_bytes) {
    bidi_response::range_data data;
    data.object = range.object;
    data.read_id = range.read_id;
    data.offset = range.offset;
    data.length = std::min(range.end - range.offset, max_bytes);
    range.offset += data.length;
    data.range_end = range.offset == range.end;
    if (data.range_end) {
        outstanding_.erase(range.read_id);
    }
    return data;
}

read_stream::step read_stream::next() {
    if (end_) {
        return finish_step{*end_, goaway_};
    }
    if (!object_) {
        return wait_step{};
    }
    if (faults_) {
        if (std::optional<step> instead = faulty_step()) return *std::move(instead);
    }
    if (opening_due_ && object_->checksum_is_cheap() && !object_->checksum_is_quick()) {
        return checksum_step{object_};
    }
    if (faults_) return faulty_send();
    send_step send;
    if (std::exchange(opening_due_, false)) {
        send.opening = object_;
    }
    if (!ranges_.empty()) {
        active_range range = std::move(ranges_.front());
        ranges_.pop_front();
        send.due = range.due;
        send.data = take_chunk(range, settings_.max_chunk_bytes);
        if (!send.data->range_end) {
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
        if (!what.no_metadata) {
            object_attributes attributes{
                bucket_, spec_.object(), object.identity(), object.generation(), object.finalized(), {}
            };
            attributes.crc32c = object.checksum();
            auto metadata = object_metadata(attributes, spec_.has_read_mask() ? &spec_.read_mask() : nullptr);
            if (what.no_generation) metadata.clear_generation();
            if (what.wild_timestamps) add_wild_timestamps(metadata);
            response.metadata = metadata.SerializeAsString();
        }
        response.read_handle = make_read_handle(bucket_, spec_.object(), object.generation());
    }
    if (what.new_handle != 0) {
        const std::int64_t generation = what.data->object->generation();
        response.read_handle = make_read_handle(bucket_, spec_.object(), generation, what.new_handle);
    }
    response.data = what.data;
    response.more_data = what.more_data;
    response.padding = what.padding;
    response.empty_chunks = what.empty_chunks;
    if (response.data) {
        read_content(*response.data);
        for (bidi_response::range_data& data : response.more_data) read_content(data);
    }
    return emulator::encode(response);
}

void read_stream::change(const change_step& how) const {
    if (how.replace) store_.replace(bucket_, spec_.object());
    if (how.grow_bytes != 0) store_.grow(bucket_, spec_.object(), how.grow_bytes);
}

}  // namespace rangeio::emulator
