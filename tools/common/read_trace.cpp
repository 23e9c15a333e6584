#include "common/read_trace.hpp"

#include "common/units.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

namespace rangeio::tool {
namespace {

// The distance between the first and the last of `count` steps.
std::uint64_t distance(std::uint64_t count, std::int64_t step) {
    const std::uint64_t one =
        step < 0 ? 0 - static_cast<std::uint64_t>(step) : static_cast<std::uint64_t>(step);
    if (one == 0) return 0;
    if (count - 1 > byte_range::max_end / one)
        throw std::invalid_argument("step: the reads leave the object");
    return (count - 1) * one;
}

/// The words of a line, without its comment.
std::vector<std::string_view> words_of(std::string_view line) {
    constexpr std::string_view blanks = " \t\r";
    line = line.substr(0, line.find('#'));
    std::vector<std::string_view> out;
    for (auto begin = line.find_first_not_of(blanks); begin != line.npos;) {
        const auto end = std::min(line.find_first_of(blanks, begin), line.size());
        out.push_back(line.substr(begin, end - begin));
        begin = line.find_first_not_of(blanks, end);
    }
    return out;
}

class trace_parser {
public:
    read_trace run(std::string_view text, std::string_view name) {
        std::size_t line = 0;
        try {
            while (!text.empty()) {
                ++line;
                const auto end = std::min(text.find('\n'), text.size());
                words_ = words_of(text.substr(0, end));
                text.remove_prefix(std::min(end + 1, text.size()));
                at_ = 0;
                if (!words_.empty()) entry();
            }
            if (in_loop_) complain("loop: it has no 'end'");
            if (!out_ || out_->reads() == 0) complain("the trace has no read");
        } catch (const std::invalid_argument& wrong) {
            throw std::invalid_argument(fmt::format("{}:{}: {}", name, line, wrong.what()));
        }
        return std::move(*out_);
    }

private:
    [[noreturn]] static void complain(const std::string& what) { throw std::invalid_argument(what); }

    // A word of the text, for a message that stays short.
    static std::string quoted(std::string_view word) { return fmt::format("'{}'", word.substr(0, 40)); }

    void entry() {
        const std::string_view kind = words_[at_++];
        if (!out_ && kind != "object") complain("'object SIZE' has to precede everything else");
        if (kind == "object") {
            if (out_) complain("object: there is one already");
            out_.emplace(size("object"));
        } else if (kind == "read" || kind == "run") {
            reads(kind == "run");
        } else if (kind == "loop") {
            if (in_loop_) complain("loop: it is inside of another loop");
            loop_count_ = counted("count");
            out_->repeat(loop_count_, stepped().value_or(0));
            reads_before_ = out_->reads();
            in_loop_ = true;
        } else if (kind == "end") {
            if (!in_loop_) complain("end: there is no loop");
            if (out_->reads() == reads_before_) complain("end: the loop has no read");
            loop_count_ = 1;
            out_->repeat(1, 0);
            in_loop_ = false;
        } else {
            complain(quoted(kind) + " is not one of object, read, run, loop and end");
        }
        if (at_ < words_.size())
            complain(fmt::format("{}: {} is unknown or out of place", kind, quoted(words_[at_])));
    }

    void reads(bool several) {
        read_run run;
        run.offset = size("offset");
        run.length = size("length");
        if (run.length == 0 || run.length > read_trace::max_read_bytes) {
            complain(fmt::format("length: {} is not in 1..{}", run.length, read_trace::max_read_bytes));
        }
        if (several) {
            run.count = counted("count");
            run.step = stepped().value_or(static_cast<std::int64_t>(run.length));
        }
        if (const auto text = option("think")) {
            const auto time = parse_duration(*text);
            if (!time) complain(fmt::format("think: {} is not a time with ms, s, m or h", quoted(*text)));
            run.think = *time;
        }
        if (run.count > (read_trace::max_reads - out_->reads()) / loop_count_) {
            complain(fmt::format("count: too many reads in all (limit {})", read_trace::max_reads));
        }
        out_->add(run);
    }

    // The next word, after which the options follow in the order in which they are documented.
    std::uint64_t size(std::string_view what) {
        if (at_ == words_.size()) complain(fmt::format("{}: it is missing", what));
        return size_from(words_[at_++], what);
    }

    static std::uint64_t size_from(std::string_view text, std::string_view what) {
        const auto bytes = parse_size(text);
        if (!bytes) {
            complain(fmt::format(
                "{}: {} is not a size (bytes, or with KiB, MiB, GiB, TiB; below 8388608TiB)",
                what,
                quoted(text)
            ));
        }
        return *bytes;
    }

    std::optional<std::string_view> option(std::string_view name) {
        if (at_ == words_.size() || words_[at_].substr(0, words_[at_].find('=')) != name) return std::nullopt;
        const std::string_view word = words_[at_++];
        return word.substr(std::min(name.size() + 1, word.size()));
    }

    std::uint64_t counted(std::string_view name) {
        const auto text = option(name);
        if (!text) complain(fmt::format("{0}: it is missing ({0}=N)", name));
        const auto count = parse_number(*text);
        if (!count || *count == 0 || *count > read_trace::max_reads) {
            complain(fmt::format("{}: {} is not in 1..{}", name, quoted(*text), read_trace::max_reads));
        }
        return *count;
    }

    std::optional<std::int64_t> stepped() {
        const auto text = option("step");
        if (!text) return std::nullopt;
        const bool back = text->starts_with('-');
        const auto bytes = static_cast<std::int64_t>(size_from(text->substr(back ? 1 : 0), "step"));
        return back ? -bytes : bytes;
    }

    std::vector<std::string_view> words_;
    std::size_t at_ = 0;
    std::optional<read_trace> out_;
    bool in_loop_ = false;
    std::uint64_t loop_count_ = 1;
    std::uint64_t reads_before_ = 0;  // the loop
};

}  // namespace

read_trace read_trace::parse(std::string_view text, std::string_view name) {
    return trace_parser().run(text, name);
}

void read_trace::repeat(std::uint64_t count, std::int64_t step) {
    loops_.push_back({count, step, {}});
}

// The offset is linear in both counts, so the first and the last read of each are the outermost.
void read_trace::add(const read_run& run) {
    loop& in = loops_.back();
    std::uint64_t before = 0;
    std::uint64_t after = 0;
    (run.step < 0 ? before : after) += distance(run.count, run.step);
    (in.step < 0 ? before : after) += distance(in.count, in.step);
    if (before > run.offset) {
        throw std::invalid_argument(
            fmt::format("a read begins {} bytes before the object", before - run.offset)
        );
    }
    const std::uint64_t room = run.offset > object_bytes_ ? 0 : object_bytes_ - run.offset;
    if (after > room || run.length > room - after) {
        throw std::invalid_argument(
            fmt::format("a read ends past the object's end ({})", size_option_text(object_bytes_))
        );
    }
    in.runs.push_back(run);
    reads_ += run.count * in.count;
    bytes_ += run.count * in.count * run.length;
    longest_ = std::max(longest_, run.length);
}

std::optional<traced_read> trace_cursor::next() {
    while (loop_ < trace_->loops_.size()) {
        const read_trace::loop& loop = trace_->loops_[loop_];
        if (run_ == loop.runs.size()) {
            run_ = 0;
            if (++pass_ < loop.count) continue;
            pass_ = 0;
            ++loop_;
            continue;
        }
        const read_run& run = loop.runs[run_];
        // Negative steps too: unsigned sums wrap, and add() has checked the result.
        const std::uint64_t offset = run.offset + pass_ * static_cast<std::uint64_t>(loop.step) +
                                     read_ * static_cast<std::uint64_t>(run.step);
        if (++read_ == run.count) {
            read_ = 0;
            ++run_;
        }
        return traced_read{byte_range(offset, run.length), run.think};
    }
    return std::nullopt;
}

}  // namespace rangeio::tool
