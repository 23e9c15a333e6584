#include "engine/reader_core.hpp"

#include "engine/fetch_plan.hpp"
#include "engine/prefetch_unit.hpp"
#include "error_text.hpp"
#include "fsm/adaptive.hpp"
#include "fsm/linear_ramp.hpp"
#include "option_range.hpp"

#include <boost/asio/error.hpp>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <utility>

namespace rangeio::engine {
namespace {

error_value position_in_use() noexcept {
    const auto code = make_error_code(asio::error::in_progress);
    return described(code, "reader: another read from the position is under way");
}

std::unique_ptr<fsm::prefetch_policy> make_policy(
    const reader_options& options, const std::shared_ptr<budget_core>& budget, std::size_t streams
) {
    switch (options.prefetch()) {
        case prefetching::off: break;
        case prefetching::linear_ramp: {
            fsm::linear_ramp::options how;
            how.concurrency = static_cast<std::uint32_t>(options.fetching().concurrency());
            how.max_prefetch_bytes = options.max_prefetch_bytes();
            return std::make_unique<fsm::linear_ramp>(how);
        }
        case prefetching::adaptive: {
            fsm::adaptive::options how;
            how.max_window_bytes =
                std::min(options.max_prefetch_bytes().value_or(budget->limit_bytes()), budget->limit_bytes());
            how.streams = streams;
            return std::make_unique<fsm::adaptive>(
                how, std::shared_ptr<fsm::waste_account>(budget, &budget->waste())
            );
        }
    }
    return nullptr;
}

error_value position_out_of_range() noexcept {
    return described(errc::invalid_argument, "reader: seek to a position that no object has");
}

}  // namespace

error_value no_reader() noexcept {
    return described(errc::invalid_argument, "reader: none (default-constructed or moved from)");
}

reader_core::reader_core(std::shared_ptr<pool_core> pool, mrd_pool owned, reader_options options)
    : pool_(std::move(pool)),
      options_(std::move(options)),
      owns_pool_(static_cast<bool>(owned)),
      budget_(budget_access::core(options_.memory() ? *options_.memory() : memory_budget())),
      id_(budget_->new_id()),
      owned_(std::move(owned)) {
    using namespace std::chrono_literals;
    throw_if(pool_ == nullptr ? no_pool() : error_value());
    throw_if(check_least("max_prefetch_bytes", options_.max_prefetch_bytes().value_or(1), 1));
    throw_if(check_range("follow_interval", options_.follow_interval(), 1ms, 1h));
    throw_if(check_division(options_.fetching()));
    auto policy = make_policy(options_, budget_, pool_->max_streams());
    if (policy == nullptr) return;
    // The machine acts for reads and units, which keep the reader alive.
    const auto make_unit = [this](const fsm::unit_action& what) {
        return std::make_shared<prefetch_unit>(shared_from_this(), what);
    };
    prefetch_.emplace(runtime::core_of(pool_->executor()), std::move(policy), make_unit);
}

error_value reader_core::enter(
    reader_entry& read, std::optional<std::uint64_t> at, std::uint64_t& offset
) noexcept {
    const std::lock_guard lock(mutex_);
    if (closed_) return errc::pool_closed;
    if (!at) {
        if (std::exchange(in_use_, true)) return position_in_use();
    }
    offset = at.value_or(position_);
    inside_.push_back(read);
    read.inside_ = true;
    return {};
}

void reader_core::leave(reader_entry& read) noexcept {
    std::vector<std::shared_ptr<reader_closer>> closers;
    {
        const std::lock_guard lock(mutex_);
        if (!std::exchange(read.inside_, false)) return;
        inside_.erase(inside_.iterator_to(read));
        if (inside_.empty()) closers.swap(closers_);
    }
    for (const auto& who : closers) who->reads_ended({});
}

void reader_core::release(std::optional<std::uint64_t> position) noexcept {
    const std::lock_guard lock(mutex_);
    in_use_ = false;
    position_ = position.value_or(position_);
}

error_value reader_core::seek(std::int64_t offset, seek_basis from, std::uint64_t& position) noexcept {
    const auto known = from == seek_basis::end ? pool_->info() : nullptr;
    const std::lock_guard lock(mutex_);
    if (in_use_) return position_in_use();
    std::uint64_t base = 0;
    if (from == seek_basis::current) base = position_;
    if (from == seek_basis::end) {
        if (known == nullptr)
            return described(errc::invalid_argument, "reader: seek from an end that is not known yet");
        base = known->size;
    }
    // Both are at most max_end, and the sum of one and a negative number cannot wrap.
    const std::uint64_t back = offset < 0 ? std::uint64_t{0} - static_cast<std::uint64_t>(offset) : 0;
    const std::uint64_t forward = offset < 0 ? 0 : static_cast<std::uint64_t>(offset);
    if (back > base || forward > byte_range::max_end - std::min(base, byte_range::max_end)) {
        return position_out_of_range();
    }
    position_ = position = base - back + forward;
    return {};
}

std::uint64_t reader_core::tell() const noexcept {
    const std::lock_guard lock(mutex_);
    return position_;
}

void reader_core::close() noexcept {
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
    }
    budget_->leave(id_);
    if (prefetch_) prefetch_->close();
    for (;;) {
        std::shared_ptr<void> alive;
        reader_entry* read = nullptr;
        {
            const std::lock_guard lock(mutex_);
            const auto it =
                std::ranges::find_if(inside_, [](const reader_entry& r) { return !r.abandoned_; });
            if (it == inside_.end()) return;
            it->abandoned_ = true;
            read = &*it;
            alive = it->keep();
        }
        if (alive != nullptr) read->abandon();
    }
}

bool reader_core::closed() const noexcept {
    const std::lock_guard lock(mutex_);
    return closed_;
}

void reader_core::when_reads_end(std::shared_ptr<reader_closer> who) {
    {
        const std::lock_guard lock(mutex_);
        if (!inside_.empty()) {
            closers_.push_back(std::move(who));
            return;
        }
    }
    who->reads_ended({});
}

void reader_core::cancel(const reader_closer& who, const error_value& why) noexcept {
    std::shared_ptr<reader_closer> found;
    {
        const std::lock_guard lock(mutex_);
        const auto it = std::ranges::find(closers_, &who, &std::shared_ptr<reader_closer>::get);
        if (it == closers_.end()) return;
        found = std::move(*it);
        closers_.erase(it);
    }
    found->reads_ended(why);
}

void reader_core::close_now() noexcept {
    close();
    mrd_pool pool;
    const std::lock_guard lock(mutex_);
    std::swap(pool, owned_);  // closed by its destructor, without the lock
}

void reader_core::advise(footer hint) noexcept {
    const std::lock_guard lock(mutex_);
    advised_footer_ = hint.bytes;
}

std::uint64_t reader_core::advised_footer() const noexcept {
    const std::lock_guard lock(mutex_);
    return advised_footer_;
}

void reader_core::will_need(std::span<const byte_range> ranges) {
    if (!prefetch_) return;
    const auto known = pool_->info();
    if (known == nullptr) {
        const std::lock_guard lock(mutex_);
        announced_.insert(announced_.end(), ranges.begin(), ranges.end());
        has_announced_ = !announced_.empty();
        // The object may have become known meanwhile: the next read looks.
        return;
    }
    for (const byte_range& range : ranges) prefetch_->will_need(range.clamp_to(known->size));
}

void reader_core::use_announced(std::uint64_t size) noexcept {
    if (!has_announced_) return;
    std::vector<byte_range> ranges;
    {
        const std::lock_guard lock(mutex_);
        ranges.swap(announced_);
        has_announced_ = false;
    }
    for (const byte_range& range : ranges) prefetch_->will_need(range.clamp_to(size));
}

void reader_core::keep_footer(std::shared_ptr<const object_tail> bytes) noexcept {
    const std::lock_guard lock(mutex_);
    footer_ = std::move(bytes);
}

std::shared_ptr<const object_tail> reader_core::footer_kept() const noexcept {
    const std::lock_guard lock(mutex_);
    return footer_;
}

}  // namespace rangeio::engine
