#pragma once

#include <rangeio/client.hpp>
#include <rangeio/error.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace rangeio::gcs {

/// How far a listing has come: what tells one that makes progress from one that goes round in circles. It travels in the
/// page token, from one page to the next, so that it is there whoever follows the pages.
class page_cursor {
public:
    page_cursor() = default;
    /// Of a token that take() made, or of one of the service's own, for which nothing is known.
    /// Throws: errc::invalid_argument for one that was cut or changed.
    static page_cursor parse(std::string_view token);

    /// What the service gets.
    const std::string& service_token() const noexcept { return token_; }

    /// Takes a page as the service sent it, and puts a token of this kind in place of its own. Fails, with
    /// errc::protocol_error, if the names do not increase, if the token is one that was there before, and if too many
    /// pages in a row had no name.
    failure take(list_page& page, unsigned max_empty_pages);

private:
    failure check_names(const list_page& page);
    failure check_token(const std::string& next);
    std::string text() const;

    std::string token_;
    std::string last_object_;
    std::string last_prefix_;
    std::uint64_t empty_pages_ = 0;  // in a row
    // Brent's search for a cycle: one token is kept, and replaced after 1, 2, 4, ... pages.
    std::uint64_t kept_token_ = 0;  // a hash
    std::uint64_t pages_ = 0;       // since it was kept
    std::uint64_t keep_after_ = 1;
};

}  // namespace rangeio::gcs
