#include "emulator/protocol/messages.hpp"

#include <rangeio/proto/any.hpp>
#include <rangeio/proto/rpc.pb.h>
#include <rangeio/proto/storage.pb.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace rangeio::emulator {
namespace {

// Fields are written in the order of their numbers, as the official serializers write them: the payload of a range
// precedes its id, as on the real wire.
class wire_writer {
public:
    void varint(std::uint64_t value) {
        for (; value >= 0x80; value >>= 7) {
            out_ += static_cast<char>(value | 0x80);
        }
        out_ += static_cast<char>(value);
    }
    /// An implicit-presence integer: zero is not written.
    void integer(unsigned field, std::int64_t value) {
        if (value != 0) {
            varint(std::uint64_t{field} << 3);
            varint(static_cast<std::uint64_t>(value));
        }
    }
    void fixed32(unsigned field, std::uint32_t value) {
        varint(std::uint64_t{field} << 3 | 5);
        for (int shift = 0; shift < 32; shift += 8) {
            out_ += static_cast<char>(value >> shift);
        }
    }
    /// The tag and the length of a field whose `length` bytes follow.
    void header(unsigned field, std::size_t length) {
        varint(std::uint64_t{field} << 3 | 2);
        varint(length);
    }
    void bytes(unsigned field, std::string_view value) {
        header(field, value.size());
        out_ += value;
    }
    std::size_t size() const noexcept { return out_.size(); }
    std::string take() { return std::move(out_); }

private:
    std::string out_;
};

// The size of the tag and the length of a field of `length` bytes with a number below 16.
std::size_t header_bytes(std::size_t length) {
    wire_writer probe;
    probe.header(1, length);
    return probe.size();
}

constexpr std::size_t crc_bytes = 5;

constexpr std::size_t max_named_ranges = 100;

// The size of a ChecksummedData. An empty payload is omitted, as in proto3; the checksum never is.
std::size_t checksummed_bytes(std::size_t payload) {
    return (payload == 0 ? 0 : header_bytes(payload) + payload) + crc_bytes;
}

template <class Detail>
std::string encode_status(int code, std::string_view message, const Detail& detail) {
    proto::rpc::Status status;
    status.set_code(code);
    status.set_message(std::string(message));
    proto::pack(detail, *status.add_details());
    return status.SerializeAsString();
}

void add(const bidi_response::range_data& data, proto::storage::v2::BidiReadObjectResponse& out) {
    const std::span<const std::byte> bytes = data.content.bytes();
    auto& range = *out.add_object_data_ranges();
    std::string& content = *range.mutable_checksummed_data()->mutable_content();
    content.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    content.append(static_cast<std::size_t>(data.surplus), '\0');
    if (!data.unchecked) range.mutable_checksummed_data()->set_crc32c(data.crc32c);
    range.mutable_read_range()->set_read_offset(data.offset + data.displacement);
    range.mutable_read_range()->set_read_length(data.length + data.surplus);
    range.mutable_read_range()->set_read_id(data.read_id);
    range.set_range_end(data.range_end);
}

// Messages that only faults send: one more copy does not matter.
framed_message encode_copied(const bidi_response& response) {
    proto::storage::v2::BidiReadObjectResponse out;
    if (!response.metadata.empty()) out.mutable_metadata()->ParseFromString(response.metadata);
    add(*response.data, out);
    for (const bidi_response::range_data& data : response.more_data) add(data, out);
    if (!response.read_handle.empty()) out.mutable_read_handle()->set_handle(response.read_handle);
    framed_message message;
    message.head = out.SerializeAsString();
    wire_writer more;
    for (std::uint64_t n = response.empty_chunks; n != 0; --n) more.bytes(6, {});
    if (response.padding != 0) {
        const std::string zeros(static_cast<std::size_t>(response.padding), '\0');
        more.bytes(15, zeros);
    }
    message.head += more.take();
    return message;
}

}  // namespace

object_section::object_section(const stored_object& object, std::int64_t offset, std::int64_t length)
    : size_(static_cast<std::size_t>(length)) {
    if (size_ == 0) return;
    memory_ = std::make_shared_for_overwrite<std::byte[]>(size_);
    object.read(offset, {memory_.get(), size_});
}

framed_message encode(const bidi_response& response) {
    const bool odd = response.data && (response.data->surplus != 0 || response.data->unchecked);
    if (odd || !response.more_data.empty() || response.padding != 0 || response.empty_chunks != 0) {
        return encode_copied(response);
    }
    framed_message message;
    wire_writer head;
    wire_writer tail;
    if (!response.metadata.empty()) {
        head.bytes(4, response.metadata);
    }
    if (response.data) {
        const bidi_response::range_data& data = *response.data;
        message.payload = data.content;

        const std::size_t payload = data.content.bytes().size();
        wire_writer range;
        range.integer(1, data.offset + data.displacement);
        range.integer(2, data.length);
        range.integer(3, data.read_id);
        const std::string range_text = range.take();
        wire_writer rest;
        rest.bytes(2, range_text);
        rest.integer(3, data.range_end ? 1 : 0);

        const std::size_t checksummed = checksummed_bytes(payload);
        head.header(6, header_bytes(checksummed) + checksummed + rest.size());
        head.header(1, checksummed);
        if (payload != 0) head.header(1, payload);
        tail.fixed32(2, data.crc32c);
        message.tail = tail.take() + rest.take();
    }
    message.head = head.take();
    if (!response.read_handle.empty()) {
        wire_writer handle;
        handle.bytes(1, response.read_handle);
        wire_writer field;
        field.bytes(7, handle.take());
        message.tail += field.take();
    }
    return message;
}

framed_message encode(const read_response& response) {
    framed_message message;
    message.payload = response.content;

    const std::size_t payload = response.content.bytes().size();
    wire_writer head;
    head.header(1, checksummed_bytes(payload));
    if (payload != 0) head.header(1, payload);
    message.head = head.take();

    wire_writer tail;
    tail.fixed32(2, response.crc32c);
    if (response.first) {
        proto::storage::v2::ReadObjectResponse rest;
        if (response.first->object_crc32c) {
            rest.mutable_object_checksums()->set_crc32c(*response.first->object_crc32c);
        }
        rest.mutable_content_range()->set_start(response.first->start);
        rest.mutable_content_range()->set_end(response.first->end);
        rest.mutable_content_range()->set_complete_length(response.object->size());
        message.tail = tail.take() + rest.SerializeAsString();
        wire_writer metadata;
        metadata.bytes(4, response.first->metadata);
        message.tail += metadata.take();
    } else {
        message.tail = tail.take();
    }
    return message;
}

std::string encode_retry_info(int code, std::string_view message, std::chrono::nanoseconds delay) {
    if (delay.count() == 0) return {};
    const auto seconds = std::chrono::floor<std::chrono::seconds>(delay);
    proto::rpc::RetryInfo detail;
    detail.mutable_retry_delay()->set_seconds(seconds.count());
    detail.mutable_retry_delay()->set_nanos(static_cast<std::int32_t>((delay - seconds).count()));
    return encode_status(code, message, detail);
}

std::string encode_range_errors(
    int code, std::string_view message, std::span<const std::int64_t> read_ids, std::string_view each
) {
    proto::storage::v2::BidiReadObjectError detail;
    for (const std::int64_t id : read_ids.first(std::min(read_ids.size(), max_named_ranges))) {
        auto& range = *detail.add_read_range_errors();
        range.set_read_id(id);
        range.mutable_status()->set_code(code);
        if (!each.empty()) range.mutable_status()->set_message(std::string(each));
    }
    return encode_status(code, message, detail);
}

std::string encode_redirect(
    int code, std::string_view message, std::string_view token, std::string_view read_handle
) {
    // Encoded by hand: the token may consist of any bytes, and protobuf warns of strings that are not UTF-8.
    wire_writer detail;
    if (!read_handle.empty()) {
        wire_writer handle;
        handle.bytes(1, read_handle);
        detail.bytes(1, handle.take());
    }
    if (!token.empty()) detail.bytes(2, token);
    proto::rpc::Status status;
    status.set_code(code);
    status.set_message(std::string(message));
    auto& any = *status.add_details();
    any.set_type_url(
        "type.googleapis.com/" + proto::service_name<proto::storage::v2::BidiReadObjectRedirectedError>()
    );
    any.set_value(detail.take());
    return status.SerializeAsString();
}

}  // namespace rangeio::emulator
