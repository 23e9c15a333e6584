#include "transport/conformance.hpp"

#include <rangeio/crc32c.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <utility>

namespace support {
namespace {

using namespace rangeio;

/// Where the life of a stream, or of a range on it, can be interrupted.
enum class moment { before_open, after_open, opened, asked, bytes, more_bytes, done };
constexpr std::array every_moment{
    moment::before_open,
    moment::after_open,
    moment::opened,
    moment::asked,
    moment::bytes,
    moment::more_bytes,
    moment::done
};

/// One stream, its owner and its ranges: records what happens, and holds the stream to its contract.
class trial {
public:
    explicit trial(transport_bench& on, const std::string& faults = "")
        : bench_(on),
          factory_(on.streams(faults)),
          stream_(factory_->create()),
          owner_(std::make_shared<owner>(*this)) {}
    trial(const trial&) = delete;
    trial& operator=(const trial&) = delete;

    multi_range_downloader& stream() { return *stream_; }
    bool shared() const { return factory_->supports_multi_request(); }
    void drop_factory() { factory_.reset(); }

    /// Does `what` when that moment is reached, from inside of the call by which the stream reports it.
    void at(moment when, std::function<void()> what) {
        when_ = when;
        what_ = std::move(what);
    }

    void open() {
        reached(moment::before_open);
        stream_->open(owner_);
        reached(moment::after_open);
    }
    std::size_t read(std::uint64_t offset, std::uint64_t length, bool tail = false) {
        const auto sink = std::make_shared<recorded_sink>(*this, byte_range(offset, length), tail);
        std::size_t index = 0;
        {
            const std::lock_guard lock(mutex_);
            index = sinks_.size();
            sinks_.push_back(sink);
        }
        const std::int64_t id = stream_->read(sink);
        {
            const std::lock_guard lock(mutex_);
            for (const auto& other : sinks_) {
                if (id != 0 && other->id == id) note("two ranges have the same id");
            }
            if (id == 0 && !sink->outcome) note("a range that is not done has no id");
            sink->id = id;
        }
        sink->id.notify_all();
        reached(moment::asked);
        return index;
    }
    /// Also from inside of a call by the stream, which may come on another thread before read() has returned.
    void cancel(std::size_t range, const error_value& why) {
        std::shared_ptr<recorded_sink> sink;
        {
            const std::lock_guard lock(mutex_);
            if (range >= sinks_.size()) return;
            sink = sinks_.at(range);
            if (sink->outcome) return;
        }
        sink->id.wait(0);
        stream_->cancel(sink->id, why);
    }
    bool is_done(std::size_t range) {
        const std::lock_guard lock(mutex_);
        return sinks_.at(range)->outcome.has_value();
    }

    void until_opened() {
        wait([this] { return opened_ || ended_; });
    }
    void until_done(std::size_t range) {
        wait([this, range] { return sinks_.at(range)->outcome.has_value(); });
    }
    void until_ended() {
        wait([this] { return ended_; });
    }
    /// Closes it in order, unless that has been done, and waits for its end.
    void finish() {
        stream_->close({});
        until_ended();
    }

    std::shared_ptr<const object_info> info() {
        const std::lock_guard lock(mutex_);
        return info_;
    }
    error_value ended_with() {
        const std::lock_guard lock(mutex_);
        return ended_with_;
    }
    range_outcome outcome(std::size_t range) {
        const std::lock_guard lock(mutex_);
        return sinks_.at(range)->outcome.value_or(range_outcome{errc::stalled, 0, 0});
    }
    std::uint64_t brought(std::size_t range) {
        const std::lock_guard lock(mutex_);
        return sinks_.at(range)->brought;
    }
    /// Whether what counts is right.
    bool right(std::size_t range) {
        const range_outcome how = outcome(range);
        const std::lock_guard lock(mutex_);
        if (info_ == nullptr) return how.received == 0;
        const auto& sink = *sinks_.at(range);
        const std::uint64_t from = sink.tail() ? how.offset : sink.range().offset();
        for (std::uint64_t i = 0; i < how.received; ++i) {
            if (sink.memory[guard + i] != bench_.content(info_->generation, from + i)) return false;
        }
        return true;
    }
    bool all_right(std::size_t range, std::uint64_t length) {
        const range_outcome how = outcome(range);
        return !how.why && how.received == length && right(range);
    }

    void check(bool holds, const std::string& what) {
        const std::lock_guard lock(mutex_);
        if (!holds) note(what);
    }
    /// What did not hold. After finish(): also looks whether memory was touched after `done`.
    std::string verdict() {
        const std::lock_guard lock(mutex_);
        for (const auto& sink : sinks_) {
            if (!sink->outcome) note("a range is never done");
            if (sink->outcome && sink->memory != sink->kept) note("memory is written after `done`");
            const auto is_guard = [](std::byte b) { return b == untouched; };
            const auto bytes = std::span<const std::byte>(sink->memory);
            if (!std::ranges::all_of(bytes.first(guard), is_guard) ||
                !std::ranges::all_of(bytes.last(guard), is_guard)) {
                note("memory is written beside the range");
            }
        }
        return noted_;
    }

private:
    static constexpr std::size_t guard = 16;
    static constexpr std::byte untouched{0xEE};

    class owner final : public stream_listener {
    public:
        explicit owner(trial& of) : of_(of) {}
        void opened(std::shared_ptr<const object_info> info) noexcept override {
            {
                const std::lock_guard lock(of_.mutex_);
                if (std::exchange(of_.opened_, true)) of_.note("`opened` comes twice");
                if (of_.ended_) of_.note("`opened` comes after `ended`");
                if (info == nullptr) of_.note("`opened` brings no info");
                of_.info_ = std::move(info);
            }
            of_.reached(moment::opened);
            of_.bench_.happened();
        }
        void reconnecting() noexcept override { change(true); }
        void reconnected() noexcept override { change(false); }
        void ended(const error_value& why) noexcept override {
            {
                const std::lock_guard lock(of_.mutex_);
                if (std::exchange(of_.ended_, true)) of_.note("`ended` comes twice");
                of_.ended_with_ = why;
                for (const auto& sink : of_.sinks_) {
                    if (sink->id != 0 && !sink->outcome)
                        of_.note("a range is not done when its stream has ended");
                }
            }
            of_.bench_.happened();
        }

    private:
        void change(bool away) noexcept {
            const std::lock_guard lock(of_.mutex_);
            if (of_.ended_) of_.note("the stream continues after `ended`");
            if (std::exchange(of_.away_, away) == away)
                of_.note("`reconnecting` and `reconnected` do not alternate");
        }
        trial& of_;
    };

    class recorded_sink final : public range_sink {
    public:
        recorded_sink(trial& of, byte_range range, bool tail)
            : of_(of), range_(range), tail_(tail), memory(range.length() + 2 * guard, untouched) {}

        byte_range range() const noexcept override { return range_; }
        bool tail() const noexcept override { return tail_; }
        std::uint32_t take(
            std::uint64_t position, std::span<const std::byte> bytes, std::uint32_t crc
        ) noexcept override {
            if (arrive(position, bytes.size())) {
                std::ranges::copy(bytes, memory.begin() + static_cast<std::ptrdiff_t>(guard + position));
            }
            of_.reached(brought == bytes.size() ? moment::bytes : moment::more_bytes);
            return crc32c_extend(crc, bytes);
        }
        std::span<std::byte> prepare(std::uint64_t position, std::size_t most) noexcept override {
            // Less than there is room for, as with a destination of several buffers.
            const std::size_t offered = std::min<std::size_t>(most, 5);
            {
                const std::lock_guard lock(of_.mutex_);
                if (outcome) of_.note("memory is asked for after `done`");
                if (lent_ != 0) of_.note("memory is asked for while some is lent");
                if (position + most > range_.length())
                    of_.note("memory is asked for that the range does not have");
                lent_ = offered;
            }
            of_.reached(brought == 0 ? moment::bytes : moment::more_bytes);
            return std::span(memory).subspan(guard + position, offered);
        }
        void commit(std::uint64_t position, std::size_t size) noexcept override {
            {
                const std::lock_guard lock(of_.mutex_);
                if (size > std::exchange(lent_, 0)) of_.note("more is committed than was lent");
            }
            arrive(position, size);
        }
        void done(const range_outcome& how) noexcept override {
            {
                const std::lock_guard lock(of_.mutex_);
                if (outcome) of_.note("`done` comes twice");
                if (lent_ != 0) of_.note("`done` comes while memory is lent");
                if (how.received > front_) of_.note("more has been received than was brought");
                outcome = how;
                kept = memory;
            }
            of_.reached(moment::done);
            of_.bench_.happened();
        }

    private:
        bool arrive(std::uint64_t position, std::uint64_t size) noexcept {
            const std::lock_guard lock(of_.mutex_);
            if (outcome) of_.note("bytes come after `done`");
            if (position > front_) of_.note("bytes come that leave a gap");
            brought += size;
            front_ = std::max(front_, position + size);
            const bool fits = position + size <= range_.length();
            if (!fits) of_.note("bytes come behind the end of the range");
            return fits && !outcome;
        }

        trial& of_;
        const byte_range range_;
        const bool tail_;
        std::size_t lent_ = 0;
        std::uint64_t front_ = 0;

    public:
        std::vector<std::byte> memory;
        std::vector<std::byte> kept;      // as it was at `done`
        std::uint64_t brought = 0;        // bytes, repeated ones too
        std::atomic<std::int64_t> id{0};  // 0: not known yet
        std::optional<range_outcome> outcome;
    };

    void wait(const std::function<bool()>& over) {
        bench_.wait([&] {
            const std::lock_guard lock(mutex_);
            return over();
        });
    }
    void reached(moment now) noexcept {
        std::function<void()> what;
        {
            const std::lock_guard lock(mutex_);
            if (now != when_) return;
            what = std::exchange(what_, nullptr);
        }
        if (what) what();
    }
    void note(const std::string& what) {
        if (noted_.empty()) noted_ = what;
    }

    transport_bench& bench_;
    std::shared_ptr<mrd_factory> factory_;
    const std::shared_ptr<multi_range_downloader> stream_;
    const std::shared_ptr<owner> owner_;
    std::mutex mutex_;  // of all that follows
    std::vector<std::shared_ptr<recorded_sink>> sinks_;
    std::optional<moment> when_;
    std::function<void()> what_;
    std::shared_ptr<const object_info> info_;
    bool opened_ = false;
    bool away_ = false;
    bool ended_ = false;
    error_value ended_with_;
    std::string noted_;
};

/// At the other stages all bytes of a range may have come.
bool surely_early(moment when) {
    return when == moment::before_open || when == moment::bytes || when == moment::more_bytes;
}

std::string opens_and_ends(transport_bench& on) {
    trial t(on);
    t.open();
    t.until_opened();
    t.check(t.info() != nullptr && t.info()->size == on.object_bytes, "the size is not reported");
    t.check(t.info() != nullptr && t.info()->generation > 0, "the generation is not reported");
    t.check(t.stream().outstanding_bytes() == 0, "bytes are outstanding that nobody asked for");
    t.check(t.stream().idle(), "a stream without ranges is not idle");
    t.drop_factory();
    t.finish();
    t.check(!t.ended_with(), "an orderly end has a reason");
    return t.verdict();
}

std::string first_range_rides_along(transport_bench& on) {
    trial t(on);
    const auto range = t.read(8, 20);
    t.open();
    t.until_done(range);
    t.check(t.all_right(range, 20), "the range is not right");
    t.check(t.brought(range) == 20, "bytes come more than once");
    t.check(on.calls() == 1, "it takes more than one call");
    t.finish();
    return t.verdict();
}

std::string several_ranges(transport_bench& on) {
    trial t(on);
    t.open();
    t.until_opened();
    std::vector<std::size_t> ranges;
    for (std::uint64_t i = 0; i < 6; ++i) {
        ranges.push_back(t.read(9 * i, 10));
        if (!t.shared()) t.until_done(ranges.back());
    }
    for (const auto range : ranges) {
        t.until_done(range);
        t.check(t.all_right(range, 10), "a range is not right");
        t.check(t.brought(range) == 10, "bytes come more than once");
    }
    t.check(t.stream().idle(), "a stream whose ranges are done is not idle");
    t.finish();
    return t.verdict();
}

std::string short_range(transport_bench& on) {
    trial t(on);
    t.open();
    t.until_opened();
    const auto range = t.read(on.object_bytes - 3, 10);
    t.until_done(range);
    t.check(!t.outcome(range).why && t.outcome(range).received == 3, "what is there is not received");
    t.check(t.right(range), "the bytes are not right");
    t.check(t.stream().outstanding_bytes() == 0, "bytes that there are not stay outstanding");
    t.finish();
    return t.verdict();
}

std::string tail(transport_bench& on) {
    trial t(on);
    const auto range = t.read(0, 10, true);
    t.open();
    t.until_done(range);
    t.check(t.all_right(range, 10), "the tail is not right");
    t.check(t.outcome(range).offset == on.object_bytes - 10, "the tail is not where the object ends");
    t.finish();
    return t.verdict();
}

std::string pinned_generation(transport_bench& on) {
    trial t(on, "new-generation call=1; reset byte=8");
    t.open();
    const auto range = t.read(0, 24);
    t.until_done(range);
    t.check(
        t.outcome(range).why.code() == errc::generation_changed,
        "bytes of another generation are taken: " + t.outcome(range).why.message()
    );
    t.check(t.right(range), "the bytes that count are not of one generation");
    t.finish();
    return t.verdict();
}

std::string resumes_at_the_last_good_byte(transport_bench& on) {
    trial t(on, "reset byte=16");
    t.open();
    t.until_opened();
    const auto range = t.read(4, 32);
    t.until_done(range);
    if (on.traits().resumes) {
        t.check(t.all_right(range, 32), "the range is not right: " + t.outcome(range).why.message());
        t.check(t.brought(range) == 32, "bytes come more than once");
        t.check(on.calls() == 2, "there is no second call");
    } else {
        t.check(t.outcome(range).why.kind() == error_class::transient, "the break has no class");
        t.check(
            t.outcome(range).received == 16 && t.right(range), "what came before the break does not count"
        );
    }
    t.finish();
    return t.verdict();
}

std::string damaged_bytes_do_not_count(transport_bench& on) {
    trial t(on, "bad-checksum byte=8");
    t.open();
    t.until_opened();
    const auto range = t.read(0, 24);
    t.until_done(range);
    if (on.traits().resumes) {
        t.check(t.all_right(range, 24), "the range is not right: " + t.outcome(range).why.message());
        t.check(t.brought(range) > 24, "the damaged bytes are not asked for again");
    } else {
        t.check(t.outcome(range).why.code() == errc::data_corrupted, "the damage is not reported");
        t.check(t.outcome(range).received == 8 && t.right(range), "other bytes count than the right ones");
    }
    t.finish();
    return t.verdict();
}

std::string refused_open(transport_bench& on) {
    trial t(on, "fail-open status=PERMISSION_DENIED times=0");
    const auto range = t.read(0, 8);
    t.open();
    t.until_ended();
    t.check(t.ended_with().kind() == error_class::denied, "the end has another reason");
    t.check(t.outcome(range).why.kind() == error_class::denied, "the range has another reason");
    t.check(t.outcome(range).received == 0, "bytes count that never came");
    const auto late = t.read(0, 8);
    t.until_done(late);
    t.check(static_cast<bool>(t.outcome(late).why), "a stream that has ended takes a range");
    return t.verdict();
}

std::string cancelled_at(transport_bench& on, moment when) {
    trial t(on);
    const error_value why = errc::timed_out;
    t.at(when, [&] { t.cancel(0, why); });
    std::size_t range = 0;
    if (when == moment::before_open || when == moment::after_open || when == moment::opened) {
        range = t.read(0, 40);
        t.open();
    } else {
        t.open();
        t.until_opened();
        range = t.read(0, 40);
    }
    t.until_done(range);
    const auto how = t.outcome(range);
    const bool in_time = how.why.code() == errc::timed_out;
    t.check(in_time || t.all_right(range, 40), "it ends in another way: " + how.why.message());
    t.check(t.right(range), "bytes count that are not right");
    if (surely_early(when)) t.check(in_time, "the cancellation is lost");
    t.check(t.stream().outstanding_bytes() == 0, "bytes stay outstanding");
    // Neither the stream nor its neighbours are the worse for it.
    t.until_opened();
    const auto next = t.read(8, 16);
    t.until_done(next);
    t.check(t.all_right(next, 16), "the next range is not right: " + t.outcome(next).why.message());
    t.finish();
    t.check(!t.ended_with(), "the stream ends with a reason");
    return t.verdict();
}

std::string cancelled_at_every_moment(transport_bench& on) {
    for (const moment when : every_moment) {
        const std::string out = cancelled_at(on, when);
        if (!out.empty()) return fmt::format("moment {}: {}", static_cast<int>(when), out);
    }
    return {};
}

std::string cancelled_while_mute(transport_bench& on) {
    trial t(on, "mute");
    t.open();
    t.until_opened();
    const auto range = t.read(0, 40);
    t.check(t.stream().outstanding_bytes() == 40, "what is asked for is not outstanding");
    t.check(!t.stream().idle(), "a stream with a range is idle");
    t.cancel(range, errc::timed_out);
    t.until_done(range);
    t.check(t.outcome(range).why.code() == errc::timed_out, "the reason is lost");
    t.check(t.stream().outstanding_bytes() == 0, "bytes stay outstanding that nobody wants");
    t.cancel(range, errc::stalled);  // without effect
    t.finish();
    return t.verdict();
}

std::string closed_at(transport_bench& on, moment when, const error_value& why) {
    trial t(on);
    t.at(when, [&] { t.stream().close(why); });
    if (when == moment::before_open || when == moment::after_open || when == moment::opened) {
        t.read(0, 40);
        t.open();
    } else {
        t.open();
        t.until_opened();
        t.read(0, 40);
    }
    t.until_done(0);
    t.until_ended();
    const auto expected = why ? why.code() : make_error_code(errc::stream_closed);
    const auto how = t.outcome(0);
    t.check(
        how.why.code() == expected || (!surely_early(when) && t.all_right(0, 40)),
        "the range ends in another way: " + how.why.message()
    );
    t.check(t.right(0), "bytes count that are not right");
    t.check(t.ended_with().code() == why.code(), "the stream ends with another reason");
    const auto late = t.read(0, 8);
    t.until_done(late);
    t.check(static_cast<bool>(t.outcome(late).why), "a closed stream takes a range");
    return t.verdict();
}

std::string closed_at_every_moment(transport_bench& on) {
    for (const error_value& why : {error_value(), error_value(errc::timed_out)}) {
        for (const moment when : every_moment) {
            const std::string out = closed_at(on, when, why);
            if (!out.empty()) return fmt::format("moment {}: {}", static_cast<int>(when), out);
        }
    }
    return {};
}

// Ranges cannot be withdrawn. A stream on which too many cancelled ranges are due continues on another call.
std::string retires(transport_bench& on) {
    constexpr std::size_t unwanted = 65;
    trial t(on, fmt::format("mute times={}", unwanted));
    t.open();
    t.until_opened();
    for (std::size_t i = 0; i < unwanted; ++i) t.read(0, 40);
    // Ranges are asked for in order: when this one is done, the service has heard of all of them.
    const auto last = t.read(0, 8);
    t.until_done(last);
    for (std::size_t i = 0; i < unwanted; ++i) {
        t.check(!t.is_done(i), "a muted range is done");
        t.cancel(i, errc::timed_out);
    }
    const auto wanted = t.read(8, 16);
    t.until_done(wanted);
    t.check(on.calls() == 2, "the call with too much that nobody wants is kept");
    t.check(t.all_right(wanted, 16), "the range is not right: " + t.outcome(wanted).why.message());
    t.finish();
    return t.verdict();
}

}  // namespace

std::vector<conformance_case> conformance_cases(const transport_traits& of) {
    transport_traits resuming;
    resuming.resumes = true;
    transport_traits tails;
    tails.takes_tails = true;
    std::vector<conformance_case> out{
        {"opens, reports the object, ends in order", {}, &opens_and_ends},
        {"a range that was added before is sent in the first message", {}, &first_range_rides_along},
        {"several ranges, each with its bytes once and in order", {}, &several_ranges},
        {"a range across the end of the object", {}, &short_range},
        {"the end of the object", tails, &tail},
        {"one generation, from the first response on", resuming, &pinned_generation},
        {"a break, before which every good byte of a range counts", {}, &resumes_at_the_last_good_byte},
        {"damaged bytes, which are not counted as received", {}, &damaged_bytes_do_not_count},
        {"an open that is refused", {}, &refused_open},
        {"a range that is cancelled, at every moment", {}, &cancelled_at_every_moment},
        {"a range that is cancelled while the service is mute", {}, &cancelled_while_mute},
        {"a stream that is closed, at every moment", {}, &closed_at_every_moment},
        {"a call with too many cancelled ranges due, which is retired", resuming, &retires},
    };
    std::erase_if(out, [&of](const conformance_case& one) {
        return (one.needs.resumes && !of.resumes) || (one.needs.takes_tails && !of.takes_tails);
    });
    return out;
}

}  // namespace support
