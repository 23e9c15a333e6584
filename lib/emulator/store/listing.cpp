#include "emulator/store/listing.hpp"

#include <rangeio/crc32c.hpp>

#include "emulator/protocol/status.hpp"
#include "emulator/store/page_token.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

namespace rangeio::emulator {
namespace {

constexpr std::int32_t max_page_size = 1000;

// The query without the size and the token of a page, which may differ between the pages of one listing.
std::uint32_t fingerprint(const list_query& query) {
    std::string text;
    for (const std::string& part :
         {query.bucket, query.prefix, query.delimiter, query.lexicographic_start, query.lexicographic_end}) {
        text += std::to_string(part.size()) + ':' + part;
    }
    text += query.include_trailing_delimiter ? 'd' : '-';
    text += query.include_folders_as_prefixes ? 'f' : '-';
    return crc32c(std::as_bytes(std::span(text)));
}

// The first name after all names that begin with `prefix`; empty if there is none.
std::string behind(std::string prefix) {
    while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xff) {
        prefix.pop_back();
    }
    if (!prefix.empty()) {
        prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
    }
    return prefix;
}

// The end of the names that can be listed; empty if there is none.
std::string ceiling_of(const list_query& query) {
    std::string ceiling = behind(query.prefix);
    if (ceiling.empty() || (!query.lexicographic_end.empty() && query.lexicographic_end < ceiling)) {
        ceiling = query.lexicographic_end;
    }
    return ceiling;
}

class pager {
public:
    pager(const list_query& query, std::uint32_t print)
        : limit_(static_cast<std::size_t>(
              query.page_size == 0 ? max_page_size : std::min(query.page_size, max_page_size)
          )),
          print_(print) {
        if (query.page_size < 0) {
            throw call_error(status_code::invalid_argument, "page_size is negative");
        }
        if (!query.page_token.empty()) {
            last_ = parse_page_token(query.page_token, print);
        }
    }

    const std::optional<list_position>& last() const noexcept { return last_; }

    // False: the page is full, and this position belongs to the next one.
    bool add(list_position position, const struct stat& state) {
        if (last_ && position <= *last_) {
            return true;
        }
        if (page_.objects.size() + page_.prefixes.size() == limit_) {
            page_.next_page_token = make_page_token(*last_, print_);
            return false;
        }
        if (position.is_prefix) {
            page_.prefixes.push_back(position.name);
        } else {
            page_.objects.push_back({position.name, state});
        }
        last_ = std::move(position);
        return true;
    }

    list_page take() { return std::move(page_); }

private:
    std::size_t limit_;
    std::uint32_t print_;
    std::optional<list_position> last_;
    list_page page_;
};

}  // namespace

list_page list(directory_walk& walk, const list_query& query) {
    pager page(query, fingerprint(query));
    const std::string ceiling = ceiling_of(query);
    walk.skip_to(std::max(query.prefix, query.lexicographic_start));
    if (page.last()) {
        walk.skip_to(page.last()->is_prefix ? behind(page.last()->name) : page.last()->name);
    }
    while (auto found = walk.next()) {
        if (!ceiling.empty() && found->name >= ceiling) {
            break;
        }
        if (found->folder && !query.include_folders_as_prefixes) {
            continue;
        }
        const std::string& name = found->name;
        const std::size_t at =
            query.delimiter.empty() ? std::string::npos : name.find(query.delimiter, query.prefix.size());
        if (at == std::string::npos) {
            if (!found->folder && !page.add({name, false}, found->state)) {
                break;
            }
            continue;
        }
        const std::string prefix = name.substr(0, at + query.delimiter.size());
        const bool trailing = query.include_trailing_delimiter && !found->folder && name == prefix;
        if (trailing && !page.add({name, false}, found->state)) {
            break;
        }
        if (!page.add({prefix, true}, {})) {
            break;
        }
        walk.skip_to(behind(prefix));
    }
    return page.take();
}

}  // namespace rangeio::emulator
