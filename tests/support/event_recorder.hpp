#pragma once

#include <rangeio/observer.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace support {

/// Records events as text: the kind, and the properties of the event except for times.
class event_recorder final : public rangeio::observer {
public:
    void on_event(const rangeio::event& what) noexcept override {
        std::string text = to_string(what.kind);
        if (what.attempt != 0) text += fmt::format(" attempt={}", what.attempt);
        if (what.bytes != 0) text += fmt::format(" bytes={}", what.bytes);
        if (!what.range.empty()) text += fmt::format(" range={}", to_string(what.range));
        if (what.why) text += fmt::format(" why={}", what.why.code().message());
        const std::lock_guard lock(mutex_);
        events_.push_back({std::move(text), what.stream, what.time});
    }

    struct record {
        std::string text;
        std::uint64_t stream;
        std::chrono::nanoseconds time;
    };
    std::vector<record> events() const {
        const std::lock_guard lock(mutex_);
        return events_;
    }
    std::vector<std::string> texts() const {
        std::vector<std::string> out;
        for (const record& e : events()) out.push_back(e.text);
        return out;
    }
    std::size_t count(std::string_view kind) const {
        const auto all = texts();
        return static_cast<std::size_t>(std::ranges::count_if(all, [kind](const std::string& text) {
            return text == kind || text.starts_with(std::string(kind) + ' ');
        }));
    }

private:
    mutable std::mutex mutex_;
    std::vector<record> events_;
};

}  // namespace support
