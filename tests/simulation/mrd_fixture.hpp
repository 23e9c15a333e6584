#pragma once

#include <rangeio/crc32c.hpp>

#include "grpc/mrd.hpp"
#include "simulation/range_reader.hpp"
#include "support/grpc_failures.hpp"

#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// The shell of the stream, where the test is the service and the clock.

namespace support {

using namespace rangeio;
using namespace rangeio::grpc_transport;
using namespace std::chrono_literals;

class manual_timer final : public runtime::timer {
public:
    manual_timer(std::chrono::nanoseconds after, std::function<void()> what)
        : delay(after), then(std::move(what)) {}
    void cancel() noexcept override { then = nullptr; }

    std::chrono::nanoseconds delay;
    std::function<void()> then;
};

/// Timers that go off when the test says so.
class manual_core final : public runtime::context_core {
public:
    std::shared_ptr<runtime::timer> set_timer(
        const asio::any_io_executor&, std::chrono::nanoseconds delay, std::function<void()> then
    ) override {
        auto out = std::make_shared<manual_timer>(delay, std::move(then));
        timers_.push_back(out);
        return out;
    }

    /// The delays of the timers that are set, the oldest first.
    std::vector<std::chrono::nanoseconds> timers() {
        std::vector<std::chrono::nanoseconds> out;
        for (const auto& weak : timers_) {
            if (const auto one = weak.lock()) out.push_back(one->delay);
        }
        return out;
    }
    /// The newest one goes off.
    void go_off() {
        std::erase_if(timers_, [](const auto& weak) { return weak.expired(); });
        REQUIRE_FALSE(timers_.empty());
        const auto newest = timers_.back().lock();
        timers_.pop_back();
        newest->then();
    }

private:
    std::vector<std::weak_ptr<manual_timer>> timers_;
};

class manual_call final : public bidi_call {
public:
    explicit manual_call(std::shared_ptr<bidi_call_events> to) : events(std::move(to)) {}

    void start(const call_spec& with, std::span<const fsm::wire_range> ranges) override {
        spec = with;
        asked.assign(ranges.begin(), ranges.end());
    }
    void write(std::span<const fsm::wire_range> ranges) override {
        asked.insert(asked.end(), ranges.begin(), ranges.end());
    }
    void cancel() noexcept override { told_to_end = true; }

    void respond(const std::optional<std::string>& handle = {}, std::int64_t generation = 7) {
        object_info info;
        info.generation = generation;
        info.size = content.size();
        incoming out;
        out.metadata = &info;
        if (handle) out.read_handle = &*handle;
        events->on_response(out);
    }
    void respond_without_metadata() { events->on_response({}); }
    void send(std::int64_t id, std::size_t offset, std::size_t size, bool end = false) {
        const auto payload = std::as_bytes(std::span(content)).subspan(offset, size);
        const std::vector<wire::slice> message{payload};
        wire::data_chunk chunk;
        chunk.has_read_range = true;
        chunk.read_id = id;
        chunk.read_offset = static_cast<std::int64_t>(offset);
        chunk.range_end = end;
        chunk.has_data = true;
        chunk.payload = {0, 0, size};
        if (!unchecked) chunk.crc32c = crc32c(payload) + (damage ? 1 : 0);
        incoming out;
        out.message = message;
        out.chunks = {&chunk, 1};
        events->on_response(out);
    }
    void end(const call_end& how) { std::exchange(events, nullptr)->on_done(how); }

    std::shared_ptr<bidi_call_events> events;
    call_spec spec{object_ref("b-1", "o"), {}, {}};
    std::vector<fsm::wire_range> asked;
    bool told_to_end = false;
    bool damage = false;
    bool unchecked = false;
};

class manual_connector final : public bidi_connector {
public:
    std::shared_ptr<bidi_call> create(std::shared_ptr<bidi_call_events> events) override {
        calls.push_back(std::make_shared<manual_call>(std::move(events)));
        return calls.back();
    }

    std::vector<std::shared_ptr<manual_call>> calls;
};

class listener final : public stream_listener {
public:
    void opened(std::shared_ptr<const object_info>) noexcept override { heard += "opened "; }
    void reconnecting() noexcept override { heard += "reconnecting "; }
    void reconnected() noexcept override { heard += "reconnected "; }
    void ended(const error_value& why) noexcept override { heard += why ? "failed " : "ended "; }

    std::string heard;
};

struct mrd_fixture {
    explicit mrd_fixture(
        const retry_policy& retry = {},
        std::shared_ptr<observer> to = nullptr,
        bool open_now = true,
        std::optional<std::uint64_t> seed = 42,
        bool require_checksums = false
    )
        : reports(std::make_shared<transport::stream_reports>(std::move(to))) {
        mrd::environment env;
        env.connector = connector;
        env.source = std::make_shared<object_source>(object_ref("b-1", "o"));
        env.reports = reports;
        env.core = core;
        env.executor = context.get_executor();
        env.open_timeout = 30s;
        env.retry = retry;
        env.require_checksums = require_checksums;
        if (seed) env.seed = [number = *seed] { return number; };
        stream = std::make_shared<mrd>(env);
        if (open_now) stream->open(owner);
    }
    ~mrd_fixture() {
        if (stream != nullptr) stream->close({});
        for (const auto& one : connector->calls) {
            if (one->events != nullptr) one->end(cancelled);
        }
        core->shut_down();  // hangs if anything has stayed behind
    }

    manual_call& call() { return *connector->calls.back(); }
    std::shared_ptr<reader> read(std::uint64_t offset, std::uint64_t length) {
        auto out = std::make_shared<reader>(offset, length);
        id = stream->read(out);
        return out;
    }
    void opened(const std::optional<std::string>& handle = {}) {
        call().events->on_write_done();
        call().respond(handle);
        CHECK(owner->heard == "opened ");
        CHECK(core->timers().empty());
    }

    asio::io_context context;
    std::shared_ptr<manual_core> core = std::make_shared<manual_core>();
    std::shared_ptr<manual_connector> connector = std::make_shared<manual_connector>();
    std::shared_ptr<transport::stream_reports> reports;
    std::shared_ptr<listener> owner = std::make_shared<listener>();
    std::shared_ptr<mrd> stream;
    std::int64_t id = 0;
};

}  // namespace support
