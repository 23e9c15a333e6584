#include "testing/service/scripted_link.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>
#include <vector>

namespace rangeio::testing {
namespace {

constexpr double ns = 1e9;
// Far less than a byte, and more than the error from rounding a time to nanoseconds.
constexpr double slack = 1e-3;

}  // namespace

scripted_link::id scripted_link::send(
    std::uint64_t bytes, std::uint64_t bytes_per_second, std::function<void()> passed
) {
    if (!actor_) actor_ = world_.add_actor("the link", true);
    advance();
    rate_ = static_cast<double>(bytes_per_second);
    under_way_.emplace(++last_, message{passed_ + static_cast<double>(bytes), std::move(passed)});
    schedule();
    return last_;
}

void scripted_link::drop(id which) {
    advance();
    if (under_way_.erase(which) != 0) schedule();
}

void scripted_link::advance() {
    const std::chrono::nanoseconds elapsed = world_.now() - std::exchange(at_, world_.now());
    if (under_way_.empty()) return;
    passed_ += static_cast<double>(elapsed.count()) * rate_ / ns / static_cast<double>(under_way_.size());
}

void scripted_link::schedule() {
    if (timer_ != 0) world_.cancel_timer(std::exchange(timer_, 0));
    if (under_way_.empty()) return;
    const auto next = std::ranges::min_element(under_way_, {}, [](const auto& m) { return m.second.end; });
    const double bytes = (next->second.end - passed_) * static_cast<double>(under_way_.size());
    const auto wait = std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(bytes * ns / rate_)));
    timer_ = world_.call_after(
        *actor_,
        std::chrono::nanoseconds(wait),
        sim::task([weak = weak_from_this()] {
            if (const auto self = weak.lock()) self->arrive();
        }),
        "has passed bytes"
    );
}

void scripted_link::arrive() {
    timer_ = 0;
    advance();
    std::vector<std::function<void()>> arrived;
    for (auto it = under_way_.begin(); it != under_way_.end();) {
        if (it->second.end > passed_ + slack) {
            ++it;
            continue;
        }
        arrived.push_back(std::move(it->second.passed));
        it = under_way_.erase(it);
    }
    schedule();
    for (const auto& passed : arrived) passed();
}

}  // namespace rangeio::testing
