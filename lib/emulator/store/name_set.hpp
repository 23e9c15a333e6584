#pragma once

#include <cstddef>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

namespace rangeio::emulator {

/// At most 100 names that were sent by peers.
///
/// Threads: all members may be called concurrently.
class name_set {
public:
    void add(std::string_view name) {
        const std::lock_guard lock(mutex_);
        if (names_.size() < max_names) names_.emplace(name);
    }
    std::set<std::string> read() const {
        const std::lock_guard lock(mutex_);
        return names_;
    }

private:
    static constexpr std::size_t max_names = 100;

    mutable std::mutex mutex_;
    std::set<std::string> names_;
};

}  // namespace rangeio::emulator
