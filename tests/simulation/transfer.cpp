#include "engine/transfer.hpp"

#include "support/await_operation.hpp"
#include "support/awaited_transfer.hpp"
#include "support/run.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/post.hpp>

#include <cstring>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

using namespace support;
using rangeio::byte_range;
using rangeio::errc;
using rangeio::error_value;
using rangeio::range_sink;
using rangeio::engine::transfer_parts;

// The parts of one transfer against each other, on a stream whose ranges end when the test says so.

namespace {

class patient_stream final : public rangeio::multi_range_downloader {
public:
    void open(std::shared_ptr<rangeio::stream_listener>) override {}
    std::int64_t read(std::shared_ptr<range_sink> sink) override {
        reads_.push_back(std::move(sink));
        return static_cast<std::int64_t>(reads_.size());
    }
    void cancel(std::int64_t id, const error_value&) noexcept override { cancelled.push_back(id); }
    void close(const error_value&) noexcept override {}
    std::uint64_t outstanding_bytes() const noexcept override { return 0; }

    std::size_t size() const { return reads_.size(); }
    void deliver(std::int64_t id, std::string_view text) {
        reads_.at(static_cast<std::size_t>(id - 1))->take(0, std::as_bytes(std::span(text)), 0);
    }
    void end(std::int64_t id, const error_value& why, std::uint64_t received) {
        const auto read = std::exchange(reads_.at(static_cast<std::size_t>(id - 1)), nullptr);
        rangeio::range_outcome outcome;
        outcome.why = why;
        outcome.received = received;
        read->done(outcome);
    }

    std::vector<std::int64_t> cancelled;

private:
    std::vector<std::shared_ptr<range_sink>> reads_;
};

struct transfer_fixture {
    transfer_fixture() {
        asio::co_spawn(
            context,
            read_all(stream, std::as_writable_bytes(std::span(memory))),
            asio::bind_cancellation_slot(signal.slot(), end.handler())
        );
        context.poll();
        REQUIRE(stream->size() == 3);
    }

    /// Three parts of two bytes.
    static asio::awaitable<void> read_all(
        std::shared_ptr<patient_stream> stream, std::span<std::byte> memory
    ) {
        transfer_parts parts(3);
        for (std::size_t i = 0; i < parts.size(); ++i) {
            parts[i].range = byte_range(2 * i, 2);
            parts[i].memory = memory.data() + 2 * i;
        }
        const auto op = std::make_shared<awaited_transfer>(stream, nullptr, std::move(parts));
        co_await support::await_operation(op);
        if (op->why()) throw rangeio::error(op->why());
    }

    std::string memory = "......";
    std::shared_ptr<patient_stream> stream = std::make_shared<patient_stream>();
    asio::io_context context;
    asio::cancellation_signal signal;
    outcome end;
};

}  // namespace

TEST_CASE("transfer, museum F01: when a part fails, the call ends after the others, which are cancelled") {
    transfer_fixture f;
    f.stream->end(2, errc::data_corrupted, 0);
    f.context.poll();
    CHECK_FALSE(f.end.code.has_value());
    CHECK(f.stream->cancelled == std::vector<std::int64_t>{1, 3});
    f.stream->deliver(1, "ab");  // a copy that was under way: the memory has to be there still
    f.stream->end(1, {}, 2);
    f.context.poll();
    CHECK_FALSE(f.end.code.has_value());
    f.stream->end(3, errc::stalled, 0);
    f.context.poll();
    REQUIRE(f.end.code);
    CHECK(*f.end.code == errc::data_corrupted);
    CHECK(f.memory == "ab....");
}

TEST_CASE("transfer: a cancelled call ends after the last of its parts") {
    transfer_fixture f;
    f.signal.emit(asio::cancellation_type::terminal);
    f.context.poll();
    CHECK_FALSE(f.end.code.has_value());
    CHECK(f.stream->cancelled == std::vector<std::int64_t>{1, 2, 3});
    for (const std::int64_t id : {2, 3})
        f.stream->end(id, make_error_code(asio::error::operation_aborted), 0);
    f.context.poll();
    CHECK_FALSE(f.end.code.has_value());
    f.stream->end(1, {}, 2);
    f.context.poll();
    REQUIRE(f.end.code);
    CHECK(*f.end.code == asio::error::operation_aborted);
}

TEST_CASE("transfer: a cancellation after the last part is too late") {
    transfer_fixture f;
    // On the thread of the coroutine, which cannot have been resumed before.
    asio::post(f.context, [&f] {
        for (const std::int64_t id : {1, 2, 3}) f.stream->end(id, {}, 2);
        f.signal.emit(asio::cancellation_type::terminal);
    });
    f.context.poll();
    REQUIRE(f.end.code);
    CHECK_FALSE(f.end.code->failed());
    CHECK(f.stream->cancelled.empty());
}
