#pragma once

#include <rangeio/testing/fault_script.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace rangeio::testing {

/// What a kind of fault is called, takes and has by default.
struct fault_row;

/// Puts a fault together from the texts of its keys, and refuses those that mean nothing to its kind. The same for every
/// form in which faults are written.
class fault_builder {
public:
    /// `where` is what complaints begin with: which fault it is. Throws std::invalid_argument.
    fault_builder(std::string where, std::string_view kind);

    /// Throws std::invalid_argument.
    void set(std::string_view key, std::string_view value);
    /// Throws std::invalid_argument if something is missing.
    fault take();

private:
    void need(std::string_view key, unsigned which) const;
    std::uint64_t count(std::string_view key, std::string_view value, unsigned which, std::uint64_t least)
        const;
    bool yes(std::string_view key, std::string_view value) const;
    std::chrono::nanoseconds duration(std::string_view value) const;
    int status(std::string_view value) const;
    [[noreturn]] void complain(std::string_view what) const;

    std::string where_;
    const fault_row* row_ = nullptr;
    fault fault_;
};

/// What of a fault is to be written, without what would be so anyway.
class fault_view {
public:
    explicit fault_view(const fault& f);

    bool shows_times() const noexcept;
    bool shows_delay() const noexcept;
    bool shows_bytes() const noexcept;
    bool shows_status() const noexcept;
    bool shows_token() const noexcept;
    bool shows_distinct() const noexcept;
    /// `no` for none; escaped.
    std::string token() const;
    /// As `5ms`.
    std::string delay() const;
    /// As `UNAVAILABLE`.
    std::string status() const;

private:
    const fault& fault_;
    const fault_row& row_;
};

}  // namespace rangeio::testing
