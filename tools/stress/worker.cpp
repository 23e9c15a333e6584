#include "stress/worker.hpp"

#include <rangeio/mrd_pool.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <string>
#include <utility>

namespace rangeio::tool {
namespace {

using namespace std::chrono_literals;
using op = stress_operation;

// The frequency of each operation, of a thousand; operations that end pools are rare, so that the pools do some work in
// between.
constexpr std::array<std::pair<op, unsigned>, stress_operations> weights{{
    {op::fetch, 200},
    {op::try_fetch, 150},
    {op::fetch_block, 80},
    {op::fetch_view, 60},
    {op::fetch_split, 90},
    {op::fetch_ranges, 110},
    {op::read_leased, 130},
    {op::read_once, 30},
    {op::read_cached, 60},
    {op::read_file, 50},
    {op::initialize, 24},
    {op::close, 7},
    {op::destroy, 7},
    {op::close_cache, 2},
}};

}  // namespace

stress_worker::stress_worker(
    stress_pools& pools, asio::any_io_executor executor, std::size_t context, std::uint64_t seed
)
    : pools_(pools),
      target_(pools.target()),
      faults_(target_.faults()),
      executor_(std::move(executor)),
      context_(context),
      random_(seed),
      timer_(executor_) {}

asio::awaitable<void> stress_worker::run(const std::atomic<bool>& stop) {
    while (!stop.load(std::memory_order_relaxed)) co_await one();
    if (!memory_.intact()) pools_.violations().add("a destination was written after its operation had ended");
}

// The operation is a coroutine of its own on the same executor, because only a spawned coroutine can be cancelled; the
// signal is emitted on the executor that it runs on.
asio::awaitable<void> stress_worker::one() {
    what_ = draw();
    around_ = {};
    fate_.reset();
    thrown_ = nullptr;
    over_ = false;
    tally_.begin(what_);
    start(perform(what_));
    if (one_in(8)) {
        co_await wait(std::chrono::microseconds(draw_length(20'000)));
        if (!over_) {
            around_.cancelled = true;
            constexpr std::array types{
                asio::cancellation_type::terminal,
                asio::cancellation_type::partial,
                asio::cancellation_type::total
            };
            cancel_.emit(types[below(types.size())]);
        }
    }
    while (!over_) co_await wait(1h);
    judge_ended(what_);
}

void stress_worker::start(asio::awaitable<void> operation) {
    const auto ended = [this](std::exception_ptr thrown) {
        thrown_ = std::move(thrown);
        over_ = true;
        timer_.cancel();
    };
    asio::co_spawn(executor_, std::move(operation), asio::bind_cancellation_slot(cancel_.slot(), ended));
}

// Waits for `time`, or until the operation has ended.
asio::awaitable<void> stress_worker::wait(std::chrono::nanoseconds time) {
    timer_.expires_after(time);
    if (over_) co_return;
    error_code ignored;
    co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

void stress_worker::judge_ended(stress_operation what) {
    error_value why;
    std::string strange;
    try {
        if (thrown_) std::rethrow_exception(thrown_);
    } catch (const error& e) {
        why = e.why();
    } catch (const boost::system::system_error& e) {
        why = error_value(e.code());
    } catch (const std::exception& e) {
        strange = e.what();
    }
    thrown_ = nullptr;
    around_.closed = fate_ != nullptr && fate_->load();
    const stress_outcome how = strange.empty() ? judge(why, around_, faults_) : stress_outcome::violated;
    tally_.end(how, why);
    if (how == stress_outcome::violated) {
        pools_.violations().add(
            fmt::format("{}: unexpected: {}", to_string(what), strange.empty() ? why.message() : strange)
        );
    }
    if (const auto box = pools_.pool(below(pools_.pools()))) {
        pools_.check(box->shared.stats(), box->streams);
    }
}

asio::awaitable<void> stress_worker::perform(stress_operation what) {
    co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    switch (what) {
        case op::fetch: co_await fetch_into_span(false); break;
        case op::try_fetch: co_await fetch_into_span(true); break;
        case op::fetch_block: co_await fetch_into_block(); break;
        case op::fetch_view: co_await fetch_into_view(); break;
        case op::fetch_split: co_await fetch_chunks(); break;
        case op::fetch_ranges: co_await fetch_scattered(); break;
        case op::read_leased: co_await read_leased(); break;
        case op::read_once: co_await read_once(); break;
        case op::read_cached: co_await read_cached(); break;
        case op::read_file: co_await read_file(); break;
        case op::initialize: co_await initialize(); break;
        case op::close: co_await close(); break;
        case op::destroy: destroy(); break;
        case op::close_cache: co_await close_cache(); break;
    }
}

stress_operation stress_worker::draw() {
    std::uint64_t at = below(1000);
    for (const auto& [what, weight] : weights) {
        if (at < weight)
            return what == op::read_once && target_.reader(context_) == nullptr ? op::fetch : what;
        at -= weight;
    }
    return op::fetch;
}

// From 1, with every order of magnitude equally likely.
std::uint64_t stress_worker::draw_length(std::uint64_t most) {
    const auto bits = static_cast<std::uint64_t>(std::bit_width(most));
    return 1 + below(std::min(most, std::uint64_t{1} << below(bits + 1)));
}

byte_range stress_worker::draw_range(std::size_t object, std::uint64_t most) {
    const std::uint64_t size = target_.objects()[object].bytes;
    const std::uint64_t length = draw_length(std::min(most, size));
    return {below(size - length + 1), length};
}

fetch_options stress_worker::draw_options() {
    fetch_options out;
    out.concurrency(1 + below(8)).min_chunk_bytes(draw_length(16'384)).allow_short(one_in(4));
    if (one_in(4)) {
        around_.hurried = true;
        out.timeout(std::chrono::microseconds(draw_length(20'000)));
    }
    return out;
}

std::shared_ptr<pool_box> stress_worker::draw_pool() {
    slot_ = below(pools_.pools());
    auto box = pools_.pool(slot_);
    fate_ = box->fate;
    return box;
}

std::optional<std::int64_t> stress_worker::generation_of(const std::weak_ptr<pool_box>& box) {
    const auto alive = box.lock();
    if (alive == nullptr) return std::nullopt;
    const auto info = alive->shared.info();
    if (!info) return std::nullopt;
    return info->generation;
}

void stress_worker::check(
    std::size_t object,
    std::optional<std::int64_t> generation,
    std::uint64_t offset,
    std::span<const std::byte> bytes,
    std::uint64_t asked
) {
    const byte_range range(offset, asked);
    if (bytes.size() != asked) {
        pools_.violations().add(
            fmt::format("{}: {} has {} bytes", to_string(what_), to_string(range), bytes.size())
        );
    } else if (!target_.holds(object, generation, offset, bytes)) {
        pools_.violations().add(fmt::format(
            "{}: {} are other bytes than the object has in generation {}",
            to_string(what_),
            to_string(range),
            generation ? std::to_string(*generation) : "any"
        ));
    }
    tally_.checked(bytes.size());
}

}  // namespace rangeio::tool
