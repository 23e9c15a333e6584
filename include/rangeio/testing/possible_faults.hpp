#pragma once

#include <rangeio/error.hpp>
#include <rangeio/testing/fault_script.hpp>

#include <set>

namespace rangeio::testing {

/// The errors with which operations on the library's streams may fail on a service with a given script: every error
/// that the last of several attempts may end with. A script costs time, or one of these errors.
class possible_faults {
public:
    /// No faults.
    possible_faults() = default;
    explicit possible_faults(const fault_script& script);
    /// The faults of any correct service, and of its network.
    static possible_faults of_any_service();

    bool explain(const error_value& why) const;

private:
    void report(int status);

    std::set<error_code> codes_;
    std::set<error_code> reported_;  // as statuses of the service
};

}  // namespace rangeio::testing
