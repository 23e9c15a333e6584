#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <set>

namespace support {

/// Waits of up to 1 s, for a number of draws.
class drawn_waits {
public:
    void add(std::chrono::nanoseconds wait) {
        seen_.insert(wait);
        sum_ += wait;
        ++draws_;
    }

    /// Checks that at most `but` draws repeat an earlier one.
    void check_different(int but) const { CHECK(static_cast<int>(seen_.size()) >= draws_ - but); }
    /// Checks that they cover the whole second, each part of it equally.
    void check_even() const {
        using namespace std::chrono_literals;
        CHECK(*seen_.begin() >= 0s);
        CHECK(*seen_.begin() < 100ms);
        CHECK(*seen_.rbegin() > 900ms);
        CHECK(*seen_.rbegin() <= 1s);
        CHECK(sum_ > draws_ * 400ms);
        CHECK(sum_ < draws_ * 600ms);
    }

private:
    std::set<std::chrono::nanoseconds> seen_;
    std::chrono::nanoseconds sum_{0};
    int draws_ = 0;
};

}  // namespace support
