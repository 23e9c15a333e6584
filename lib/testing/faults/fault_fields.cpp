#include "testing/faults/fault_fields.hpp"

#include <rangeio/error.hpp>

#include "status_numbers.hpp"
#include "text_fields.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <stdexcept>
#include <utility>

namespace rangeio::testing {
namespace {

enum key : unsigned {
    no_key = 0,
    where_call = 1,   // call, times, chance
    where_range = 2,  // range
    where_byte = 4,   // byte
    has_delay = 8,
    has_bytes = 16,
    has_status = 32,
    has_token = 64,
    has_distinct = 128,
    has_retry_after = 256,
};

}  // namespace

struct fault_row {
    fault_kind kind;
    std::string_view name;
    unsigned keys;
    std::uint64_t default_bytes = 0;
    int default_status = 0;
    std::uint64_t default_times = 1;
};

namespace {

constexpr unsigned at_chunk = where_call | where_range | where_byte;
constexpr std::string_view no_token = "no";

constexpr std::array rows{
    fault_row{fault_kind::latency, "latency", at_chunk | has_delay, 0, 0, 0},
    fault_row{fault_kind::bandwidth, "bandwidth", where_call | has_bytes, 0, 0, 0},
    fault_row{fault_kind::slow_open, "slow-open", where_call | has_delay},
    fault_row{
        fault_kind::fail_open,
        "fail-open",
        where_call | has_status | has_retry_after,
        0,
        status_number::unavailable
    },
    fault_row{fault_kind::hang_open, "hang-open", where_call},
    fault_row{
        fault_kind::reset, "reset", at_chunk | has_status | has_retry_after, 0, status_number::unavailable
    },
    fault_row{fault_kind::redirect, "redirect", at_chunk | has_token},
    fault_row{fault_kind::range_error, "range-error", at_chunk | has_status, 0, status_number::out_of_range},
    fault_row{fault_kind::bad_checksum, "bad-checksum", at_chunk},
    fault_row{fault_kind::wrong_offset, "wrong-offset", at_chunk | has_bytes, 1},
    fault_row{fault_kind::surplus, "surplus", where_call | where_range | has_bytes, 1},
    fault_row{fault_kind::short_end, "short-end", where_call | where_range | has_bytes, 1},
    fault_row{fault_kind::unknown_id, "unknown-id", at_chunk},
    fault_row{fault_kind::repeat, "repeat", at_chunk},
    fault_row{fault_kind::late_id, "late-id", where_call | where_range},
    fault_row{fault_kind::no_range_end, "no-range-end", where_call | where_range},
    fault_row{fault_kind::double_range_end, "double-range-end", where_call | where_range},
    fault_row{fault_kind::empty_range_end, "empty-range-end", where_call | where_range},
    fault_row{fault_kind::no_metadata, "no-metadata", where_call},
    fault_row{fault_kind::new_handle, "new-handle", at_chunk},
    fault_row{fault_kind::batch, "batch", where_call | has_bytes | has_distinct, 2, 0, 0},
    fault_row{fault_kind::chunk, "chunk", where_call | has_bytes, 1, 0, 0},
    fault_row{fault_kind::idle_abort, "idle-abort", where_call | has_delay},
    fault_row{fault_kind::ok_early, "ok-early", at_chunk},
    fault_row{fault_kind::mute, "mute", where_call | where_range},
    fault_row{fault_kind::goaway, "goaway", at_chunk},
    fault_row{fault_kind::new_generation, "new-generation", at_chunk},
    fault_row{fault_kind::grow, "grow", at_chunk | has_bytes, 1},
    fault_row{fault_kind::old_size, "old-size", where_call | has_bytes, 1},
    fault_row{fault_kind::silent_connection, "silent-connection", at_chunk},
    fault_row{fault_kind::slow_link, "slow-link", where_call | has_bytes},
    fault_row{fault_kind::max_streams, "max-streams", has_bytes},
    fault_row{fault_kind::too_many_pings, "too-many-pings", at_chunk},
    fault_row{fault_kind::outage, "outage", at_chunk | has_delay},
    fault_row{fault_kind::no_generation, "no-generation", where_call},
    fault_row{fault_kind::no_checksum, "no-checksum", at_chunk},
    fault_row{fault_kind::wild_timestamp, "wild-timestamp", where_call},
    fault_row{fault_kind::long_details, "long-details", where_call | has_bytes, 2000, 0, 0},
    fault_row{fault_kind::giant_message, "giant-message", at_chunk | has_bytes, std::uint64_t{65} << 20},
    fault_row{fault_kind::empty_chunks, "empty-pieces", at_chunk | has_bytes, 100'000},
    fault_row{
        fault_kind::fail_metadata,
        "fail-metadata",
        where_call | has_status | has_retry_after,
        0,
        status_number::unavailable
    },
    fault_row{fault_kind::hang_metadata, "hang-metadata", where_call},
    fault_row{fault_kind::repeat_page, "repeat-page", where_call},
    fault_row{fault_kind::empty_page, "empty-page", where_call},
    fault_row{fault_kind::unordered_page, "unordered-page", where_call},
};

// Escapes for a token of any bytes, in text and JSON: `\xHH` for bytes that are not printable or have a meaning there.
bool stands_for_itself(char c) {
    return c > ' ' && c <= '~' && c != ';' && c != '#' && c != '\\';
}

std::string escaped(std::string_view bytes) {
    std::string out;
    for (const char c : bytes) {
        if (stands_for_itself(c)) {
            out += c;
        } else {
            out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        }
    }
    // Must not be read as no token.
    if (out == no_token) out = "\\x6eo";
    return out;
}

std::optional<std::string> unescaped(std::string_view text) {
    std::string out;
    if (text.empty()) return std::nullopt;
    while (!text.empty()) {
        if (text.front() != '\\') {
            if (!stands_for_itself(text.front())) return std::nullopt;
            out += text.front();
            text.remove_prefix(1);
            continue;
        }
        unsigned value = 0;
        const char* const digits = text.data() + std::min<std::size_t>(text.size(), 2);
        const char* const end = text.data() + std::min<std::size_t>(text.size(), 4);
        const auto [after, wrong] = std::from_chars(digits, end, value, 16);
        if (!text.starts_with("\\x") || wrong != std::errc() || after != text.data() + 4) return std::nullopt;
        out += static_cast<char>(value);
        text.remove_prefix(4);
    }
    return out;
}

const fault_row& row_of(fault_kind kind) noexcept {
    return *std::ranges::find(rows, kind, &fault_row::kind);
}

constexpr int max_status = 16;

struct unit {
    std::string_view suffix;
    std::uint64_t ns;
};
constexpr std::array units{unit{"ns", 1}, unit{"us", 1'000}, unit{"ms", 1'000'000}, unit{"s", 1'000'000'000}};

std::string text_of(std::chrono::nanoseconds time) {
    const auto ns = static_cast<std::uint64_t>(time.count());
    const unit* best = &units.front();
    for (const unit& u : units) {
        if (ns % u.ns == 0) best = &u;
    }
    return fmt::format("{}{}", ns / best->ns, best->suffix);
}

}  // namespace

fault_builder::fault_builder(std::string where, std::string_view kind) : where_(std::move(where)) {
    const auto row = std::ranges::find(rows, kind, &fault_row::name);
    if (row == rows.end()) complain(fmt::format("\"{}\" is not a fault kind", kind));
    row_ = &*row;
    fault_.kind = row->kind;
    fault_.bytes = row->default_bytes;
    fault_.status = row->default_status;
    fault_.times = row->default_times;
    if ((row->keys & has_token) != 0) fault_.token = "there";
}

fault fault_builder::take() {
    if ((row_->keys & has_delay) != 0 && fault_.delay.count() == 0) complain("delay is missing");
    if ((row_->keys & has_bytes) != 0 && fault_.bytes == 0) complain("bytes is missing or zero");
    return std::move(fault_);
}

void fault_builder::set(std::string_view name, std::string_view value) {
    if (name == "call") {
        fault_.call = count(name, value, where_call, 1);
    } else if (name == "times") {
        fault_.times = count(name, value, where_call, 0);
    } else if (name == "chance") {
        need(name, where_call);
        const bool percent = value.ends_with('%');
        const auto n = whole_number(percent ? value.substr(0, value.size() - 1) : value);
        if (!percent || !n || *n < 1 || *n > 100) complain("chance is not a percentage in 1%..100%");
        fault_.percent = static_cast<unsigned>(*n);
    } else if (name == "range") {
        fault_.range = count(name, value, where_range, 1);
    } else if (name == "byte") {
        fault_.byte = count(name, value, where_byte, 0);
    } else if (name == "bytes") {
        fault_.bytes = count(name, value, has_bytes, 1);
    } else if (name == "delay") {
        need(name, has_delay);
        fault_.delay = duration(name, value);
    } else if (name == "status") {
        need(name, has_status);
        fault_.status = status(value);
    } else if (name == "retry-after") {
        need(name, has_retry_after);
        fault_.retry_after = duration(name, value);
    } else if (name == "token") {
        need(name, has_token);
        const auto token = unescaped(value);
        if (!token)
            complain("token: not printable ASCII without white space, ; and #, or \\xHH for any byte");
        fault_.token = value == no_token ? std::string() : *token;
    } else if (name == "handle") {
        need(name, has_token);
        fault_.handle = yes(name, value);
    } else if (name == "distinct") {
        need(name, has_distinct);
        fault_.distinct = yes(name, value);
    } else {
        complain(fmt::format("\"{}\" is not a key", name));
    }
}

void fault_builder::need(std::string_view name, unsigned which) const {
    if ((row_->keys & which) == 0) complain(fmt::format("{} takes no {}", row_->name, name));
}

std::uint64_t fault_builder::count(
    std::string_view name, std::string_view value, unsigned which, std::uint64_t least
) const {
    need(name, which);
    const auto n = whole_number(value);
    if (!n || *n < least || *n > std::numeric_limits<std::int64_t>::max()) {
        complain(fmt::format("{}={} is not a whole number from {}", name, value, least));
    }
    return *n;
}

bool fault_builder::yes(std::string_view name, std::string_view value) const {
    if (value != "yes" && value != "no") complain(fmt::format("{} is not yes or no", name));
    return value == "yes";
}

std::chrono::nanoseconds fault_builder::duration(std::string_view name, std::string_view value) const {
    const auto digits = std::min(value.find_first_not_of("0123456789"), value.size());
    const auto n = whole_number(value.substr(0, digits));
    const auto u = std::ranges::find(units, value.substr(digits), &unit::suffix);
    constexpr std::uint64_t longest = std::uint64_t{24} * 3600 * 1'000'000'000;
    if (!n || *n == 0 || u == units.end() || *n > longest / u->ns) {
        complain(fmt::format("{}={} is not a time like 5ms, at most a day", name, value));
    }
    return std::chrono::nanoseconds(*n * u->ns);
}

int fault_builder::status(std::string_view value) const {
    for (int code = 1; code <= max_status; ++code) {
        if (value == grpc_category().message(code)) return code;
    }
    const auto n = whole_number(value).value_or(0);
    if (n < 1 || n > max_status) {
        complain(fmt::format("status={} is not a gRPC error status", value));
    }
    return static_cast<int>(n);
}

void fault_builder::complain(std::string_view what) const {
    throw std::invalid_argument(fmt::format("fault {}: {}", where_, what));
}

fault_view::fault_view(const fault& f) : fault_(f), row_(row_of(f.kind)) {}

bool fault_view::shows_times() const noexcept {
    return fault_.times != row_.default_times;
}

bool fault_view::shows_delay() const noexcept {
    return (row_.keys & has_delay) != 0;
}

bool fault_view::shows_bytes() const noexcept {
    return (row_.keys & has_bytes) != 0;
}

bool fault_view::shows_status() const noexcept {
    return (row_.keys & has_status) != 0;
}

bool fault_view::shows_retry_after() const noexcept {
    return fault_.retry_after.count() != 0;
}

bool fault_view::shows_token() const noexcept {
    return (row_.keys & has_token) != 0;
}

bool fault_view::shows_distinct() const noexcept {
    return fault_.distinct;
}

std::string fault_view::token() const {
    return fault_.token.empty() ? std::string(no_token) : escaped(fault_.token);
}

std::string fault_view::delay() const {
    return text_of(fault_.delay);
}

std::string fault_view::retry_after() const {
    return text_of(fault_.retry_after);
}

std::string fault_view::status() const {
    return grpc_category().message(fault_.status);
}

std::string_view to_string(fault_kind kind) noexcept {
    return row_of(kind).name;
}

const std::vector<fault_kind>& fault_kinds() {
    static const std::vector<fault_kind> all = [] {
        std::vector<fault_kind> out;
        for (const fault_row& row : rows) out.push_back(row.kind);
        return out;
    }();
    return all;
}

}  // namespace rangeio::testing
