#include "testing/programs/pool_program.hpp"

#include "fuzz/targets.hpp"

#include <optional>
#include <stdexcept>

namespace rangeio::fuzz {

void pool_program(std::string_view input) {
    std::optional<testing::pool_program> program;
    try {
        program = testing::pool_program::parse(input);
    } catch (const std::invalid_argument& e) {
        check(*e.what() != '\0', "a program is refused without a reason");
        return;
    }
    check(!program->tasks.empty(), "a program does nothing");
    for (const auto& task : program->tasks) {
        for (const auto& operation : task.operations) {
            check(operation.task < program->tasks.size(), "a task is to be cancelled that is not there");
        }
    }
}

}  // namespace rangeio::fuzz
