#include "fuzz/targets.hpp"
#include "grpc/mrd.hpp"
#include "grpc/response_intake.hpp"
#include "grpc/status_details.hpp"
#include "support/hostile_messages.hpp"

#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rangeio::fuzz {
namespace {

using namespace grpc_transport;
namespace say = support::hostile;

constexpr std::size_t most_ranges = 12;
constexpr std::size_t most_calls = 5000;
constexpr std::size_t guard_bytes = 16;
constexpr char guard = '\x5a';

char content_at(std::uint64_t offset) {
    return static_cast<char>('a' + offset % 23);
}

std::string content(std::uint64_t offset, std::size_t size) {
    std::string out(size, ' ');
    for (std::size_t i = 0; i < size; ++i) out[i] = content_at(offset + i);
    return out;
}

// What must not be, where nothing may be thrown; null: nothing yet.
const char* noted = nullptr;

void note(bool holds, const char* what) noexcept {
    if (!holds && noted == nullptr) noted = what;
}

/// A range with memory on both sides that must not be written to.
class guarded_read final : public range_sink {
public:
    guarded_read(std::uint64_t offset, std::uint64_t length)
        : range_(offset, length), memory_(length + 2 * guard_bytes, guard) {}

    byte_range range() const noexcept override { return range_; }
    std::uint32_t take(
        std::uint64_t position, std::span<const std::byte> bytes, std::uint32_t crc
    ) noexcept override {
        inside_ =
            inside_ && !outcome_ && position <= range_.length() && bytes.size() <= range_.length() - position;
        if (inside_) std::memcpy(memory_.data() + guard_bytes + position, bytes.data(), bytes.size());
        return crc32c_extend(crc, bytes);
    }
    void done(const range_outcome& how) noexcept override {
        ++times_done_;
        outcome_ = how;
    }

    void validate() const {
        check(inside_, "bytes are written outside of a destination, or after the end");
        check(times_done_ == 1, "a range does not end once");
        check(outcome_->received <= range_.length(), "more bytes are received than were asked for");
        const std::string right = content(range_.offset(), outcome_->received);
        check(memory_.compare(guard_bytes, right.size(), right) == 0, "bytes are wrong that count");
    }

private:
    const byte_range range_;
    std::string memory_;
    std::optional<range_outcome> outcome_;
    int times_done_ = 0;
    bool inside_ = true;
};

class kept_timer final : public runtime::timer {
public:
    explicit kept_timer(std::function<void()> what) : then(std::move(what)) {}
    void cancel() noexcept override { then = nullptr; }

    std::function<void()> then;
};

/// Timers that go off when the input says so.
class fuzz_core final : public runtime::context_core {
public:
    std::shared_ptr<runtime::timer> set_timer(
        const asio::any_io_executor&, std::chrono::nanoseconds, std::function<void()> then
    ) override {
        auto out = std::make_shared<kept_timer>(std::move(then));
        timers_.push_back(out);
        return out;
    }
    /// False: none is set.
    bool go_off() {
        std::erase_if(timers_, [](const auto& weak) { return weak.expired(); });
        if (timers_.empty()) return false;
        const auto oldest = timers_.front().lock();
        timers_.erase(timers_.begin());
        if (oldest->then) oldest->then();
        return true;
    }

private:
    std::vector<std::weak_ptr<kept_timer>> timers_;
};

class fuzz_call final : public bidi_call {
public:
    explicit fuzz_call(std::shared_ptr<bidi_call_events> to) : events(std::move(to)) {}

    void start(const call_spec& spec, std::span<const fsm::wire_range> ranges) override {
        note(spec.routing_token.size() <= 4096, "a long token is brought along");
        const bool printable =
            std::ranges::all_of(spec.routing_token, [](char c) { return c >= ' ' && c <= '~'; });
        note(printable, "a token is brought along that aborts the process");
        write(ranges);
    }
    void write(std::span<const fsm::wire_range> ranges) override {
        note(!writing, "a message is written while another one is");
        note(ranges.size() <= fsm::max_ranges_per_message, "a message has too many ranges");
        writing = true;
        asked.insert(asked.end(), ranges.begin(), ranges.end());
    }
    void cancel() noexcept override { cancelled = true; }

    std::shared_ptr<bidi_call_events> events;
    std::vector<fsm::wire_range> asked;
    error_value broken;
    bool writing = false;
    bool cancelled = false;
};

class fuzz_connector final : public bidi_connector {
public:
    std::shared_ptr<bidi_call> create(std::shared_ptr<bidi_call_events> events) override {
        note(++calls <= most_calls, "there is no end of calls");
        call = std::make_shared<fuzz_call>(std::move(events));
        return call;
    }

    std::shared_ptr<fuzz_call> call;
    std::size_t calls = 0;
};

class fuzz_owner final : public stream_listener {
public:
    void opened(std::shared_ptr<const object_info> info) noexcept override {
        pinned = info != nullptr && info->generation > 0;
        is_open = true;
    }
    void reconnecting() noexcept override {}
    void reconnected() noexcept override {}
    void ended(const error_value&) noexcept override { ++times_ended; }

    bool is_open = false;
    bool pinned = true;
    int times_ended = 0;
};

/// A stream, and the service that the input is.
class hostile_session {
public:
    explicit hostile_session(std::string_view input) : in_(input) {
        static asio::io_context context;  // for its executor alone
        noted = nullptr;
        mrd::environment env;
        env.connector = connector_;
        env.source = std::make_shared<object_source>(object_ref("b-1", "o"));
        env.reports = std::make_shared<transport::stream_reports>(nullptr);
        env.core = core_;
        env.executor = context.get_executor();
        env.open_timeout = std::chrono::seconds(30);
        const unsigned how = byte();
        // What is not made by hand here may have no checksum, and be wrong.
        env.require_checksums = raw_ = (how & 1) != 0;
        env.retry =
            retry_policy().attempts(how >> 1 & 3).range_attempts(how >> 3 & 1).max_orphan_bytes(how & 16);
        env.seed = [] { return 42; };
        stream_ = std::make_shared<mrd>(std::move(env));
        stream_->open(owner_);
    }

    void play() {
        while (!in_.empty()) step();
        stream_->close({});
        for (std::size_t i = 0; owner_->times_ended == 0 && i < most_calls; ++i) {
            if (call() == nullptr) break;
            end_call(call_end(error_value(error_code(1, grpc_category()), "cancelled")));
        }
        check(noted == nullptr, noted);
        check(owner_->times_ended == 1, "a stream does not end once");
        for (const auto& r : reads_) r->validate();
        check(!owner_->is_open || owner_->pinned, "a stream is open that pins no generation");
        stream_.reset();
        connector_->call.reset();
        core_->shut_down();  // hangs if anything has stayed behind
    }

private:
    unsigned byte() { return take_byte(in_); }
    std::string bytes(std::size_t most) {
        const std::size_t size = std::min<std::size_t>({byte(), most, in_.size()});
        const std::string out(in_.substr(0, size));
        in_.remove_prefix(size);
        return out;
    }
    /// Near a number that there is, or at the ends of what a number may be.
    std::int64_t around(std::int64_t number) {
        switch (byte() % 8) {
            case 0: return number + 1;
            case 1: return number - 1;
            case 2: return std::numeric_limits<std::int64_t>::max();
            case 3: return std::numeric_limits<std::int64_t>::min();
            case 4: return -number;
            default: return number;
        }
    }

    std::shared_ptr<fuzz_call> call() const {
        const auto& one = connector_->call;
        return one != nullptr && one->events != nullptr ? one : nullptr;
    }

    void step() {
        switch (byte() % 16) {
            case 0: add(); break;
            case 1: confirm(); break;
            case 2: end_by_service(); break;
            case 3: core_->go_off(); break;
            case 4:
                if (!ids_.empty()) stream_->cancel(ids_[byte() % ids_.size()], errc::timed_out);
                break;
            case 5: stream_->reopen(); break;
            case 6:
                if (byte() % 8 == 0) stream_->close(errc::timed_out);
                break;
            case 7:
                if (raw_) respond(bytes(255));
                break;
            default: respond(response()); break;
        }
    }

    void add() {
        if (reads_.size() == most_ranges) return;
        reads_.push_back(std::make_shared<guarded_read>(byte(), 1 + byte() % 64));
        ids_.push_back(stream_->read(reads_.back()));
    }

    void confirm() {
        const auto one = call();
        if (one == nullptr || !std::exchange(one->writing, false)) return;
        one->events->on_write_done();
    }

    std::string response() {
        std::string out;
        for (unsigned parts = 1 + byte() % 4; parts != 0; --parts) {
            switch (byte() % 8) {
                case 0: out += say::metadata(byte() % 4 == 0 ? around(0) : 7, around(1000)); break;
                case 1: out += say::handle(bytes(32)); break;
                case 2: out += say::timestamp(3, around(0), static_cast<std::int32_t>(around(0))); break;
                case 3:
                    out += say::metadata(
                        7, 1000, say::timestamp(14, around(0), static_cast<std::int32_t>(around(0)))
                    );
                    break;
                default: out += piece(); break;
            }
        }
        return out;
    }

    std::string piece() {
        const auto one = call();
        fsm::wire_range r{1, 0, 10};
        if (one != nullptr && !one->asked.empty()) r = one->asked[byte() % one->asked.size()];
        const unsigned how = byte();
        const std::int64_t id = (how & 7) == 0 ? around(r.read_id) : r.read_id;
        std::int64_t& sent = sent_.at(static_cast<std::size_t>(r.read_id) % sent_.size());
        const std::int64_t skipped = (how & 8) != 0 ? byte() % 64 : sent;
        const std::int64_t at = (how & 7) == 1 ? around(r.offset) : r.offset + skipped;
        // Mostly the bytes that are due: otherwise hardly a range would reach its end.
        const unsigned measure = byte();
        const auto rest = static_cast<std::size_t>(std::max<std::int64_t>(r.length - skipped, 0));
        const std::size_t size = measure % 4 == 0 ? measure / 4 : rest;
        auto sum = say::checksum::right;
        std::string payload = content(static_cast<std::uint64_t>(at), size);
        if ((how & 0xf0) == 0x10) sum = say::checksum::none;
        if ((how & 0xf0) == 0x20 && size != 0) sum = say::checksum::wrong;
        if (sum == say::checksum::wrong) payload.front() = static_cast<char>(payload.front() ^ 1);
        if (id == r.read_id && at == r.offset + skipped) {
            sent = skipped + static_cast<std::int64_t>(size);
        }
        return say::piece(id, at, payload, (how & 0xc0) == 0x40, sum);
    }

    void respond(const std::string& message) {
        const auto one = call();
        if (one == nullptr || one->broken) return;
        const std::size_t slice_bytes = 1 + byte();
        const test::sliced slices(message, slice_bytes);
        const auto events = one->events;
        // As the call over gRPC does it.
        if (const error_value why = take_response(slices.slices(), *events)) {
            one->broken = why;
            one->cancelled = true;
        }
    }

    void end_by_service() {
        if (call() == nullptr) return;
        std::string details;
        for (unsigned parts = byte() % 3; parts != 0; --parts) {
            switch (byte() % 4) {
                case 0:
                    details +=
                        say::redirect(bytes(32), byte() % 2 != 0 ? std::optional(bytes(16)) : std::nullopt);
                    break;
                case 1: details += bytes(64); break;
                default: details += say::range_errors(range_errors()); break;
            }
        }
        if (byte() % 8 == 0) details.resize(details.size() / 2);
        const int status = static_cast<int>(byte() % 20) - 1;
        end_call(end_of_call(status, bytes(64), details));
    }

    std::string range_errors() {
        std::string out;
        for (const fsm::wire_range& r : call()->asked) {
            const unsigned how = byte();
            if ((how & 1) != 0) continue;
            out +=
                say::range_error((how & 2) != 0 ? r.read_id : around(r.read_id), around(how >> 3), bytes(32));
        }
        return out;
    }

    void end_call(const call_end& how) {
        const auto one = call();
        const auto events = std::exchange(one->events, nullptr);
        sent_.fill(0);
        events->on_done(one->broken ? call_end(one->broken) : how);
    }

    std::string_view in_;
    bool raw_ = false;
    std::shared_ptr<fuzz_core> core_ = std::make_shared<fuzz_core>();
    std::shared_ptr<fuzz_connector> connector_ = std::make_shared<fuzz_connector>();
    std::shared_ptr<fuzz_owner> owner_ = std::make_shared<fuzz_owner>();
    std::shared_ptr<mrd> stream_;
    std::vector<std::shared_ptr<guarded_read>> reads_;
    std::vector<std::int64_t> ids_;
    std::array<std::int64_t, 64> sent_{};  // of each range on this call, by its name
};

}  // namespace

void hostile_service(std::string_view input) {
    hostile_session(input).play();
}

}  // namespace rangeio::fuzz
