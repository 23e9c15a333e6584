#include <rangeio/testing/fault_script.hpp>

#include "testing/faults/fault_fields.hpp"
#include "testing/faults/fault_json.hpp"
#include "text_fields.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace rangeio::testing {
namespace {

std::string_view take_word(std::string_view& line) {
    line = trimmed(line);
    const std::string_view word = line.substr(0, std::min(line.find_first_of(" \t\r"), line.size()));
    line.remove_prefix(word.size());
    return word;
}

fault read_line(std::string_view line) {
    const std::string where = fmt::format("\"{}\"", line);
    fault_builder out(where, take_word(line));
    for (std::string_view pair = take_word(line); !pair.empty(); pair = take_word(line)) {
        const auto equals = pair.find('=');
        if (equals == pair.npos) {
            throw std::invalid_argument(fmt::format("fault {}: \"{}\" is not KEY=VALUE", where, pair));
        }
        out.set(pair.substr(0, equals), pair.substr(equals + 1));
    }
    return out.take();
}

}  // namespace

fault_script fault_script::parse(std::string_view text) {
    if (is_json(text)) return parse_json(text);
    fault_script out;
    while (!text.empty()) {
        const auto end = std::min(text.find_first_of(";\n"), text.size());
        std::string_view line = text.substr(0, end);
        if (const auto comment = line.find('#'); comment != line.npos) {
            // A comment extends to the end of its line, over separators of faults.
            line = line.substr(0, comment);
            text.remove_prefix(std::min(text.find('\n'), text.size()));
        } else {
            text.remove_prefix(end);
        }
        if (!text.empty()) text.remove_prefix(1);
        line = trimmed(line);
        if (!line.empty()) out.faults.push_back(read_line(line));
    }
    return out;
}

std::string fault_script::text() const {
    std::string out;
    for (const fault& f : faults) {
        const fault_view view(f);
        if (!out.empty()) out += "; ";
        out += to_string(f.kind);
        if (f.call != 0) out += fmt::format(" call={}", f.call);
        if (f.range != 0) out += fmt::format(" range={}", f.range);
        if (f.byte != 0) out += fmt::format(" byte={}", f.byte);
        if (view.shows_times()) out += fmt::format(" times={}", f.times);
        if (f.percent != 100) out += fmt::format(" chance={}%", f.percent);
        if (view.shows_delay()) out += " delay=" + view.delay();
        if (view.shows_bytes()) out += fmt::format(" bytes={}", f.bytes);
        if (view.shows_status()) out += " status=" + view.status();
        if (view.shows_retry_after()) out += " retry-after=" + view.retry_after();
        if (view.shows_token())
            out += fmt::format(" token={} handle={}", view.token(), f.handle ? "yes" : "no");
        if (view.shows_distinct()) out += " distinct=yes";
    }
    return out;
}

}  // namespace rangeio::testing
