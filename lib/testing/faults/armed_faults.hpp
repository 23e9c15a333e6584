#pragma once

#include <rangeio/testing/fault_script.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace rangeio::testing {

/// The faults of a script, with the number of strikes that each has left. One object for all calls of a service.
class armed_faults {
public:
    /// The current place of a service. Calls and ranges by their numbers, from 1; 0: no range in particular.
    struct place {
        std::uint64_t call = 0;
        std::uint64_t range = 0;
        std::uint64_t at_call = 0;   // payload bytes of the call that were sent
        std::uint64_t at_range = 0;  // the same of the range
        bool named_only = false;     // only faults that name this call strike
    };
    /// Whether a fault with a chance below 100 % strikes here. `line`: its index in the script.
    using chance = std::function<bool(const fault& what, std::size_t line, const place& here)>;

    armed_faults(const fault_script& script, chance decide);

    /// The fault of this kind that strikes now, or null; the strike is counted. Valid as long as this object.
    const fault* strike(fault_kind kind, const place& here);
    /// Bytes that may be sent before the next place at which some fault could strike.
    std::uint64_t room_before_fault(const place& here) const;
    /// The number of strikes of each fault, in the order of the script.
    std::vector<std::uint64_t> struck() const;

private:
    struct armed {
        fault what;
        std::uint64_t struck = 0;
    };
    static bool applies(const armed& f, const place& here);

    std::vector<armed> faults_;
    chance chance_;
};

}  // namespace rangeio::testing
