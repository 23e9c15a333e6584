#include "grpc/response_decoder.hpp"

#include "grpc/limits.hpp"

#include <exception>

namespace rangeio::wire {
namespace {

void decode_read_range(wire_reader& in, data_chunk& chunk) noexcept {
    chunk.has_read_range = true;
    for (auto tag = in.next(); tag != 0; tag = in.next()) {
        switch (tag) {
            case varint_field(1): chunk.read_offset = in.int64(); break;
            case varint_field(2): chunk.read_length = in.int64(); break;
            case varint_field(3): chunk.read_id = in.int64(); break;
            default: in.skip(tag);
        }
    }
}

void decode_checksummed_data(wire_reader& in, data_chunk& chunk) noexcept {
    chunk.has_data = true;
    for (auto tag = in.next(); tag != 0; tag = in.next()) {
        switch (tag) {
            case length_delimited_field(1): chunk.payload = in.bytes(); break;
            case fixed32_field(2): chunk.crc32c = in.fixed32(); break;
            default: in.skip(tag);
        }
    }
}

void decode_object_range_data(wire_reader& in, data_chunk& chunk) noexcept {
    for (auto tag = in.next(); tag != 0; tag = in.next()) {
        switch (tag) {
            case length_delimited_field(1): in.nested([&] { decode_checksummed_data(in, chunk); }); break;
            case length_delimited_field(2): in.nested([&] { decode_read_range(in, chunk); }); break;
            case varint_field(3): chunk.range_end = in.boolean(); break;
            default: in.skip(tag);
        }
    }
}

// `handle` keeps its value if a second BidiReadHandle has none: messages are merged, not replaced.
void decode_read_handle(wire_reader& in, extent& handle) noexcept {
    for (auto tag = in.next(); tag != 0; tag = in.next()) {
        if (tag == length_delimited_field(1)) {
            handle = in.bytes();
        } else {
            in.skip(tag);
        }
    }
}

// An empty chunk takes two bytes of the message and many more bytes of memory.
constexpr const char* too_many_chunks = "more than 16384 chunks in one message";
static_assert(grpc_transport::max_chunks == 16384);
constexpr const char* too_many_parts = "more than 64 parts of metadata in one message";
static_assert(grpc_transport::max_metadata_parts == 64);

// Returns the limit that is exceeded, or null.
const char* decode_response(wire_reader& in, read_response& out) {
    for (auto tag = in.next(); tag != 0; tag = in.next()) {
        switch (tag) {
            case length_delimited_field(4):
                if (out.metadata.size() == grpc_transport::max_metadata_parts) return too_many_parts;
                out.metadata.push_back(in.bytes());
                break;
            case length_delimited_field(6):
                if (out.chunks.size() == grpc_transport::max_chunks) return too_many_chunks;
                in.nested([&, &chunk = out.chunks.emplace_back()] { decode_object_range_data(in, chunk); });
                break;
            case length_delimited_field(7):
                if (!out.read_handle) {
                    out.read_handle.emplace();
                }
                in.nested([&] { decode_read_handle(in, *out.read_handle); });
                break;
            default: in.skip(tag);
        }
    }
    return nullptr;
}

}  // namespace

void read_response::clear() noexcept {
    chunks.clear();
    metadata.clear();
    read_handle.reset();
}

decode_result decode_read_response(std::span<const slice> message, read_response& out) noexcept {
    out.clear();
    wire_reader in(message);
    const char* limit = nullptr;
    try {
        limit = decode_response(in, out);
    } catch (const std::exception&) {
        // The growth of a vector, beyond the memory or its maximum size, is the only source of exceptions here.
        out.clear();
        return {decode_status::out_of_memory, "no memory for the chunks of a response"};
    }
    if (limit != nullptr || in.error() != nullptr) {
        out.clear();
        if (limit != nullptr) return {decode_status::above_limit, limit};
        return {decode_status::malformed, in.error()};
    }
    return {};
}

std::string copy_of(std::span<const slice> message, extent where) {
    std::string copy;
    copy.reserve(where.size);
    for_each_run(message, where, [&](slice run) {
        copy.append(reinterpret_cast<const char*>(run.data()), run.size());
    });
    return copy;
}

}  // namespace rangeio::wire
