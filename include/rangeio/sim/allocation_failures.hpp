#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace rangeio::sim {

/// While one of these lives, an allocation of its thread fails: the `nth` from its construction on, counted from 1, and
/// `times` in a row. Zero: none, it only counts.
///
/// What counts is each call of operator new, in any of its forms, and of aligned_alloc, from which Boost.Asio has its
/// coroutine frames and handlers; by whatever code, but for that under an `allocation_exemption`. The one that fails
/// throws std::bad_alloc, or returns null if that is its way.
///
/// Requires:   one source of the program includes `rangeio/sim/replace_new.hpp`.
/// Throws:     std::logic_error if none does.
/// Threads:    others are not concerned. One inside of another's life takes its place meanwhile.
class allocation_failures {
public:
    explicit allocation_failures(std::uint64_t nth, std::uint64_t times = 1);
    allocation_failures(const allocation_failures&) = delete;
    allocation_failures& operator=(const allocation_failures&) = delete;
    ~allocation_failures();

    /// How many were made, those that failed included; and how many failed.
    std::uint64_t counted() const noexcept { return counted_; }
    std::uint64_t injected() const noexcept { return injected_; }
    /// Who asked for the first that failed: a shell command that prints the stack. Empty if none did.
    std::string where() const;

    /// Whether one that lives on this thread has let an allocation fail.
    static bool any_injected() noexcept;

    // For those who allocate.
    static bool admit() noexcept;
    static bool admit_aligned() noexcept;

private:
    bool next() noexcept;

    const std::uint64_t nth_;
    const std::uint64_t times_;
    std::uint64_t counted_ = 0;
    std::uint64_t injected_ = 0;
    std::array<void*, 40> stack_{};
    int depth_ = 0;
    allocation_failures* const outer_;
};

/// While one of these lives on a thread, its allocations neither count nor fail: for what stands around the code that is
/// tested. Not across a `co_await`, after which the thread may be about something else.
class allocation_exemption {
public:
    enum class of {
        everything,
        /// Of aligned_alloc alone. Asio needs memory to destroy a suspended coroutine, and ends the process without.
        asio,
    };

    explicit allocation_exemption(of what = of::everything) noexcept;
    allocation_exemption(const allocation_exemption&) = delete;
    allocation_exemption& operator=(const allocation_exemption&) = delete;
    ~allocation_exemption();

    /// Whether everything is exempt, here and now.
    static bool active() noexcept;

    /// While one of these lives, all exemptions are off: for calls from there back into the code that is tested.
    class lift {
    public:
        lift() noexcept;
        lift(const lift&) = delete;
        lift& operator=(const lift&) = delete;
        ~lift();

    private:
        const unsigned everything_;
        const unsigned asio_;
    };

private:
    const of what_;
};

/// Counts as an allocation, and fails as one: in a fake, for what the real thing would ask for there.
///
/// Throws: std::bad_alloc.
void allocation_point();

/// Blocks from operator new that have not been given back, of all threads. Two equal counts: nothing has leaked between
/// them. (What aligned_alloc gave is not among them; a coroutine frame that leaks takes along what it holds.)
std::int64_t live_allocations() noexcept;

namespace detail {

// For replace_new.hpp. Null: there is no memory, or there is to be none.
void* counted_new(std::size_t size, std::size_t alignment) noexcept;
void counted_delete(void* memory) noexcept;
void* counted_aligned_alloc(std::size_t alignment, std::size_t size) noexcept;

// What a task of a world begins with; and for the kit's own coroutines, what the rest of their task goes on with.
void exempt_from_here(bool exempt) noexcept;

}  // namespace detail

}  // namespace rangeio::sim
