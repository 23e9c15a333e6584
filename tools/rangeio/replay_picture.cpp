#include "replay_picture.hpp"

#include "common/printable.hpp"
#include "common/units.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string_view>
#include <utility>

namespace rangeio::tool {
namespace {

// Pixels.
constexpr double width = 1000;
constexpr double height = 640;
constexpr double left = 86;
constexpr double right = 976;
constexpr double offsets_top = 84;
constexpr double offsets_bottom = 410;
constexpr double stalls_top = 430;
constexpr double stalls_bottom = 480;
constexpr double memory_top = 500;
constexpr double memory_bottom = 560;

constexpr double max_ticks = 10;
constexpr std::string_view read_color = "#1f4e79";
constexpr std::string_view ahead_color = "#a8cdee";
constexpr std::string_view stall_color = "#d1342f";

std::string xml_text(std::string_view text) {
    std::string out;
    for (const char c : printable(text)) {
        switch (c) {
            case '&': out += "&amp;"; break;
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '"': out += "&quot;"; break;
            default: out += c;
        }
    }
    return out;
}

/// Maps 0 to `most` to pixels.
class scale {
public:
    scale(double most, double from, double to) : most_(most), from_(from), to_(to) {}

    double operator()(double value) const noexcept { return from_ + value / most_ * (to_ - from_); }

private:
    double most_;
    double from_;
    double to_;
};

struct rectangle {
    double left = 0;
    double right = 0;
    double top = 0;
    double bottom = 0;
};

/// Rectangles in the order of time as one path. Neighbors within a pixel of time become one, and none is too small to
/// be seen.
class bars {
public:
    explicit bars(double least) : least_(least) {}

    void add(const rectangle& next) {
        if (last_ && joins(next)) {
            last_->right = std::max(last_->right, next.right);
            last_->top = std::min(last_->top, next.top);
            last_->bottom = std::max(last_->bottom, next.bottom);
            return;
        }
        flush();
        last_ = next;
    }
    std::string path(std::string_view color) && {
        flush();
        return fmt::format("<path fill=\"{}\" shape-rendering=\"crispEdges\" d=\"{}\"/>\n", color, out_);
    }

private:
    bool joins(const rectangle& next) const noexcept {
        const bool same_time = next.right - last_->left < 1;
        return same_time && next.top <= last_->bottom + least_ / 2 && next.bottom >= last_->top - least_ / 2;
    }
    void flush() {
        if (!last_) return;
        const double right = std::max(last_->right, last_->left + least_);
        const double top = std::min(last_->top, last_->bottom - least_);
        out_ +=
            fmt::format("M{0:.1f} {1:.1f}H{2:.1f}V{3:.1f}H{0:.1f}z", last_->left, last_->bottom, right, top);
        last_.reset();
    }

    double least_;
    std::optional<rectangle> last_;
    std::string out_;
};

std::string label(double x, double y, std::string_view anchor, std::string_view text) {
    return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor, text);
}

std::string line(double x1, double y1, double x2, double y2) {
    return fmt::format(R"(<path d="M{:.1f} {:.1f}L{:.1f} {:.1f}"/>)", x1, y1, x2, y2) + '\n';
}

// 1, 2 or 5 times a power of ten.
double time_step(double most) {
    const double least = most / max_ticks;
    const double ten = std::pow(10, std::floor(std::log10(least)));
    for (const double factor : {1.0, 2.0, 5.0}) {
        if (factor * ten >= least) return factor * ten;
    }
    return 10 * ten;
}

std::uint64_t size_step(std::uint64_t most) {
    std::uint64_t step = 1;
    while (static_cast<double>(most) / static_cast<double>(step) > max_ticks) step *= 2;
    return step;
}

std::string grid(double seconds, std::uint64_t object_bytes, const scale& x, const scale& y) {
    std::string lines;
    std::string labels;
    const bool short_one = seconds < 1;
    const double step = time_step(seconds);
    for (int i = 0; i * step <= seconds; ++i) {
        const double at = x(i * step);
        lines += line(at, offsets_top, at, memory_bottom);
        labels += label(
            at,
            memory_bottom + 18,
            "middle",
            fmt::format("{:g} {}", i * step * (short_one ? 1000 : 1), short_one ? "ms" : "s")
        );
    }
    const std::uint64_t bytes_step = size_step(object_bytes);
    for (std::uint64_t bytes = 0; bytes <= object_bytes; bytes += bytes_step) {
        const double at = y(static_cast<double>(bytes));
        lines += line(left, at, right, at);
        labels += label(left - 8, at + 4, "end", bytes == 0 ? "0" : size_text(static_cast<double>(bytes)));
    }
    for (const double at : {stalls_bottom, memory_bottom}) lines += line(left, at, right, at);
    return "<g stroke=\"#e3e6ea\">\n" + lines + "</g>\n" + labels;
}

std::string legend_entry(double x, std::string_view color, std::string_view text) {
    constexpr double y = height - 22;
    return fmt::format(
               "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"14\" height=\"10\" fill=\"{}\"/>\n", x, y - 9, color
           ) +
           label(x + 20, y, "start", text);
}

std::string panel_label(double top, double bottom, std::string_view name, std::string_view most) {
    return label(left - 8, top + 10, "end", most) + label(left - 8, bottom, "end", name);
}

std::string summary(const trace_result& result) {
    std::string out = fmt::format(
        "{}/s", size_text(result.seconds > 0 ? static_cast<double>(result.bytes) / result.seconds : 0)
    );
    if (!result.prefetch) return out + ", nothing read ahead";
    const reader_stats& counts = result.prefetch->counts;
    out += fmt::format(
        "  ·  {}: {} stalls ({})  ·  prefetched {}, wasted {}  ·  at most {} of {} of memory",
        result.prefetch->how,
        counts.stalls,
        latency_text(counts.stall_time),
        size_text(static_cast<double>(counts.prefetched_bytes)),
        size_text(static_cast<double>(counts.wasted_bytes)),
        size_text(static_cast<double>(result.prefetch->peak_bytes)),
        size_text(static_cast<double>(result.prefetch->budget_bytes))
    );
    return out;
}

double seconds_of(std::chrono::nanoseconds time) {
    return std::chrono::duration<double>(time).count();
}

}  // namespace

std::string replay_picture(
    const trace_result& result, std::uint64_t object_bytes, std::span<const replayed_read> reads
) {
    const double seconds = std::max(seconds_of(reads.back().done), 1e-6);
    const scale x(seconds, left, right);
    const scale y(static_cast<double>(object_bytes), offsets_bottom, offsets_top);
    std::uint64_t most_memory = 0;
    std::chrono::nanoseconds longest{0};
    for (const replayed_read& r : reads) {
        most_memory = std::max(most_memory, r.memory_bytes);
        if (r.stalled) longest = std::max(longest, r.done - r.asked);
    }
    const scale stall_y(std::max(seconds_of(longest), 1e-9), stalls_bottom, stalls_top);
    const scale memory_y(std::max(static_cast<double>(most_memory), 1.0), memory_bottom, memory_top);
    bars read(2);
    bars ahead(0.5);
    bars stalls(0.8);
    bars memory(0.5);
    for (std::size_t i = 0; i < reads.size(); ++i) {
        const replayed_read& r = reads[i];
        const double asked = x(seconds_of(r.asked));
        const double done = x(seconds_of(r.done));
        const double next = i + 1 < reads.size() ? x(seconds_of(reads[i + 1].done)) : right;
        const double top = y(static_cast<double>(r.range.end()));
        read.add({asked, done, top, y(static_cast<double>(r.range.offset()))});
        if (r.stalled) stalls.add({asked, done, stall_y(seconds_of(r.done - r.asked)), stalls_bottom});
        if (r.memory_bytes == 0) continue;
        memory.add({done, next, memory_y(static_cast<double>(r.memory_bytes)), memory_bottom});
        if (!r.prefetched) continue;
        const std::uint64_t to = std::min(r.range.end() + r.memory_bytes, object_bytes);
        ahead.add({done, next, y(static_cast<double>(to)), top});
    }

    const std::string title = xml_text(fmt::format("{}: {}", result.object, result.trace));
    std::string out = fmt::format(
        R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" width="{}" height="{}" )"
        R"(font-family="sans-serif" font-size="12" fill="#39434d" role="img">)"
        "\n<title>{}</title>\n<rect width=\"{}\" height=\"{}\" fill=\"#ffffff\"/>\n",
        width,
        height,
        width,
        height,
        title,
        width,
        height
    );
    out += fmt::format(R"(<text x="20" y="32" font-size="17" font-weight="bold">{}</text>)", title) + '\n';
    out += label(20, 56, "start", xml_text(summary(result)));
    out += grid(seconds, object_bytes, x, y);
    out += std::move(ahead).path(ahead_color);
    out += std::move(read).path(read_color);
    out += std::move(stalls).path(stall_color);
    out += std::move(memory).path(ahead_color);
    out +=
        panel_label(stalls_top, stalls_bottom, "stalls", longest.count() == 0 ? "" : latency_text(longest));
    out += panel_label(
        memory_top,
        memory_bottom,
        "memory",
        most_memory == 0 ? "" : size_text(static_cast<double>(most_memory))
    );
    out += legend_entry(left, read_color, "read, by its offset in the object");
    out += legend_entry(left + 250, ahead_color, "fetched ahead, in memory or under way");
    out += legend_entry(left + 530, stall_color, "stall: the time a read waits for bytes");
    return out + "</svg>\n";
}

}  // namespace rangeio::tool
