#pragma once

#include "common/options.hpp"
#include "stress/run.hpp"

#include <memory>
#include <optional>
#include <string>

namespace rangeio::tool {

/// The options and the operation of `rangeio-stress --threads`.
class stress_threads {
public:
    stress_threads() = default;

    void add_to(CLI::App& stress);
    /// Whether the command line chose this mode.
    bool chosen() const { return plan_.threads != 0; }
    /// Throws: `failed` if there was any violation.
    void run(std::uint64_t seed, bool json, bool progress);

private:
    std::unique_ptr<stress_target> target() const;
    testing::fault_script faults() const;

    stress_plan plan_;
    CLI::App* app_ = nullptr;
    bool scripted_ = false;
    std::optional<object_ref> object_;
    std::string faults_;
    connection connection_;
};

}  // namespace rangeio::tool
