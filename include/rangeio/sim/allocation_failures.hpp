#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace rangeio::sim {

/// During the lifetime of this object allocations of its thread fail: the `nth` after its construction, counted from 1,
/// and the following ones, `times` in all. `nth` zero: none fails, they are only counted.
///
/// Each call of operator new, in any of its forms, counts, and each call of aligned_alloc, from which Boost.Asio takes
/// its coroutine frames and handlers; whatever code makes it, except under an `allocation_exemption`. A failing call
/// throws std::bad_alloc, or returns null where its form does so.
///
/// Requires:   one source of the program includes `rangeio/sim/replace_new.hpp`.
/// Throws:     std::logic_error if none does.
/// Threads:    no other thread is affected. A nested object replaces the outer one during its lifetime.
class allocation_failures {
public:
    explicit allocation_failures(std::uint64_t nth, std::uint64_t times = 1);
    allocation_failures(const allocation_failures&) = delete;
    allocation_failures& operator=(const allocation_failures&) = delete;
    ~allocation_failures();

    /// The number of allocations, failed ones included; and the number of failed ones.
    std::uint64_t counted() const noexcept { return counted_; }
    std::uint64_t injected() const noexcept { return injected_; }
    /// The origin of the first failed allocation: a shell command that prints its stack. Empty if none failed.
    std::string where() const;

    /// Whether the active object of this thread has made an allocation fail.
    static bool any_injected() noexcept;

    // For code that allocates.
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

/// During the lifetime of this object the allocations of its thread neither count nor fail: for code around the code
/// under test. Not across a `co_await`, after which the thread may run other code.
class allocation_exemption {
public:
    enum class of {
        everything,
        /// Calls of aligned_alloc alone. Asio needs memory to destroy a suspended coroutine, and ends the process
        /// without it.
        asio,
    };

    explicit allocation_exemption(of what = of::everything) noexcept;
    allocation_exemption(const allocation_exemption&) = delete;
    allocation_exemption& operator=(const allocation_exemption&) = delete;
    ~allocation_exemption();

    /// Whether everything is exempt at this point.
    static bool active() noexcept;

    /// During the lifetime of this object all exemptions are off: for calls from exempt code back into the code under
    /// test.
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

/// Counts as an allocation, and fails as one: for a fake, where the real implementation would allocate.
///
/// Throws: std::bad_alloc.
void allocation_point();

/// The number of blocks from operator new that have not been freed, of all threads. Two equal counts: nothing has
/// leaked between them. (Blocks of aligned_alloc do not count; a leaked coroutine frame also leaks the blocks that it
/// owns.)
std::int64_t live_allocations() noexcept;

namespace detail {

// For replace_new.hpp. Null: there is no memory, or the allocation has to fail.
void* counted_new(std::size_t size, std::size_t alignment) noexcept;
void counted_delete(void* memory) noexcept;
void* counted_aligned_alloc(std::size_t alignment, std::size_t size) noexcept;

// Sets the exemption of a task of a world at its begin; the kit's own coroutines change it for the rest of their task.
void exempt_from_here(bool exempt) noexcept;

}  // namespace detail

}  // namespace rangeio::sim
