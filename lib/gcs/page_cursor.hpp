#pragma once

#include <rangeio/client.hpp>
#include <rangeio/error.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace rangeio::gcs {

/// The position of a listing, with the state that detects a listing without progress. It is stored in the page token,
/// from one page to the next, so that it does not depend on which client requests the next page.
class page_cursor {
public:
    page_cursor() = default;
    /// The cursor in a token that take() made; for a token of the service itself, a new cursor.
    ///
    /// Throws: errc::invalid_argument for a token that was cut or changed.
    static page_cursor parse(std::string_view token);

    /// The token for the next request to the service.
    const std::string& service_token() const noexcept { return token_; }

    /// Checks a page from the service, and replaces its token by one of this kind.
    ///
    /// Errors: errc::protocol_error if the names do not increase, if the token is repeated, or if more than
    ///         `max_empty_pages` pages in a row had no name.
    error_value take(list_page& page, unsigned max_empty_pages);

private:
    error_value check_names(const list_page& page);
    error_value check_token(const std::string& next);
    std::string text() const;

    std::string token_;
    std::string last_object_;
    std::string last_prefix_;
    std::uint64_t empty_pages_ = 0;  // in a row
    // Brent's search for a cycle: one token is kept, and replaced after 1, 2, 4, ... pages.
    std::uint64_t kept_token_ = 0;  // a hash
    std::uint64_t pages_ = 0;       // since that token
    std::uint64_t keep_after_ = 1;
};

}  // namespace rangeio::gcs
