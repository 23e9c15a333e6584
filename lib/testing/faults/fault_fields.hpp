#pragma once

#include <rangeio/testing/fault_script.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace rangeio::testing {

/// The name of a kind of fault, its keys and its defaults.
struct fault_row;

/// Builds a fault from the texts of its keys, and rejects keys that its kind does not use. The same for every form of
/// script.
class fault_builder {
public:
    /// `where` names the fault at the beginning of errors.
    ///
    /// Throws: std::invalid_argument.
    fault_builder(std::string where, std::string_view kind);

    /// Throws: std::invalid_argument.
    void set(std::string_view key, std::string_view value);
    /// Throws: std::invalid_argument if a key is missing.
    fault take();

private:
    void need(std::string_view key, unsigned which) const;
    std::uint64_t count(std::string_view key, std::string_view value, unsigned which, std::uint64_t least)
        const;
    bool yes(std::string_view key, std::string_view value) const;
    std::chrono::nanoseconds duration(std::string_view key, std::string_view value) const;
    int status(std::string_view value) const;
    [[noreturn]] void complain(std::string_view what) const;

    std::string where_;
    const fault_row* row_ = nullptr;
    fault fault_;
};

/// The fields of a fault that are written: those that differ from the defaults.
class fault_view {
public:
    explicit fault_view(const fault& f);

    bool shows_times() const noexcept;
    bool shows_delay() const noexcept;
    bool shows_bytes() const noexcept;
    bool shows_status() const noexcept;
    bool shows_retry_after() const noexcept;
    bool shows_token() const noexcept;
    bool shows_distinct() const noexcept;
    /// `no` for none; escaped.
    std::string token() const;
    /// As `5ms`.
    std::string delay() const;
    std::string retry_after() const;
    /// As `UNAVAILABLE`.
    std::string status() const;

private:
    const fault& fault_;
    const fault_row& row_;
};

}  // namespace rangeio::testing
