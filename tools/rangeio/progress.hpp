#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace rangeio::tool {

/// A line on a terminal that shows the progress of a transfer. No output where standard error is not a terminal.
class progress {
public:
    progress(std::string label, std::uint64_t total);
    progress(const progress&) = delete;
    progress& operator=(const progress&) = delete;
    /// Erases the line, unless finish() was called.
    ~progress();

    void advance(std::uint64_t bytes);
    /// Keeps the line as it is at the end.
    void finish();

private:
    using clock = std::chrono::steady_clock;

    void draw(clock::time_point now) const;

    std::string label_;
    std::uint64_t total_;
    std::uint64_t done_ = 0;
    bool visible_;
    clock::time_point began_ = clock::now();
    clock::time_point drawn_;
};

}  // namespace rangeio::tool
