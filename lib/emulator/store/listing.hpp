#pragma once

#include "emulator/store/directory_walk.hpp"

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <vector>

namespace rangeio::emulator {

/// The query of a listing; the fields of ListObjectsRequest.
struct list_query {
    std::string bucket;
    std::string prefix;
    std::string delimiter;
    bool include_trailing_delimiter = false;
    bool include_folders_as_prefixes = false;
    std::string lexicographic_start;
    std::string lexicographic_end;
    std::int32_t page_size = 0;
    std::string page_token;
};

/// One page, objects and prefixes each in the order of their names.
struct list_page {
    struct object {
        std::string name;
        struct stat state{};
    };

    std::vector<object> objects;
    std::vector<std::string> prefixes;
    /// Empty on the last page.
    std::string next_page_token;
};

/// Lists one page. The rules, over the names in byte order:
///   - a name is listed if it begins with `prefix` and lies in [lexicographic_start, lexicographic_end);
///   - if `delimiter` occurs in it after `prefix`, the name up to the end of the delimiter is listed instead, once, as
///     a prefix; with include_trailing_delimiter, a name that ends with its first delimiter is listed as an object,
///     too;
///   - with include_folders_as_prefixes, an empty directory is a prefix like one that contains objects;
///   - a page has at most 1000 objects and prefixes together, and the next one continues after its last entry.
///
/// Throws: call_error INVALID_ARGUMENT for a negative page size and for a token of another query.
list_page list(directory_walk& walk, const list_query& query);

}  // namespace rangeio::emulator
