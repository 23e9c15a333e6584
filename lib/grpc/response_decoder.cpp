#include "grpc/response_decoder.hpp"

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

// `handle` keeps its value when a second BidiReadHandle comes without one: merging, not replacing.
void decode_read_handle(wire_reader& in, extent& handle) noexcept {
    for (auto tag = in.next(); tag != 0; tag = in.next()) {
        if (tag == length_delimited_field(1)) {
            handle = in.bytes();
        } else {
            in.skip(tag);
        }
    }
}

void decode_response(wire_reader& in, read_response& out) {
    for (auto tag = in.next(); tag != 0; tag = in.next()) {
        switch (tag) {
            case length_delimited_field(4): out.metadata.push_back(in.bytes()); break;
            case length_delimited_field(6):
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
    try {
        decode_response(in, out);
    } catch (const std::exception&) {
        // A vector that can't grow, by memory or by its maximum: the one thing here that throws.
        out.clear();
        return {decode_status::out_of_memory, "no memory for the chunks of a response"};
    }
    if (in.error() != nullptr) {
        out.clear();
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
