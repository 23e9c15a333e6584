#pragma once

#include <rangeio/error.hpp>
#include <rangeio/testing/fault_script.hpp>

#include <set>

namespace rangeio::testing {

/// What a service may do, as far as it can explain how operations on the library's streams fail: every error that the last
/// of several attempts may end with. What a script costs is time, or one of these.
class possible_faults {
public:
    /// Nothing.
    possible_faults() = default;
    explicit possible_faults(const fault_script& script);
    /// What any service may do, and its network, without being wrong.
    static possible_faults of_any_service();

    bool explain(const failure& why) const;

private:
    void report(int status);

    std::set<error_code> codes_;
    std::set<error_code> reported_;  // by the service
};

}  // namespace rangeio::testing
