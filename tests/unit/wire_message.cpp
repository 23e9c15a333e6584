#include "unit/wire_message.hpp"

#include <rangeio/proto/storage.pb.h>

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/common.h>

#include <fmt/format.h>

#include <algorithm>

namespace rangeio::test {
namespace {

namespace storage = proto::storage::v2;

std::string tag(std::uint32_t number, std::uint32_t wire_type) {
    return varint(std::uint64_t{number} << 3 | wire_type);
}

std::string little_endian(std::uint64_t value, int bytes) {
    std::string out;
    for (int i = 0; i < bytes; ++i) {
        out += static_cast<char>(value >> (8 * i) & 0xff);
    }
    return out;
}

// Maps are written in the order of their keys.
std::string deterministic(const google::protobuf::MessageLite& message) {
    std::string out;
    {
        google::protobuf::io::StringOutputStream stream(&out);
        google::protobuf::io::CodedOutputStream coded(&stream);
        coded.SetSerializationDeterministic(true);
        message.SerializeToCodedStream(&coded);
    }
    return out;
}

template <class A, class B>
void expect(std::string& differences, std::string_view what, const A& ours, const B& protobufs) {
    if (ours != protobufs) {
        differences += fmt::format("{}: {}, protobuf: {}\n", what, ours, protobufs);
    }
}

std::string differences(
    std::span<const wire::slice> message,
    const wire::read_response& ours,
    const storage::BidiReadObjectResponse& theirs
) {
    std::string out;
    expect(out, "chunks", ours.chunks.size(), static_cast<std::size_t>(theirs.object_data_ranges_size()));
    for (int i = 0; out.empty() && i < theirs.object_data_ranges_size(); ++i) {
        const auto& chunk = ours.chunks[static_cast<std::size_t>(i)];
        const auto& range = theirs.object_data_ranges(i);
        const auto& data = range.checksummed_data();
        expect(out, "has_read_range", chunk.has_read_range, range.has_read_range());
        expect(out, "read_id", chunk.read_id, range.read_range().read_id());
        expect(out, "read_offset", chunk.read_offset, range.read_range().read_offset());
        expect(out, "read_length", chunk.read_length, range.read_range().read_length());
        expect(out, "range_end", chunk.range_end, range.range_end());
        expect(out, "has_data", chunk.has_data, range.has_checksummed_data());
        expect(out, "payload", copy_of(message, chunk.payload), data.content());
        expect(out, "has crc32c", chunk.crc32c.has_value(), data.has_crc32c());
        expect(out, "crc32c", chunk.crc32c.value_or(0), data.crc32c());
    }
    expect(out, "has read_handle", ours.read_handle.has_value(), theirs.has_read_handle());
    expect(
        out,
        "read_handle",
        copy_of(message, ours.read_handle.value_or(wire::extent{})),
        theirs.read_handle().handle()
    );
    expect(out, "has metadata", !ours.metadata.empty(), theirs.has_metadata());
    storage::Object object;
    for (const wire::extent part : ours.metadata) {
        expect(out, "metadata accepted", object.MergeFromString(copy_of(message, part)), true);
    }
    expect(out, "metadata", deterministic(object), deterministic(theirs.metadata()));
    return out;
}

}  // namespace

std::string varint(std::uint64_t value, std::size_t min_bytes) {
    std::string out;
    for (; value >= 0x80 || out.size() + 1 < min_bytes; value >>= 7) {
        out += static_cast<char>(value & 0x7f) | '\x80';
    }
    return out += static_cast<char>(value);
}

std::string varint_field(std::uint32_t number, std::uint64_t value) {
    return tag(number, 0) + varint(value);
}

std::string fixed64_field(std::uint32_t number, std::uint64_t value) {
    return tag(number, 1) + little_endian(value, 8);
}

std::string bytes_field(std::uint32_t number, std::string_view content) {
    return tag(number, 2) + varint(content.size()) + std::string(content);
}

std::string group_field(std::uint32_t number, std::string_view fields) {
    return tag(number, 3) + std::string(fields) + tag(number, 4);
}

std::string fixed32_field(std::uint32_t number, std::uint32_t value) {
    return tag(number, 5) + little_endian(value, 4);
}

sliced::sliced(std::string_view message, const std::function<std::size_t()>& next_size) {
    while (!message.empty()) {
        const std::string_view part = message.substr(0, next_size());
        const auto* first = reinterpret_cast<const std::byte*>(part.data());
        memory_.emplace_back(first, first + part.size());
        message.remove_prefix(part.size());
    }
    slices_.assign(memory_.begin(), memory_.end());
}

sliced::sliced(std::string_view message, std::size_t size) : sliced(message, [=] { return size; }) {}

std::string disagreement(std::string_view message, const sliced& as_slices, bool* accepted) {
#if GOOGLE_PROTOBUF_VERSION < 4022000  // later ones log through Abseil
    const google::protobuf::LogSilencer no_complaints_about_utf8;
#endif
    storage::BidiReadObjectResponse theirs;
    const bool parsed = theirs.ParseFromArray(message.data(), static_cast<int>(message.size()));
    if (accepted != nullptr) {
        *accepted = parsed;
    }
    wire::read_response ours;
    const wire::decode_result result = decode_read_response(as_slices.slices(), ours);
    if (!result) {
        if (!ours.chunks.empty() || !ours.metadata.empty() || ours.read_handle) {
            return "something is left after a failure";
        }
        return parsed ? fmt::format("rejected ({}), but protobuf accepts", result.what) : "";
    }
    if (parsed) {
        return differences(as_slices.slices(), ours, theirs);
    }
    // The one difference: errors inside of the object are seen by who parses it (who may then go one level
    // deeper).
    const bool good_metadata =
        std::all_of(ours.metadata.begin(), ours.metadata.end(), [&](wire::extent part) {
            return storage::Object().ParseFromString(copy_of(as_slices.slices(), part));
        });
    return good_metadata ? "accepted, but protobuf rejects" : "";
}

}  // namespace rangeio::test
