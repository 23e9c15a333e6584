#include "progress.hpp"

#include "common/printable.hpp"
#include "common/units.hpp"

#include <fmt/format.h>

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace rangeio::tool {
namespace {

constexpr std::size_t default_columns = 80;
constexpr std::size_t max_bar = 40;
constexpr std::size_t min_bar = 10;
constexpr auto between_drawings = std::chrono::milliseconds(100);

std::size_t terminal_columns() {
    winsize size{};
    const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : default_columns;
}

std::string bar(std::size_t width, double fraction) {
    const auto full = static_cast<std::size_t>(fraction * static_cast<double>(width));
    std::string out(full, '=');
    if (full < width) out += '>';
    out.resize(width, ' ');
    return out;
}

void show(const std::string& text) {
    // A failure to print is ignored.
    [[maybe_unused]] const ssize_t ignored = ::write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace

progress::progress(std::string label, std::uint64_t total)
    : label_(printable(label)), total_(total), visible_(::isatty(STDERR_FILENO) == 1) {
    if (visible_) draw(began_);
}

progress::~progress() {
    if (visible_) show("\r\x1b[K");
}

void progress::advance(std::uint64_t bytes) {
    done_ += bytes;
    if (!visible_) return;
    const auto now = clock::now();
    if (now - drawn_ < between_drawings) return;
    drawn_ = now;
    draw(now);
}

void progress::finish() {
    if (!visible_) return;
    draw(clock::now());
    show("\n");
    visible_ = false;
}

void progress::draw(clock::time_point now) const {
    const double fraction =
        total_ == 0 ? 1 : std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_));
    const double seconds = std::chrono::duration<double>(now - began_).count();
    const double rate = seconds > 0 ? static_cast<double>(done_) / seconds : 0;
    const std::string numbers = fmt::format(
        "{:>10} of {}  {:>10}/s",
        size_text(static_cast<double>(done_)),
        size_text(static_cast<double>(total_)),
        size_text(rate)
    );
    const std::string percent = fmt::format("{:3.0f} %", fraction * 100);
    // One column less than the width: some terminals wrap when the last one is written.
    const std::size_t columns = terminal_columns() - 1;
    std::string line = fmt::format("{}  {}", percent, numbers);
    if (line.size() + min_bar + 4 <= columns) {
        const std::size_t width = std::min(max_bar, columns - line.size() - 4);
        line = fmt::format("{} [{}]  {}", percent, bar(width, fraction), numbers);
    }
    if (label_.size() + 2 + line.size() <= columns) line = fmt::format("{}  {}", label_, line);
    line.resize(std::min(line.size(), columns));
    show("\r" + line + "\x1b[K");
}

}  // namespace rangeio::tool
