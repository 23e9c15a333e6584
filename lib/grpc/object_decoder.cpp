#include "grpc/object_decoder.hpp"

#include "grpc/message_reader.hpp"
#include "grpc/timestamp.hpp"

#include <cstdint>
#include <exception>
#include <optional>

namespace rangeio::wire {
namespace {

struct stamp {
    std::int64_t seconds = 0;
    std::int32_t nanos = 0;
};
using time = std::optional<std::chrono::system_clock::time_point>;

class object_reader {
public:
    explicit object_reader(std::string_view serialised) : message_(serialised) {}

    // The error, or null.
    const char* read(object_info& out) {
        std::int64_t size = 0;
        std::optional<stamp> created;
        std::optional<stamp> updated;
        std::optional<stamp> finalized;
        for (auto tag = in_.next(); tag != 0; tag = in_.next()) {
            switch (tag) {
                case length_delimited_field(1): message_.text(out.name); break;
                case length_delimited_field(2): message_.text(out.bucket); break;
                case varint_field(3): out.generation = in_.int64(); break;
                case varint_field(4): out.metageneration = in_.int64(); break;
                case length_delimited_field(5): message_.text(out.storage_class); break;
                case varint_field(6): size = in_.int64(); break;
                case length_delimited_field(7): message_.text(out.content_encoding); break;
                case length_delimited_field(13): message_.text(out.content_type); break;
                case length_delimited_field(14): time_stamp(created); break;
                case length_delimited_field(16): in_.nested([&] { checksums(out); }); break;
                case length_delimited_field(17): time_stamp(updated); break;
                case length_delimited_field(27): message_.text(out.etag); break;
                case length_delimited_field(36): time_stamp(finalized); break;
                default: in_.skip(tag);
            }
        }
        if (message_.error() != nullptr) return message_.error();
        if (size < 0) return "a negative size";
        out.size = static_cast<std::uint64_t>(size);
        out.finalized = finalized.has_value();
        constexpr std::string_view bucket_prefix = "projects/_/buckets/";
        if (out.bucket.starts_with(bucket_prefix)) out.bucket.erase(0, bucket_prefix.size());
        out.create_time = to_time(created);
        out.update_time = to_time(updated);
        out.finalize_time = to_time(finalized);
        return nullptr;
    }

private:
    void time_stamp(std::optional<stamp>& out) {
        if (!out) out.emplace();
        in_.nested([&] {
            for (auto tag = in_.next(); tag != 0; tag = in_.next()) {
                switch (tag) {
                    case varint_field(1): out->seconds = in_.int64(); break;
                    case varint_field(2): out->nanos = static_cast<std::int32_t>(in_.int64()); break;
                    default: in_.skip(tag);
                }
            }
        });
    }

    void checksums(object_info& out) {
        for (auto tag = in_.next(); tag != 0; tag = in_.next()) {
            if (tag == fixed32_field(1)) {
                out.crc32c = in_.fixed32();
            } else {
                in_.skip(tag);
            }
        }
    }

    static time to_time(const std::optional<stamp>& from) {
        if (!from) return std::nullopt;
        return grpc_transport::to_time(from->seconds, from->nanos);
    }

    message_reader message_;
    wire_reader& in_ = message_.fields;
};

}  // namespace

decode_result decode_object(std::string_view serialised, object_info& out) noexcept {
    out = {};
    try {
        const char* const wrong = object_reader(serialised).read(out);
        if (wrong == nullptr) return {};
        out = {};
        return {decode_status::malformed, wrong};
    } catch (const std::exception&) {
        out = {};
        return {decode_status::out_of_memory, "no memory for the object's metadata"};
    }
}

}  // namespace rangeio::wire
