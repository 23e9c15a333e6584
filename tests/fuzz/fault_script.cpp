#include <rangeio/testing/fault_script.hpp>

#include "fuzz/targets.hpp"

#include <optional>
#include <stdexcept>

namespace rangeio::fuzz {

void fault_script(std::string_view input) {
    std::optional<testing::fault_script> script;
    try {
        script = testing::fault_script::parse(input);
    } catch (const std::invalid_argument& e) {
        check(*e.what() != '\0', "a script is refused without a reason");
        return;
    }
    check(
        testing::fault_script::parse(script->text()).faults == script->faults,
        "a script is not what it says it is"
    );
    const auto again = testing::fault_script::parse(script->json());
    check(again.faults == script->faults && again.seed == script->seed, "a script is not what its JSON says");
}

}  // namespace rangeio::fuzz
