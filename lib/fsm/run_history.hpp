#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace rangeio::fsm {

/// How long the last runs of a reader were, and how far beyond their ends its windows reached. From it follow what a
/// byte read earns, and the end of a run before it is reached.
class run_history {
public:
    static constexpr double max_kappa = 3;

    /// What an end of a run has changed, to undo it if the scan comes back.
    struct run_end {
        std::uint64_t id = 0;  // zero: nothing
        double kappa_ratio = 1;
        bool mispredicted = false;
    };

    run_end ended(std::uint64_t length, std::uint64_t waste, bool predicted) noexcept {
        run_end end;
        end.id = ++ids_;
        equal_ = length == runs_[0].length ? equal_ + 1 : 0;
        std::shift_right(runs_.begin(), runs_.end(), 1);
        runs_[0] = {length, end.id};
        const double w = static_cast<double>(waste), n = static_cast<double>(length), before = kappa_;
        if (w > 0.1 * n) {
            kappa_ = std::max(0.1, std::min(kappa_ / 2, kappa_ * n / (n + 2 * w)));
            if (predicted) {
                // Lengths that are equal by chance are predictions that fail: each requires more of them.
                end.mispredicted = true;
                needed_ *= 2;
                equal_ = 0;
            }
        } else if (w < 0.05 * n) {
            kappa_ = std::min(max_kappa, 1.5 * kappa_);
        }
        end.kappa_ratio = kappa_ / before;
        return end;
    }

    /// The run has not ended: its scan continues. With `taken_over` another scan continues it: only its waste is void.
    void resumed(const run_end& end, bool taken_over = false) noexcept {
        if (end.id == 0) return;
        kappa_ = std::clamp(kappa_ / end.kappa_ratio, 0.1, max_kappa);
        if (end.mispredicted) needed_ = std::max(needed_ / 2, first_needed);
        const auto it = std::ranges::find(runs_, end.id, &run::id);
        if (taken_over || it == runs_.end()) return;
        std::shift_left(it, runs_.end(), 1);
        runs_.back() = {};
        if (equal_ > 0) --equal_;
    }

    /// The number of bytes that a byte used earns, in a run that is `length` long.
    double kappa(std::uint64_t length) const noexcept {
        const std::uint64_t longest = std::ranges::max(runs_, {}, &run::length).length;
        return length > 2 * longest ? max_kappa : kappa_;
    }
    /// The shortest of the last three; zero if there were fewer.
    std::uint64_t shortest() const noexcept {
        return std::min({runs_[0].length, runs_[1].length, runs_[2].length});
    }
    /// The length of the run that begins, if it can be told; else zero.
    std::uint64_t predicted() const noexcept { return equal_ >= needed_ ? runs_[0].length : 0; }

private:
    struct run {
        std::uint64_t length = 0;
        std::uint64_t id = 0;
    };
    static constexpr std::uint32_t first_needed = 3;

    std::array<run, 4> runs_{};  // the latest first
    std::uint64_t ids_ = 0;
    std::uint32_t equal_ = 0, needed_ = first_needed;
    double kappa_ = max_kappa;
};

}  // namespace rangeio::fsm
