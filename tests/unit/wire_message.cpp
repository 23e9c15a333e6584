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
        // Of how much there may be protobuf has no idea.
        if (result.status == wire::decode_status::above_limit) return "";
        return parsed ? fmt::format("rejected ({}), but protobuf accepts", result.what) : "";
    }
    if (parsed) {
        return differences(as_slices.slices(), ours, theirs);
    }
    // The one difference: errors inside of the object are found by its own parser (which may nest one level
    // deeper).
    const bool good_metadata =
        std::all_of(ours.metadata.begin(), ours.metadata.end(), [&](wire::extent part) {
            return storage::Object().ParseFromString(copy_of(as_slices.slices(), part));
        });
    return good_metadata ? "accepted, but protobuf rejects" : "";
}

}  // namespace rangeio::test
