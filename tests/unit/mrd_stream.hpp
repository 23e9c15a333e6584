#pragma once

#include "fsm/mrd_fsm.hpp"
#include "support/grpc_failures.hpp"
#include "support/named_sink.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace support {

using rangeio::errc;
using rangeio::error_value;
using rangeio::retry_policy;
using rangeio::fsm::max_ranges_per_message;
using rangeio::fsm::mrd_action;
using rangeio::fsm::mrd_action_kind;
using rangeio::fsm::mrd_actions;
using rangeio::fsm::mrd_fsm;
using rangeio::fsm::mrd_state;
using rangeio::fsm::range_error;

/// A stream whose events return their actions as one line, messages included: those are asked for at once, as
/// a shell that is never late would. Sinks have names from 1 on and are printed as `r1`, ranges in messages
/// as id:offset+length; the stall check's timers are not printed.
class stream {
public:
    /// Without retries or stall check, unless a policy says otherwise.
    explicit stream(const retry_policy& retry = retry_policy::none().stall_timeout({}))
        : machine_(options(retry)) {}

    std::string open() {
        return feed([&](mrd_actions& out) { machine_.open(out); });
    }
    std::string add(std::uint64_t name, std::uint64_t offset, std::uint64_t length) {
        return feed([&](mrd_actions& out) { machine_.add_range(sink_named(name), offset, length, now, out); }
        );
    }
    /// The last `length` bytes.
    std::string add_tail(std::uint64_t name, std::uint64_t length) {
        return feed([&](mrd_actions& out) { machine_.add_range(sink_named(name), 0, length, now, out, true); }
        );
    }
    std::string reopen() {
        return feed([&](mrd_actions& out) { machine_.reopen(out); });
    }
    std::string cancel(std::int64_t id, const error_value& why = errc::timed_out) {
        return feed([&](mrd_actions& out) { machine_.cancel_range(id, why, out); });
    }
    std::string close(const error_value& why = {}) {
        return feed([&](mrd_actions& out) {
            machine_.close(why ? why : error_value(errc::stream_closed), why, out);
        });
    }
    std::string response(std::optional<std::uint64_t> size = {}) {
        return feed([&](mrd_actions& out) { machine_.response(size, out); });
    }
    std::string require(std::uint64_t size) {
        return feed([&](mrd_actions& out) { machine_.require(size, out); });
    }
    std::string begin_chunk(std::int64_t id, std::int64_t offset, std::uint64_t size, bool end = false) {
        return feed([&](mrd_actions& out) { verdict_ = machine_.begin_chunk(id, offset, size, end, out); });
    }
    std::string end_chunk(std::int64_t id, const error_value& damage = {}) {
        return feed([&](mrd_actions& out) { machine_.end_chunk(id, damage, out); });
    }
    /// A chunk that arrives at once, and is copied if the machine says so.
    std::string chunk(
        std::int64_t id,
        std::int64_t offset,
        std::uint64_t size,
        bool end = false,
        const error_value& damage = {}
    ) {
        const std::string before = begin_chunk(id, offset, size, end);
        if (!verdict_.accept) return before;
        CHECK(before == "");
        return end_chunk(id, damage);
    }
    std::string write_done() {
        return feed([&](mrd_actions& out) { machine_.write_done(out); });
    }
    std::string call_ended(const error_value& why = {}, const std::vector<range_error>& errors = {}) {
        return feed([&](mrd_actions& out) { machine_.call_ended({why, false, errors, false}, now, out); });
    }
    std::string call_ended(const mrd_fsm::call_end& how) {
        return feed([&](mrd_actions& out) { machine_.call_ended(how, now, out); });
    }
    std::string redirected(const error_value& why = grpc_failure(10, "elsewhere")) {
        return feed([&](mrd_actions& out) { machine_.call_ended({why, true, {}, false}, now, out); });
    }
    std::string wait_over() {
        return feed([&](mrd_actions& out) { machine_.wait_over(machine_.wait_timer(), out); });
    }
    std::string out_of_memory() {
        return feed([&](mrd_actions& out) { machine_.out_of_memory(out); });
    }
    std::string stall_timer_failed() {
        return feed([&](mrd_actions& out) { machine_.stall_timer_failed(machine_.stall_timer(), out); });
    }
    std::string check_stall() {
        return feed([&](mrd_actions& out) { machine_.check_stall(machine_.stall_timer(), out); });
    }

    /// Of the last event, as they were decided.
    const mrd_actions& decided() const { return decided_; }
    const mrd_fsm::verdict& verdict() const { return verdict_; }
    mrd_fsm& machine() { return machine_; }
    const mrd_fsm::counts& counted() const { return machine_.counted(); }

    rangeio::fsm::time_point now{};
    /// What the connection says of so many looks without a byte.
    std::function<rangeio::fsm::silence(unsigned)> silence = [](unsigned checks) {
        using rangeio::fsm::silence;
        return checks < rangeio::fsm::checks_per_stall ? silence::borne : silence::stalled;
    };

private:
    static mrd_fsm::options options(const retry_policy& retry) {
        mrd_fsm::options out;
        out.retry = retry;
        return out;
    }

    template <class Event>
    std::string feed(Event event) {
        mrd_actions out;
        event(out);
        std::string line;
        // Performing may lead to further actions.
        for (std::size_t i = 0; i < out.size(); ++i) {
            const std::string text = perform(mrd_action(out[i]), out);
            if (!text.empty()) line += (line.empty() ? "" : ", ") + text;
        }
        decided_ = std::move(out);
        return line;
    }

    std::string message() const {
        std::string out;
        for (const auto& r : machine_.message()) {
            out += fmt::format(" {}:{}+{}", r.read_id, r.offset, r.length);
        }
        return out;
    }
    std::string perform(const mrd_action& a, mrd_actions& out) {
        switch (a.kind) {
            case mrd_action_kind::start_call: return machine_.begin_call(out) ? "start" + message() : "";
            case mrd_action_kind::write: return machine_.begin_write() ? "write" + message() : "";
            case mrd_action_kind::cancel_call: return "cancel call";
            case mrd_action_kind::wait:
                return fmt::format(
                    "wait {}", std::chrono::duration_cast<std::chrono::milliseconds>(a.delay).count()
                );
            case mrd_action_kind::classify_silence:
                machine_.silence_classified(a.timer, silence(a.checks), out);
                return "";
            case mrd_action_kind::call_over:
            case mrd_action_kind::set_stall_timer:
            case mrd_action_kind::cancel_stall_timer: return "";
            case mrd_action_kind::cancel_wait: return "wait no more";
            case mrd_action_kind::opened: return "opened";
            case mrd_action_kind::reconnecting: return "reconnecting";
            case mrd_action_kind::reconnected: return "reconnected";
            case mrd_action_kind::ended: return a.why ? "ended: " + a.why.message() : "ended";
            case mrd_action_kind::complete: break;
        }
        return fmt::format(
            "r{} {}{}", name_of(a.sink.get()), a.received, a.why ? ": " + a.why.message() : ""
        );
    }

    mrd_fsm machine_;
    mrd_fsm::verdict verdict_;
    mrd_actions decided_;
};

/// A stream that has opened and whose wire is free.
inline stream open_stream(const retry_policy& retry = retry_policy::none().stall_timeout({})) {
    stream out(retry);
    CHECK(out.open() == "start");
    CHECK(out.write_done() == "");
    CHECK(out.response() == "opened");
    return out;
}

}  // namespace support
