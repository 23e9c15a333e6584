#include "gcs/page_cursor.hpp"

#include "unit/message_of.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

using rangeio::errc;
using rangeio::error_value;
using rangeio::list_page;
using rangeio::gcs::page_cursor;

namespace {

list_page page_of(
    const std::vector<std::string>& objects,
    const std::string& token,
    const std::vector<std::string>& prefixes = {}
) {
    list_page out;
    for (const std::string& name : objects) out.objects.emplace_back().name = name;
    out.prefixes = prefixes;
    out.next_page_token = token;
    return out;
}

/// Follows the pages as a program does that knows nothing but tokens. `service` gets its own token and the number of
/// the page. Returns why it ended, and how many pages there were.
struct followed {
    error_value why;
    int pages = 0;
};
followed follow(
    const std::function<list_page(const std::string&, int)>& service,
    unsigned max_empty = 1000,
    int most = 5000
) {
    followed out;
    std::string token;
    do {
        auto cursor = page_cursor::parse(token);
        list_page page = service(cursor.service_token(), ++out.pages);
        out.why = cursor.take(page, max_empty);
        token = page.next_page_token;
    } while (!out.why && !token.empty() && out.pages < most);
    return out;
}

std::string name_of(int number) {
    return "name-" + std::to_string(100'000 + number);
}

}  // namespace

TEST_CASE("page_cursor: an ordered listing ends with its last page, and the service gets its own tokens") {
    std::vector<std::string> tokens;
    const auto end = follow([&](const std::string& token, int n) {
        tokens.push_back(token);
        return page_of(
            {name_of(2 * n), name_of(2 * n + 1)}, n == 4 ? "" : "t" + std::to_string(n), {name_of(n) + "/"}
        );
    });
    CHECK_FALSE(end.why);
    CHECK(tokens == std::vector<std::string>{"", "t1", "t2", "t3"});
}

TEST_CASE("page_cursor: a repeated token ends the listing with an error, even if names increase") {
    for (const int cycle : {1, 2, 3, 7, 100}) {
        CAPTURE(cycle);
        const auto end = follow([&](const std::string&, int n) {
            return page_of({name_of(n)}, "t" + std::to_string(n % cycle));
        });
        CHECK(end.why.code() == errc::protocol_error);
        CHECK(end.why.message() == "a page token is repeated");
        CHECK(end.pages <= 4 * cycle + 2);
    }
}

TEST_CASE("page_cursor: a long listing is not mistaken for a loop") {
    const auto end = follow([&](const std::string&, int n) {
        return page_of({name_of(n)}, n == 3000 ? "" : "t" + std::to_string(n));
    });
    CHECK_FALSE(end.why);
    CHECK(end.pages == 3000);
}

TEST_CASE("page_cursor: names that do not increase, on a page or between pages, are an error") {
    const auto once = [](list_page page) { return page_cursor().take(page, 1000); };
    CHECK(once(page_of({"a", "a"}, "")).message() == "the names of the objects do not increase");
    CHECK(once(page_of({"b", "a"}, "")).code() == errc::protocol_error);
    CHECK(once(page_of({""}, "")).code() == errc::protocol_error);
    CHECK(once(page_of({}, "", {"a/", "a/"})).message() == "the names of the prefixes do not increase");
    CHECK_FALSE(once(page_of({"a", "a/b", "b"}, "", {"a/"})));
    // In the order of bytes.
    CHECK_FALSE(once(page_of({"z", "\xc3\xa9"}, "")));
    const auto across = follow([&](const std::string&, int n) {
        return page_of({n == 3 ? "a" : name_of(n)}, "t" + std::to_string(n));
    });
    CHECK(across.why.code() == errc::protocol_error);
    CHECK(across.pages == 3);
    const auto prefixes = follow([&](const std::string&, int n) {
        return page_of({}, "t" + std::to_string(n), {n == 2 ? name_of(1) : name_of(n)});
    });
    CHECK(prefixes.why.code() == errc::protocol_error);
    CHECK(prefixes.pages == 2);
}

TEST_CASE("page_cursor: a limited number of pages in a row may have no name, and the last one may be empty") {
    const auto empty = [](const std::string&, int n) { return page_of({}, "t" + std::to_string(n)); };
    const auto end = follow(empty);
    CHECK(end.why.code() == errc::protocol_error);
    CHECK(end.why.message() == "1001 pages in a row without a name");
    CHECK(end.pages == 1001);
    CHECK(follow(empty, 3).pages == 4);
    const auto now_and_then = follow(
        [&](const std::string&, int n) {
            return page_of(
                n % 3 == 0 ? std::vector{name_of(n)} : std::vector<std::string>(),
                n == 100 ? "" : "t" + std::to_string(n)
            );
        },
        2
    );
    CHECK_FALSE(now_and_then.why);
    CHECK(now_and_then.pages == 100);
}

TEST_CASE("page_cursor: token and names sent by a peer are limited in length") {
    list_page page = page_of({}, std::string(20'000, 't'));
    CHECK(page_cursor().take(page, 1000).code() == errc::protocol_error);
    list_page long_name = page_of({std::string(5000, 'n')}, "");
    CHECK(page_cursor().take(long_name, 1000).code() == errc::protocol_error);
}

TEST_CASE("page_cursor: a token of the service is accepted, one truncated or changed is rejected") {
    CHECK(page_cursor::parse("of another client").service_token() == "of another client");
    list_page page = page_of({"name"}, "token");
    REQUIRE_FALSE(page_cursor().take(page, 1000));
    const std::string whole = page.next_page_token;
    CHECK(page_cursor::parse(whole).service_token() == "token");
    for (std::size_t n = 10; n < whole.size() - 4; ++n) {
        CAPTURE(n);
        CHECK_THROWS_AS((void)page_cursor::parse(whole.substr(0, n)), rangeio::error);
    }
    CHECK(message_of(errc::invalid_argument, [] {
              (void)page_cursor::parse("\xff");
          }) == "page_token: not UTF-8");
    CHECK_THROWS_AS((void)page_cursor::parse("rangeio-1.1.1.1.1.18446744073709551615.1.x"), rangeio::error);
    CHECK_THROWS_AS((void)page_cursor::parse("rangeio-1.99999999999999999999.1.1.1.1.1.x"), rangeio::error);
}
