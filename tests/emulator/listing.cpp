#include "emulator/fixture.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <set>

using namespace support;

namespace {

// A listing as the rules say it, without directories, pages or shortcuts.
std::vector<std::string> expected_entries(
    const std::set<std::string>& names, const storage::ListObjectsRequest& q
) {
    std::set<std::pair<std::string, bool>> entries;  // an object before the prefix of the same name
    for (const std::string& name : names) {
        if (!name.starts_with(q.prefix()) || name < q.lexicographic_start() ||
            (!q.lexicographic_end().empty() && name >= q.lexicographic_end())) {
            continue;
        }
        const std::size_t at =
            q.delimiter().empty() ? std::string::npos : name.find(q.delimiter(), q.prefix().size());
        if (at == std::string::npos) {
            entries.emplace(name, false);
            continue;
        }
        const std::string prefix = name.substr(0, at + q.delimiter().size());
        entries.emplace(prefix, true);
        if (q.include_trailing_delimiter() && name == prefix) {
            entries.emplace(name, false);
        }
    }
    std::vector<std::string> flat;
    for (const auto& [name, is_prefix] : entries) {
        flat.push_back((is_prefix ? "P " : "O ") + name);
    }
    return flat;
}

// All pages, merged by name; checks each page on the way.
std::vector<std::string> listed_entries(fixture& f, storage::ListObjectsRequest q) {
    const std::size_t limit =
        q.page_size() == 0 ? 1000 : static_cast<std::size_t>(std::min(q.page_size(), 1000));
    std::vector<std::string> flat;
    while (true) {
        const auto page = f.ask<storage::ListObjectsResponse>(list_objects, q);
        std::set<std::pair<std::string, bool>> entries;
        for (const auto& object : page.objects()) {
            CHECK(entries.emplace(object.name(), false).second);
        }
        for (const auto& prefix : page.prefixes()) {
            CHECK(entries.emplace(prefix, true).second);
        }
        CHECK(entries.size() <= limit);
        for (const auto& [name, is_prefix] : entries) {
            flat.push_back((is_prefix ? "P " : "O ") + name);
        }
        if (page.next_page_token().empty()) {
            return flat;
        }
        CHECK(entries.size() == limit);
        q.set_page_token(page.next_page_token());
    }
}

storage::ListObjectsRequest query() {
    storage::ListObjectsRequest request;
    request.set_parent(bucket_name);
    return request;
}

std::set<std::string> grow_tree(const fixture& f, std::mt19937& random) {
    const std::vector<std::string> parts{"a", "b", "ab", "a-b", "a.b", "a0", "b-", "-", "\xc3\xa4"};
    std::set<std::string> names;
    for (int i = 0; i < 60; ++i) {
        std::string name;
        for (unsigned depth = random() % 4 + 1; depth > 0; --depth) {
            name += (name.empty() ? "" : "/") + parts[random() % parts.size()];
        }
        // A file cannot have the name of a directory.
        const std::filesystem::path path = f.files.path() / "b" / name;
        bool fits = !std::filesystem::exists(path);
        for (auto up = path.parent_path(); up != f.files.path(); up = up.parent_path()) {
            fits = fits && !std::filesystem::is_regular_file(up);
        }
        if (fits) {
            f.files.write("b/" + name, name);
            names.insert(name);
        }
    }
    return names;
}

}  // namespace

TEST_CASE("ListObjects: the pages of any query on any tree, of any size, list what the rules require") {
    for (unsigned seed = 1; seed <= 4; ++seed) {
        fixture f;
        std::mt19937 random(seed);
        const std::set<std::string> names = grow_tree(f, random);
        std::filesystem::create_directories(f.files.path() / "b/empty/nested");
        const std::vector<std::string> words{"", "a", "a/", "a/b", "b-", "ab/", "-", "zz", "\xc3"};
        for (int i = 0; i < 150; ++i) {
            storage::ListObjectsRequest q = query();
            const auto word = [&] {
                std::string w = words[random() % (words.size() - 1)];
                return random() % 3 == 0 ? w + words[random() % (words.size() - 1)] : w;
            };
            q.set_prefix(word());
            q.set_delimiter(std::vector<std::string>{"", "/", "/", "-", "/a", "b"}[random() % 6]);
            q.set_include_trailing_delimiter(random() % 2 == 0);
            if (random() % 3 == 0) {
                q.set_lexicographic_start(word());
            }
            if (random() % 3 == 0) {
                q.set_lexicographic_end(word());
            }
            q.set_page_size(std::vector<int>{0, 1, 2, 3, 7, 5000}[random() % 6]);
            CAPTURE(seed);
            CAPTURE(q.prefix());
            CAPTURE(q.delimiter());
            CAPTURE(q.lexicographic_start());
            CAPTURE(q.lexicographic_end());
            CAPTURE(q.page_size());
            CHECK(listed_entries(f, q) == expected_entries(names, q));
        }
    }
}

TEST_CASE("ListObjects: an entry has the fields of GetObject, except the checksum") {
    fixture f;
    f.files.write("b/o", "text");
    const auto page = f.ask<storage::ListObjectsResponse>(list_objects, query());
    REQUIRE(page.objects_size() == 1);
    storage::Object object = f.stat("o");
    object.clear_checksums();
    CHECK(page.objects(0).SerializeAsString() == object.SerializeAsString());
    storage::ListObjectsRequest masked = query();
    masked.mutable_read_mask()->add_paths("name");
    CHECK(f.ask<storage::ListObjectsResponse>(list_objects, masked).objects(0).size() == 0);
}

TEST_CASE("ListObjects: folders without objects are prefixes on request only") {
    fixture f;
    f.files.write("b/full/o", "text");
    std::filesystem::create_directories(f.files.path() / "b/empty/nested");
    storage::ListObjectsRequest q = query();
    q.set_delimiter("/");
    CHECK(listed_entries(f, q) == std::vector<std::string>{"P full/"});
    q.set_include_folders_as_prefixes(true);
    CHECK(listed_entries(f, q) == std::vector<std::string>{"P empty/", "P full/"});
    q.set_prefix("empty/");
    CHECK(listed_entries(f, q) == std::vector<std::string>{"P empty/nested/"});
    q.set_delimiter("");
    CHECK(f.refused(list_objects, q).code == code::invalid_argument);
}

TEST_CASE("ListObjects: links, special names and broken encodings are not listed") {
    fixture f;
    f.files.write("b/o", "text");
    f.files.write("b/\xff", "not UTF-8");
    f.files.write("b/new\nline", "not a name");
    std::filesystem::create_symlink("o", f.files.path() / "b/link");
    std::filesystem::create_directory_symlink("..", f.files.path() / "b/up");
    CHECK(listed_entries(f, query()) == std::vector<std::string>{"O o"});
}

TEST_CASE("ListObjects: a token that was not issued for this listing is rejected") {
    fixture f;
    for (const char* name : {"b/a", "b/b", "b/c"}) {
        f.files.write(name, "text");
    }
    storage::ListObjectsRequest q = query();
    q.set_page_size(1);
    const std::string token = f.ask<storage::ListObjectsResponse>(list_objects, q).next_page_token();
    const auto code_with = [&](const std::string& text) {
        q.set_page_token(text);
        return f.refused(list_objects, q).code;
    };
    CHECK(code_with(token) == code::ok);
    for (std::size_t at = 0; at < token.size(); ++at) {
        std::string damaged = token;
        damaged[at] = damaged[at] == 'a' ? 'b' : 'a';
        CHECK(code_with(damaged) == code::invalid_argument);
        CHECK((at == 0 || code_with(token.substr(0, at)) == code::invalid_argument));
    }
    q.set_prefix("a");
    CHECK(code_with(token) == code::invalid_argument);
    q.set_prefix("");
    q.set_page_size(-1);
    CHECK(code_with("") == code::invalid_argument);
    q.set_page_size(0);
    q.set_match_glob("*");
    CHECK(code_with("") == code::unimplemented);
}

TEST_CASE("ListObjects: a token of one query is rejected by any other query") {
    fixture f;
    for (const char* name : {"b/a/a", "b/a/b", "b/a/c", "b/a/d"}) f.files.write(name, "text");
    std::filesystem::create_directory(f.files.path() / "other");
    std::filesystem::copy(
        f.files.path() / "b", f.files.path() / "other", std::filesystem::copy_options::recursive
    );
    // Each differs from the first in one field, some of them so that the texts of all fields together are the same.
    std::vector<storage::ListObjectsRequest> queries(1, query());
    const auto vary = [&](auto change) {
        storage::ListObjectsRequest q = query();
        change(q);
        queries.push_back(q);
    };
    vary([](auto& q) { q.set_parent("projects/_/buckets/other"); });
    vary([](auto& q) { q.set_prefix("a"); });
    vary([](auto& q) { q.set_prefix("a/"); });
    vary([](auto& q) { q.set_delimiter("x"); });
    vary([](auto& q) { q.set_delimiter("/x"); });
    vary([](auto& q) { q.set_lexicographic_start("a"); });
    vary([](auto& q) { q.set_lexicographic_start("a/"); });
    vary([](auto& q) { q.set_lexicographic_end("b"); });
    vary([](auto& q) { q.set_lexicographic_end("bb"); });
    vary([](auto& q) { q.set_include_trailing_delimiter(true); });
    vary([](auto& q) {
        q.set_prefix("a/");
        q.set_delimiter("/");
    });
    vary([](auto& q) {
        q.set_prefix("a/");
        q.set_delimiter("/");
        q.set_include_folders_as_prefixes(true);
    });
    const auto params_of = [](const storage::ListObjectsRequest& q) { return "bucket=" + q.parent(); };
    for (storage::ListObjectsRequest& from : queries) {
        from.set_page_size(1);
        const auto page = f.ask<storage::ListObjectsResponse>(list_objects, from, params_of(from));
        REQUIRE_FALSE(page.next_page_token().empty());
        for (std::size_t i = 0; i < queries.size(); ++i) {
            storage::ListObjectsRequest to = queries[i];
            to.set_page_size(3);
            to.set_page_token(page.next_page_token());
            CAPTURE(i);
            CHECK(
                f.refused(list_objects, to, params_of(to)).code ==
                (&queries[i] == &from ? code::ok : code::invalid_argument)
            );
        }
    }
}

TEST_CASE("ListObjects: a large directory is listed in pages of a thousand") {
    fixture f;
    std::set<std::string> names;
    for (int i = 0; i < 2500; ++i) {
        const std::string name = "large/" + std::to_string(i);
        f.files.write("b/" + name, "");
        names.insert(name);
    }
    CHECK(listed_entries(f, query()) == expected_entries(names, query()));
    CHECK(f.server.stats().list_objects.calls == 3);
    f.files.write("b/large/new", "");
    names.insert("large/new");
    CHECK(listed_entries(f, query()) == expected_entries(names, query()));
}
