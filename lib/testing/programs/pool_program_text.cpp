#include "testing/programs/pool_program.hpp"
#include "text_fields.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <stdexcept>
#include <utility>

namespace rangeio::testing {
namespace {

using action = pool_program::action;

/// Removes the text before the first `separator` from the front of `rest`, and returns it.
std::string_view cut(std::string_view& rest, char separator) {
    const auto end = std::min(rest.find(separator), rest.size());
    const std::string_view out = trimmed(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    rest = trimmed(rest);
    return out;
}

[[noreturn]] void complain(const std::string& what) {
    throw std::invalid_argument(what);
}

[[noreturn]] void complain_of(std::size_t line, const std::string& what) {
    complain(fmt::format("line {}: {}", line, what));
}

std::uint64_t number_from(
    std::string_view text, std::uint64_t least, std::uint64_t most, std::string_view what
) {
    const auto n = whole_number(text);
    if (!n || *n < least || *n > most) {
        complain(fmt::format("{}: \"{}\" is not an integer in {}..{}", what, text, least, most));
    }
    return *n;
}

std::chrono::nanoseconds time_of(std::string_view text) {
    constexpr std::array<std::pair<std::string_view, std::uint64_t>, 3> units{
        {{"us", 1'000}, {"ms", 1'000'000}, {"s", 1'000'000'000}}
    };
    const auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto n = whole_number(text.substr(0, digits));
    const auto u =
        std::ranges::find(units, text.substr(digits), &std::pair<std::string_view, std::uint64_t>::first);
    if (!n || *n == 0 || *n > 100'000 || u == units.end()) {
        complain(fmt::format("\"{}\" is not a time like 5ms", text));
    }
    return std::chrono::nanoseconds(*n * u->second);
}

struct action_row {
    action what;
    std::string_view name;
    bool range = false;
    bool concurrency = false;
    std::string_view time_key{};  // empty: none
    bool object = false;
    bool cache = false;  // requires a cache
};
constexpr std::array actions{
    action_row{action::initialize, "initialize"},
    action_row{action::acquire, "acquire", false, false, "timeout"},
    action_row{action::release, "release"},
    action_row{action::read, "read", true, true, "timeout"},
    action_row{action::read_leased, "read-leased", true, false, "timeout"},
    action_row{action::split, "split", true, false, "timeout"},
    action_row{action::close, "close", false, false, "deadline"},
    action_row{action::destroy, "destroy"},
    action_row{action::cancel, "cancel"},
    action_row{action::wait, "wait"},
    action_row{action::open, "open", false, false, {}, true, true},
    action_row{action::open_latest, "open-latest", false, false, {}, true, true},
    action_row{action::close_cache, "close-cache", false, false, "deadline", false, true},
    action_row{action::destroy_cache, "destroy-cache", false, false, {}, false, true},
};

class parser {
public:
    pool_program run(std::string_view text) {
        for (line_ = 1; !text.empty(); ++line_) {
            const auto end = std::min(text.find('\n'), text.size());
            std::string_view content = text.substr(0, end);
            text.remove_prefix(std::min(end + 1, text.size()));
            content = trimmed(content.substr(0, content.find('#')));
            if (content.empty()) continue;
            try {
                directive(content);
            } catch (const std::invalid_argument& e) {
                complain_of(line_, e.what());
            }
        }
        if (out_.tasks.empty()) complain("the program has no task");
        if (!out_.cache && needs_cache_) {
            const auto& [line, name] = *needs_cache_;
            complain_of(line, fmt::format("\"{}\" requires a cache, and the program has none", name));
        }
        for (const auto& [line, task, operation, name] : cancels_) {
            const auto whom = std::ranges::find(out_.tasks, name, &pool_program::task::name);
            if (whom == out_.tasks.end()) {
                const std::string& who = out_.tasks[task].name;
                complain_of(line, fmt::format("task {} cancels {}, which is not a task", who, name));
            }
            out_.tasks[task].operations[operation].task = static_cast<std::size_t>(whom - out_.tasks.begin());
        }
        return std::move(out_);
    }

private:
    void directive(std::string_view rest) {
        const std::string_view name = cut(rest, ' ');
        if (name == "object") {
            out_.object_bytes = number_from(cut(rest, ' '), 0, 1 << 20, "the object's size");
            if (rest == "unfinalized") {
                out_.finalized = false;
            } else if (!rest.empty()) {
                complain(fmt::format("an object takes no \"{}\"", rest));
            }
        } else if (name == "chunk") {
            out_.max_chunk_bytes = number_from(rest, 1, 1 << 20, "the chunk's size");
        } else if (name == "pool") {
            out_.pool_size = number_from(rest, 1, 64, "the pool's size");
        } else if (name == "cache") {
            cache(rest);
        } else if (name == "streams") {
            if (rest != "shared" && rest != "exclusive") complain("streams are neither shared nor exclusive");
            out_.streams = rest == "shared" ? pool_program::kind::shared : pool_program::kind::exclusive;
        } else if (name == "transport" && rest.empty()) {
            out_.streams = pool_program::kind::transport;
        } else if (name == "open-timeout") {
            out_.open_timeout = time_of(rest);
        } else if (name == "early-timers") {
            out_.early_timers = number_from(rest, 0, 100, "early-timers");
        } else if (name == "errors") {
            if (rest != "allowed" && rest != "none") complain("errors are neither allowed nor none");
            out_.errors_allowed = rest == "allowed";
        } else if (name == "within") {
            out_.within = time_of(rest);
        } else if (name == "calls") {
            out_.max_calls = number_from(rest, 0, 100'000, "calls");
        } else if (name == "end") {
            finish(rest);
        } else if (name == "faults") {
            const fault_script more = fault_script::parse(rest);
            out_.faults.faults.insert(out_.faults.faults.end(), more.faults.begin(), more.faults.end());
        } else if (name == "task") {
            task(rest);
        } else {
            complain(fmt::format("\"{}\" is not a directive", name));
        }
    }

    void cache(std::string_view rest) {
        pool_cache_options& options = out_.cache.emplace();
        options.idle_timeout({});
        while (!rest.empty()) {
            std::string_view value = cut(rest, ' ');
            const std::string_view pair = value;
            const std::string_view key = cut(value, '=');
            if (key == "idle-pools") {
                options.max_idle_pools(number_from(value, 0, 64, key));
            } else if (key == "idle-streams") {
                options.max_idle_streams_per_key(number_from(value, 0, 64, key));
            } else if (key == "idle-timeout") {
                options.idle_timeout(time_of(value));
            } else {
                complain(fmt::format("a cache takes no \"{}\"", pair));
            }
        }
    }

    void finish(std::string_view how) {
        using finish = pool_program::finish;
        constexpr std::array<std::pair<std::string_view, finish>, 4> ways{
            {{"close", finish::close},
             {"destroy", finish::destroy},
             {"abandon", finish::abandon},
             {"any", finish::any}}
        };
        const auto way = std::ranges::find(ways, how, &std::pair<std::string_view, finish>::first);
        if (way == ways.end()) complain("the end is not close, destroy, abandon or any");
        out_.end = way->second;
    }

    void task(std::string_view rest) {
        if (rest.find(':') == rest.npos) complain("a task is not of the form NAME: OPERATION; ...");
        pool_program::task t;
        t.name = cut(rest, ':');
        if (t.name.empty()) complain("a task has no name");
        if (std::ranges::find(out_.tasks, t.name, &pool_program::task::name) != out_.tasks.end()) {
            complain(fmt::format("task {} is defined twice", t.name));
        }
        while (!rest.empty()) {
            const std::string_view text = cut(rest, ';');
            if (!text.empty()) t.operations.push_back(operation(text, t.operations.size()));
        }
        if (t.operations.empty()) complain(fmt::format("task {} has no operation", t.name));
        out_.tasks.push_back(std::move(t));
    }

    pool_program::operation operation(std::string_view text, std::size_t index) {
        pool_program::operation out;
        out.text = text;
        std::string_view rest = text;
        const std::string_view name = cut(rest, ' ');
        const auto row = std::ranges::find(actions, name, &action_row::name);
        if (row == actions.end()) complain(fmt::format("\"{}\" is not an operation", name));
        out.what = row->what;
        if (row->cache && !needs_cache_) needs_cache_.emplace(line_, name);
        if (row->range) range(cut(rest, ' '), out);
        if (row->what == action::cancel)
            cancels_.push_back({line_, out_.tasks.size(), index, std::string(cut(rest, ' '))});
        if (row->what == action::wait) out.time = time_of(cut(rest, ' '));
        while (!rest.empty()) {
            const std::string_view pair = cut(rest, ' ');
            const auto equals = std::min(pair.find('='), pair.size());
            const std::string_view key = pair.substr(0, equals);
            const std::string_view value = pair.substr(std::min(equals + 1, pair.size()));
            if (row->concurrency && key == "concurrency") {
                out.parts = number_from(value, 1, 64, "concurrency");
            } else if (row->object && key == "object") {
                out.object = number_from(value, 0, 15, "object");
            } else if (!row->time_key.empty() && key == row->time_key) {
                out.time = time_of(value);
            } else {
                complain(fmt::format("{} takes no \"{}\"", name, pair));
            }
        }
        return out;
    }

    static void range(std::string_view text, pool_program::operation& out) {
        const std::string_view whole = text;
        if (out.what == action::split) {
            const std::string_view range_text = cut(text, ',');
            out.parts = number_from(text, 1, 64, "the number of blocks");
            text = range_text;
        }
        const std::string_view begin = cut(text, '-');
        const auto from = whole_number(begin);
        const auto to = whole_number(text);
        if (!from || !to || *from > *to || *to > 1 << 20)
            complain(fmt::format("\"{}\" is not a range A-B", whole));
        out.range = byte_range(*from, *to - *from);
    }

    struct cancel_to_resolve {
        std::size_t line;
        std::size_t task;
        std::size_t operation;
        std::string name;
    };
    pool_program out_;
    std::size_t line_ = 0;
    std::optional<std::pair<std::size_t, std::string_view>> needs_cache_;  // the first that requires one
    std::vector<cancel_to_resolve> cancels_;
};

}  // namespace

pool_program pool_program::parse(std::string_view text) {
    return parser().run(text);
}

sim::world_options pool_program::world_options() const {
    sim::world_options out;
    out.early_timers(early_timers);
    return out;
}

}  // namespace rangeio::testing
