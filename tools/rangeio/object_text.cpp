#include "object_text.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <array>

namespace rangeio::tool {

std::string time_text(std::chrono::system_clock::time_point time) {
    return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

std::string crc32c_text(std::uint32_t crc) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    // 32 bits and 4 bits of padding are six digits.
    const std::uint64_t padded = std::uint64_t{crc} << 4;
    std::string out;
    for (int shift = 30; shift >= 0; shift -= 6) out += digits[(padded >> shift) & 63];
    return out + "==";
}

boost::json::object object_json(const object_info& info) {
    boost::json::object out;
    out["bucket"] = info.bucket;
    out["name"] = info.name;
    out["generation"] = std::to_string(info.generation);
    out["metageneration"] = std::to_string(info.metageneration);
    out["size"] = info.size;
    out["finalized"] = info.finalized;
    if (info.finalized && info.crc32c) out["crc32c"] = crc32c_text(*info.crc32c);
    const auto add_text = [&out](std::string_view name, const std::string& value) {
        if (!value.empty()) out[name] = value;
    };
    add_text("etag", info.etag);
    add_text("contentType", info.content_type);
    add_text("contentEncoding", info.content_encoding);
    add_text("storageClass", info.storage_class);
    const auto add_time = [&out](std::string_view name, const auto& value) {
        if (value) out[name] = time_text(*value);
    };
    add_time("timeCreated", info.create_time);
    add_time("updated", info.update_time);
    add_time("timeFinalized", info.finalize_time);
    return out;
}

}  // namespace rangeio::tool
