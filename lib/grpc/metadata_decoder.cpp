#include "grpc/metadata_decoder.hpp"

#include "grpc/limits.hpp"
#include "grpc/message_reader.hpp"
#include "grpc/object_decoder.hpp"

#include <exception>

namespace rangeio::wire {
namespace {

// An empty entry takes two bytes of the message and hundreds of bytes of memory.
constexpr const char* too_many_entries = "more than 10000 entries";
static_assert(grpc_transport::max_page_entries == 10'000);

decode_result end_of(const message_reader& in) noexcept {
    if (in.error() == nullptr) return {};
    return {decode_status::malformed, in.error()};
}

decode_result read_listing(message_reader& in, list_page& out) {
    for (auto tag = in.fields.next(); tag != 0; tag = in.fields.next()) {
        const bool entry = tag == length_delimited_field(1) || tag == length_delimited_field(2);
        if (entry && out.objects.size() + out.prefixes.size() == grpc_transport::max_page_entries) {
            return {decode_status::above_limit, too_many_entries};
        }
        switch (tag) {
            case length_delimited_field(1):
                if (const auto how = decode_object(in.bytes(), out.objects.emplace_back()); !how) return how;
                break;
            case length_delimited_field(2): in.text(out.prefixes.emplace_back()); break;
            case length_delimited_field(3): in.text(out.next_page_token); break;
            default: in.fields.skip(tag);
        }
    }
    return end_of(in);
}

decode_result read_layout(message_reader& in, bucket_layout& out) {
    for (auto tag = in.fields.next(); tag != 0; tag = in.fields.next()) {
        switch (tag) {
            case length_delimited_field(2): in.text(out.location); break;
            case length_delimited_field(3): in.text(out.location_type); break;
            case length_delimited_field(5):
                in.fields.nested([&] {
                    for (auto inner = in.fields.next(); inner != 0; inner = in.fields.next()) {
                        if (inner == varint_field(1)) {
                            out.hierarchical_namespace = in.fields.boolean();
                        } else {
                            in.fields.skip(inner);
                        }
                    }
                });
                break;
            default: in.fields.skip(tag);
        }
    }
    return end_of(in);
}

template <class Message>
decode_result decode(
    std::string_view serialised, Message& out, decode_result (*read)(message_reader&, Message&)
) noexcept {
    out = {};
    decode_result how;
    try {
        message_reader in(serialised);
        how = read(in, out);
    } catch (const std::exception&) {
        how = {decode_status::out_of_memory, "no memory for metadata"};
    }
    if (!how) out = {};
    return how;
}

}  // namespace

decode_result decode_listing(std::string_view serialised, list_page& out) noexcept {
    return decode(serialised, out, &read_listing);
}

decode_result decode_layout(std::string_view serialised, bucket_layout& out) noexcept {
    return decode(serialised, out, &read_layout);
}

}  // namespace rangeio::wire
