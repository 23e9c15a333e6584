#include "common/command_line.hpp"

#include "common/process.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

namespace rangeio::tool {
namespace {

// The form in which names are compared: case and the kind of dash do not count.
std::string folded(std::string_view name) {
    std::string out(name.substr(std::min(name.find_first_not_of('-'), name.size())));
    for (char& c : out) c = c == '_' ? '-' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return out;
}

// The number of edits: characters to insert, delete or replace, or neighbors to swap.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1);
    std::vector<std::size_t> last(b.size() + 1);
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = std::min({replaced, last[j] + 1, row[j - 1] + 1});
            const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
        }
        std::swap(before, last);
        std::swap(last, row);
    }
    return last[b.size()];
}

[[noreturn]] void refuse(
    std::string_view what, const std::string& typed, const std::vector<std::string>& known
) {
    const std::string near = nearest(typed, known);
    const std::string hint = near.empty() ? "" : fmt::format("; the nearest is '{}'", near);
    throw usage_failed(fmt::format("there is no {} '{}'{}", what, typed, hint));
}

[[noreturn]] void refuse_option(const CLI::App& app, const std::string& typed) {
    std::vector<std::string> known;
    for (const CLI::Option* option : app.get_options()) {
        for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
        for (const std::string& name : option->get_snames()) known.push_back("-" + name);
    }
    refuse("option", typed, known);
}

const CLI::Option& find_option(const CLI::App& app, const std::string& name, const std::string& typed) {
    const CLI::Option* const found = app.get_option_no_throw(name);
    if (found == nullptr) refuse_option(app, typed);
    return *found;
}

bool takes_value(const CLI::Option& option) {
    return std::min(option.get_type_size_min(), option.get_items_expected_min()) > 0;
}

// Whether the next word is the value of the option that this word, or its last letter, names.
bool check_option(const CLI::App& app, const std::string& word) {
    if (word.starts_with("--")) {
        const std::string name = word.substr(0, word.find('='));
        return takes_value(find_option(app, name, name)) && name.size() == word.size();
    }
    for (std::size_t i = 1; i < word.size(); ++i) {
        const std::string letter{'-', word[i]};
        if (takes_value(find_option(app, letter, i == 1 ? word : letter))) return i + 1 == word.size();
    }
    return false;
}

}  // namespace

std::string nearest(std::string_view typed, const std::vector<std::string>& known) {
    constexpr std::size_t min_beginning = 3;
    const std::string text = folded(typed);
    std::string best;
    std::size_t least = std::max<std::size_t>(1, text.size() / 3) + 1;
    for (const std::string& name : known) {
        const std::string other = folded(name);
        std::size_t away = distance(text, other);
        // Another one-letter option is no misspelling of a one-letter option.
        if (std::min(text.size(), other.size()) < 2 && away > 0) continue;
        if (text.size() >= min_beginning && other.starts_with(text)) away = std::min<std::size_t>(away, 1);
        if (away >= least) continue;
        least = away;
        best = name;
    }
    return best;
}

const CLI::App* find_command(const CLI::App& app, std::span<const std::string> words) {
    if (words.empty()) throw usage_failed("a command is required");
    const std::string& first = words.front();
    std::vector<std::string> known;
    for (const CLI::App* command : app.get_subcommands({})) {
        if (command->get_name() == first) return command;
        known.push_back(command->get_name());
    }
    if (first.starts_with('-')) return nullptr;
    refuse("command", first, known);
}

void check_options(const CLI::App& app, std::span<const std::string> words) {
    for (std::size_t i = 0; i < words.size() && words[i] != "--"; ++i) {
        const std::string& word = words[i];
        // A single dash is standard output, and a negative number is an argument.
        const bool option = word.size() > 1 && word[0] == '-' && (word[1] < '0' || word[1] > '9');
        if (option && check_option(app, word)) ++i;
    }
}

}  // namespace rangeio::tool
