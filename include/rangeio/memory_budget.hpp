#pragma once

#include <rangeio/detail/visibility.hpp>
#include <rangeio/memory_budget_stats.hpp>

#include <cstdint>
#include <memory>

namespace rangeio {

namespace engine {
class budget_core;
struct budget_access;
}  // namespace engine

/// The memory that readers share for bytes that no caller has read yet, or that they keep for later reads: one for the
/// process, for a client, or for a few readers. The memory of callers, into which a read copies, does not count.
///
/// Memory is reserved in units of up to 1 MiB. A unit that a caller waits for goes before one that it has announced,
/// and that before one that nobody has asked for. If memory is missing, readers give up units that no caller waits for
/// or holds, those first that they are least likely to need.
///
/// **Progress.** A reader whose caller waits is always granted one unit, whatever is reserved. So all readers finish
/// with any limit, and at most the limit and one unit for each reader is reserved.
///
/// **Slices.** A `byte_slice` of a reader counts for as long as it is held: up to a unit, even if it is shorter.
///
/// Threads:    all members may be called by several threads at once.
/// Lifetimes:  a handle; copies share the budget, and so does every reader on it. The last handle may be destroyed
///             before the readers.
class RANGEIO_API memory_budget {
public:
    static constexpr std::uint64_t default_limit_bytes = 128 << 20;
    static constexpr std::uint64_t min_limit_bytes = 1 << 20;  // one unit

    /// Makes a budget of `default_limit_bytes`.
    memory_budget();
    /// Makes a budget of `limit_bytes`, at least `min_limit_bytes`.
    ///
    /// Throws:  `rangeio::error` with errc::invalid_argument for less.
    explicit memory_budget(std::uint64_t limit_bytes);
    memory_budget(const memory_budget&) noexcept = default;
    memory_budget& operator=(const memory_budget&) noexcept = default;
    ~memory_budget();

    std::uint64_t limit_bytes() const noexcept;
    memory_budget_stats stats() const;

private:
    friend struct engine::budget_access;

    std::shared_ptr<engine::budget_core> core_;
};

}  // namespace rangeio
