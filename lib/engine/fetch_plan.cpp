#include "engine/fetch_plan.hpp"

#include <rangeio/split_range.hpp>

#include "option_range.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace rangeio::engine {
namespace {

constexpr std::size_t max_concurrency = 1024;

error_value past_the_end(const object_info& object) {
    return {errc::range_not_satisfiable, fmt::format("the object ends at {}", object.size)};
}

}  // namespace

error_value refuse_range(byte_range range, const object_info& object, bool allow_short) {
    if (range.empty() || !object.finalized || range.end() <= object.size) return {};
    return allow_short && range.offset() <= object.size ? error_value() : past_the_end(object);
}

error_value check_division(const fetch_options& options) {
    if (const error_value why = check_range("concurrency", options.concurrency(), 1, max_concurrency))
        return why;
    return check_least("min_chunk_bytes", options.min_chunk_bytes(), 1);
}

error_value plan_fetch(
    byte_range range, const object_info& object, const fetch_options& options, range_list& parts
) {
    parts.clear();
    if (const error_value why = check_division(options)) return why;
    if (range.empty()) return {};
    if (const error_value why = refuse_range(range, object, options.allow_short())) return why;
    const byte_range known = range.clamp_to(object.size);
    if (!known.empty()) {
        const auto split = split_range(known, options.concurrency(), options.min_chunk_bytes());
        parts.assign(split.begin(), split.end());
    }
    if (!object.finalized && range.end() > object.size) {
        parts.push_back(byte_range::from_to(std::max(range.offset(), object.size), range.end()));
    }
    return {};
}

bool rides(byte_range range, const fetch_options& options) {
    return !range.empty() && split_range(range, options.concurrency(), options.min_chunk_bytes()).size() == 1;
}

result<std::size_t> validate_fetch(
    byte_range asked,
    const range_list& parts,
    const std::function<std::uint64_t(std::size_t)>& received,
    const object_info& object,
    bool allow_short
) {
    std::size_t total = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const std::uint64_t came = received(i);
        total += came;
        if (came == parts[i].length()) continue;
        const std::uint64_t stopped_at = parts[i].offset() + came;
        const bool at_end = object.finalized ? stopped_at == object.size : stopped_at >= object.size;
        if (!at_end) {
            return error_value(
                errc::short_read,
                fmt::format("the service ended {} after {} bytes", to_string(parts[i]), came)
            );
        }
        break;  // the object has no further bytes
    }
    if (total < asked.length() && !allow_short) {
        return error_value(
            errc::range_not_satisfiable, fmt::format("the object ends at {}", asked.offset() + total)
        );
    }
    return total;
}

}  // namespace rangeio::engine
