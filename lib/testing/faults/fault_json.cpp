#include "testing/faults/fault_json.hpp"

#include "testing/faults/fault_fields.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/stream_parser.hpp>
#include <boost/json/value.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <stdexcept>

namespace rangeio::testing {
namespace {

namespace json = boost::json;

json::value parse_value(std::string_view text) {
    json::stream_parser parser;
    boost::system::error_code why;
    const std::size_t read = parser.write(text.data(), text.size(), why);
    if (!why) parser.finish(why);
    if (!why) return parser.release();
    const std::string_view before = text.substr(0, std::min(read, text.size()));
    throw std::invalid_argument(
        fmt::format("line {}: invalid JSON: {}", std::ranges::count(before, '\n') + 1, why.message())
    );
}

// The value as in a line of text; the builder checks it.
std::string text_of(const json::value& value) {
    if (const auto* text = value.if_string()) return std::string(*text);
    if (const auto* yes = value.if_bool()) return *yes ? "yes" : "no";
    return json::serialize(value);
}

fault fault_of(const json::value& value, std::size_t number) {
    const std::string where = std::to_string(number);
    const json::object* fields = value.if_object();
    if (fields == nullptr) throw std::invalid_argument(fmt::format("fault {}: not an object", where));
    const json::value* kind = fields->if_contains("kind");
    if (kind == nullptr || !kind->is_string()) {
        throw std::invalid_argument(fmt::format("fault {}: \"kind\" is missing or not a string", where));
    }
    fault_builder out(where, kind->get_string());
    for (const auto& [key, field] : *fields) {
        if (key != "kind") out.set(key, text_of(field));
    }
    return out.take();
}

std::uint64_t seed_of(const json::value& value) {
    boost::system::error_code why;
    const auto seed = value.to_number<std::uint64_t>(why);
    if (why) throw std::invalid_argument("\"seed\" is not a whole number from 0");
    return seed;
}

}  // namespace

bool is_json(std::string_view text) {
    const auto begin = text.find_first_not_of(" \t\r\n");
    return begin != text.npos && (text[begin] == '[' || text[begin] == '{');
}

fault_script parse_json(std::string_view text) {
    fault_script out;
    const json::value root = parse_value(text);
    const json::array* list = root.if_array();
    if (const json::object* fields = root.if_object()) {
        for (const auto& [key, value] : *fields) {
            if (key == "seed") {
                out.seed = seed_of(value);
            } else if (key == "faults") {
                list = value.if_array();
            } else {
                throw std::invalid_argument(fmt::format("\"{}\" is not a script field", std::string_view(key))
                );
            }
        }
        if (list == nullptr) throw std::invalid_argument("\"faults\" is missing or not an array");
    }
    for (const json::value& value : *list) out.faults.push_back(fault_of(value, out.faults.size() + 1));
    return out;
}

std::string fault_script::json() const {
    json::array list;
    for (const fault& f : faults) {
        const fault_view view(f);
        json::object fields{{"kind", to_string(f.kind)}};
        if (f.call != 0) fields["call"] = f.call;
        if (f.range != 0) fields["range"] = f.range;
        if (f.byte != 0) fields["byte"] = f.byte;
        if (view.shows_times()) fields["times"] = f.times;
        if (f.percent != 100) fields["chance"] = fmt::format("{}%", f.percent);
        if (view.shows_delay()) fields["delay"] = view.delay();
        if (view.shows_bytes()) fields["bytes"] = f.bytes;
        if (view.shows_status()) fields["status"] = view.status();
        if (view.shows_retry_after()) fields["retry-after"] = view.retry_after();
        if (view.shows_token()) {
            fields["token"] = view.token();
            fields["handle"] = f.handle;
        }
        if (view.shows_distinct()) fields["distinct"] = true;
        list.push_back(std::move(fields));
    }
    if (!seed) return json::serialize(list);
    return json::serialize(json::object{{"seed", *seed}, {"faults", std::move(list)}});
}

}  // namespace rangeio::testing
