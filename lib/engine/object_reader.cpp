#include <rangeio/object_reader.hpp>

#include "engine/fetch_plan.hpp"
#include "engine/prefetch_unit.hpp"
#include "engine/prefetcher.hpp"
#include "engine/read_operation.hpp"
#include "engine/reader_close.hpp"
#include "engine/reader_core.hpp"
#include "engine/reads.hpp"
#include "error_text.hpp"
#include "option_range.hpp"

#include <boost/asio/error.hpp>
#include <boost/container/small_vector.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

namespace rangeio {
namespace engine {
namespace {

using reader_ptr = std::shared_ptr<reader_core>;

std::shared_ptr<pool_core> pool_of(const reader_ptr& reader) {
    return reader == nullptr ? nullptr : reader->pool();
}

void require_reader(const reader_ptr& reader) {
    throw_if(reader == nullptr ? no_reader() : error_value());
}

/// A read from the position, or from `at` on: of the bytes that exist, at most `length`.
class reader_read : public read_operation, private reader_entry {
public:
    ~reader_read() override {
        if (reader_ == nullptr) return;
        reader_->leave(*this);
        give_position_back({});
    }

protected:
    reader_read(reader_ptr reader, std::optional<std::uint64_t> at, std::uint64_t length)
        : read_operation(pool_of(reader)), reader_(std::move(reader)), at_(at), length_(length) {
        if (reader_ != nullptr) limit(reader_->options().fetching().timeout());
    }

    const reader_ptr& reader() const noexcept { return reader_; }
    /// The memory for all bytes. May throw.
    virtual const detail::destination& memory(std::uint64_t length) = 0;

    /// What of `range` one read shall return.
    virtual byte_range narrow(byte_range range) { return range; }
    /// Whether the bytes of a unit need no other memory.
    virtual bool lends() const noexcept { return false; }

    /// The end of the read; `bytes` have been read.
    error_value finish(std::size_t& bytes) noexcept {
        error_value why = over_ ? result_ : end();
        bytes = done_ + (why ? prefix(ranges_) : total_ + copied_.length());
        if (!why) copy_footer();
        // Bytes of units count as read only if they may be written.
        if (why && bytes != 0 && !used_.empty() && !touch()) bytes = 0;
        copy_units(bytes);
        if (!why && bytes == 0 && length_ != 0) why = make_error_code(asio::error::eof);
        give_position_back(why ? std::nullopt : std::optional(range_.offset() + bytes));
        return why;
    }

    byte_range read_range(std::size_t bytes) const noexcept { return byte_range(range_.offset(), bytes); }

    /// The unit that has all bytes of a successful read, or null.
    std::shared_ptr<prefetch_unit> sole_unit() const noexcept {
        const bool sole = used_.size() == 1 && done_ == 0 && used_.front().range.length() == total_;
        return sole && copied_.empty() ? used_.front().unit : nullptr;
    }

private:
    void start() noexcept override {
        if (reader_ == nullptr) return refuse(no_reader());
        if (length_ == 0) return refuse({});
        std::uint64_t offset = 0;
        if (const error_value why = reader_->enter(*this, at_, offset)) return refuse(why);
        has_position_ = !at_;
        entered_ = true;
        const std::uint64_t begin = std::min(offset, byte_range::max_end);
        range_ = byte_range(begin, std::min(length_, byte_range::max_end - begin));
        // Some reads need no stream, which would refuse them.
        if (pool()->closing()) return refuse(errc::pool_closed);
        read_operation::start();
    }

    error_value plan_opening(read_round& round) override {
        if (rides(range_, reader_->options().fetching())) {
            ranges_.assign(1, range_);
            append_parts(round.parts, ranges_, range_.offset(), memory(range_.length()));
        }
        const std::uint64_t wanted = reader_->advised_footer();
        if (wanted != 0 && pool()->shares_streams()) {
            footer_ = allocate(wanted);
            append_tail(round.parts, wanted, footer_.data());
            round.own_memory = ranges_.empty();
        }
        return {};
    }

    error_value plan(read_round& round) override {
        const object_info& known = *object();
        const byte_range rest =
            byte_range::from_to(range_.offset() + done_, range_.end()).clamp_to(known.size);
        ranges_.clear();
        planned_ = {};
        if (rest.empty() && done_ == 0 && !known.finalized && reader_->options().follow()) {
            if (std::exchange(has_asked_, true)) round.after = reader_->options().follow_interval();
            ask_size(round);
            return {};
        }
        kept_ = known.finalized ? reader_->footer_kept() : nullptr;
        const std::uint64_t kept_from = kept_ == nullptr ? rest.end() : kept_->offset;
        planned_ = rest.clamp_to(std::max(rest.offset(), kept_from));
        copied_ = byte_range::from_to(planned_.end(), rest.end());
        if (auto* const ahead = reader_->prefetch()) return plan_pieces(round, *ahead, known);
        if (rest.empty()) return {};
        const detail::destination& into = memory(done_ + rest.length());
        if (const error_value why = plan_fetch(planned_, known, reader_->options().fetching(), ranges_))
            return why;
        append_parts(round.parts, ranges_, range_.offset(), into);
        return {};
    }

    error_value plan_pieces(read_round& round, prefetcher& ahead, const object_info& known) {
        if (done_ == 0 && copied_.empty()) planned_ = narrow(planned_);
        reading_.range = byte_range::from_to(range_.offset(), planned_.end());
        if (reading_.range.empty()) {
            (void)memory(copied_.length());
            return {};
        }
        reading_.lent = lends() && done_ == 0 && copied_.empty();
        ahead.begin(reading_, planned_, known.size);
        // Without the bytes of this read, which are requested now.
        reader_->use_announced(known.size);
        uses_units_ = true;
        const auto& pieces = reading_.pieces;
        const auto ready = [](const fsm::read_piece& p) { return p.state == fsm::unit_state::ready; };
        const auto missing = [](const fsm::read_piece& p) { return p.state == fsm::unit_state::direct; };
        if (!lends() || done_ != 0 || !copied_.empty() || pieces.size() != 1 || missing(pieces.front())) {
            into_ = &memory(done_ + planned_.length() + copied_.length());
        }
        if (planned_.empty() || std::ranges::all_of(pieces, ready)) {
            for (const fsm::read_piece& piece : pieces) {
                const byte_range part = piece.range.intersect(planned_);
                if (!part.empty()) used_.push_back({part, piece.bytes});
            }
            total_ = planned_.length();
            ahead.requested(reading_);
            return {};
        }
        for (const fsm::read_piece& piece : pieces) {
            const byte_range part = piece.range.intersect(planned_);
            if (part.empty()) continue;  // it has arrived with the open
            if (missing(piece)) {
                range_list parts;
                if (const error_value why = plan_fetch(part, known, reader_->options().fetching(), parts))
                    return why;
                append_parts(round.parts, parts, range_.offset(), *into_);
                ranges_.insert(ranges_.end(), parts.begin(), parts.end());
            } else {
                append_unit(round.parts, part, piece.unit, piece.bytes);
                ranges_.push_back(part);
            }
        }
        return {};
    }

    unit_source* units() noexcept override { return uses_units_ ? reader_->prefetch() : nullptr; }
    void requested() noexcept override {
        if (auto* const ahead = reader_->prefetch()) ahead->requested(reading_);
    }

    error_value validate() override {
        if (!opening()) return validate_parts(planned_, ranges_, *object(), false, total_);
        if (!footer_.empty()) keep_footer();
        // Whether the object ends there is for the next plan: its size may have been reported by another call.
        if (!ranges_.empty()) done_ = received(0);
        return {};
    }

    void keep_footer() noexcept {
        const object_info& known = *object();
        const std::uint64_t length = std::min<std::uint64_t>(footer_.size(), known.size);
        const std::size_t part = ranges_.size();
        if (!known.finalized || received(part) != length || offset(part) != known.size - length) return;
        // Without memory it is not kept: it is a hint.
        (void)guarded([&] {
            auto kept = std::make_shared<object_tail>();
            kept->offset = offset(part);
            kept->bytes = shrink(std::move(footer_), length);
            reader_->keep_footer(std::move(kept));
            return error_value();
        });
    }

    void copy_footer() noexcept {
        if (copied_.empty()) return;
        const auto bytes = kept_->bytes.span().subspan(copied_.offset() - kept_->offset, copied_.length());
        copy_into(memory(0), copied_.offset() - range_.offset(), bytes);
    }

    // Of a read that fails, as far as its front is complete.
    void copy_units(std::uint64_t bytes) noexcept {
        if (into_ == nullptr) return;
        for (const used_unit& used : used_) {
            const byte_range part = used.range.clamp_to(range_.offset() + bytes);
            copy_into(*into_, part.offset() - range_.offset(), used.unit->slice(part).span());
        }
    }

    std::string doing() const override { return entered_ ? naming(range_) : std::string(); }

    void over() noexcept override {
        if (reader_ == nullptr) return;
        result_ = end();
        over_ = true;
        if (used_.empty() && has_begun()) {
            for (std::size_t i = 0; i < ranges_.size(); ++i) {
                if (auto unit = fetched(i)) used_.push_back({ranges_[i], std::move(unit)});
            }
        }
        if (auto* const ahead = reader_->prefetch()) ahead->end(reading_, ending());
        reader_->leave(*this);
    }
    fsm::read_ending ending() const noexcept {
        if (!result_) return fsm::read_ending::delivered;
        return stopped() ? fsm::read_ending::cancelled : fsm::read_ending::failed;
    }
    void abandon() noexcept override { cancel(make_error_code(asio::error::operation_aborted)); }
    std::shared_ptr<void> keep() noexcept override { return weak_from_this().lock(); }

    void give_position_back(std::optional<std::uint64_t> position) noexcept {
        if (std::exchange(has_position_, false)) reader_->release(position);
    }

    const reader_ptr reader_;
    const std::optional<std::uint64_t> at_;
    const std::uint64_t length_;
    bool entered_ = false;
    bool has_position_ = false;
    bool has_asked_ = false;  // for the size of an object that grows
    byte_range range_;
    byte_range planned_;
    byte_range copied_;      // from the footer
    range_list ranges_;      // of the last round
    std::size_t done_ = 0;   // bytes that came with the open
    std::size_t total_ = 0;  // bytes that came after it
    struct used_unit {
        byte_range range;
        std::shared_ptr<prefetch_unit> unit;
    };
    fsm::reading reading_;
    bool uses_units_ = false;
    boost::container::small_vector<used_unit, 2> used_;
    const detail::destination* into_ = nullptr;
    bool over_ = false;
    error_value result_;  // valid when the work is over
    byte_block footer_;   // the one that rides in the opening message
    std::shared_ptr<const object_tail> kept_;
};

/// Into the caller's memory.
class reader_read_some final : public reader_read, public detail::outcome_of<std::size_t> {
public:
    reader_read_some(reader_ptr reader, std::optional<std::uint64_t> at, detail::destination destination)
        : reader_read(std::move(reader), at, destination.size()), destination_(std::move(destination)) {}

    error_value outcome(std::size_t& bytes) noexcept override { return finish(bytes); }

private:
    const detail::destination& memory(std::uint64_t) override { return destination_; }

    const detail::destination destination_;
};

/// Into memory that is lent to the caller.
class reader_read_block final : public reader_read, public detail::outcome_of<byte_slice> {
public:
    reader_read_block(reader_ptr reader, std::size_t max)
        : reader_read(std::move(reader), std::nullopt, std::min<std::uint64_t>(max, max_opening_memory)) {}

    error_value outcome(byte_slice& block) noexcept override {
        std::size_t bytes = 0;
        const error_value why = finish(bytes);
        if (why) return why;
        if (const auto unit = sole_unit()) {
            block = unit->slice(read_range(bytes));
            return why;
        }
        // The memory was for more: a slice must not keep much more than it has.
        if (bytes < destination_.size() / 2) (void)guarded([&] { return copy(bytes); });
        block = byte_slice(block_, {block_.get(), bytes});
        return why;
    }

private:
    const detail::destination& memory(std::uint64_t length) override {
        if (length > destination_.size()) {
            block_ = std::make_shared_for_overwrite<std::byte[]>(length);
            destination_ = std::span(block_.get(), length);
        }
        return destination_;
    }
    byte_range narrow(byte_range range) override { return reader()->prefetch()->first_piece(range); }
    bool lends() const noexcept override { return true; }
    bool writes_to_caller() const noexcept override { return false; }
    error_value copy(std::size_t bytes) {
        auto exact = std::make_shared_for_overwrite<std::byte[]>(bytes);
        std::memcpy(exact.get(), block_.get(), bytes);
        block_ = std::move(exact);
        return {};
    }

    std::shared_ptr<std::byte[]> block_;
    detail::destination destination_;
};

}  // namespace
}  // namespace engine

object_reader::object_reader() noexcept = default;

object_reader::object_reader(mrd_pool&& pool, reader_options options) {
    auto core = engine::pool_access::core(pool);
    core_ = std::make_shared<engine::reader_core>(std::move(core), std::move(pool), std::move(options));
}

object_reader::object_reader(const mrd_pool& pool, reader_options options)
    : core_(std::make_shared<engine::reader_core>(
          engine::pool_access::core(pool), mrd_pool(), std::move(options)
      )) {}

object_reader& object_reader::operator=(object_reader&& other) noexcept {
    if (this == &other) return *this;
    const auto old = std::exchange(core_, std::move(other.core_));
    if (old != nullptr) old->close_now();
    return *this;
}

object_reader::~object_reader() {
    if (core_ != nullptr) core_->close_now();
}

object_reader::executor_type object_reader::get_executor() const noexcept {
    return core_ == nullptr ? executor_type() : core_->pool()->executor();
}

std::uint64_t object_reader::seek(std::int64_t offset, seek_basis from, error_code& error) noexcept {
    std::uint64_t position = 0;
    error = (core_ == nullptr ? engine::no_reader() : core_->seek(offset, from, position)).code();
    return position;
}

std::uint64_t object_reader::seek(std::int64_t offset, seek_basis from) {
    std::uint64_t position = 0;
    throw_if(core_ == nullptr ? engine::no_reader() : core_->seek(offset, from, position));
    return position;
}

void object_reader::advise(footer hint) {
    engine::require_reader(core_);
    throw_if(check_range("footer", hint.bytes, 0, engine::max_opening_memory));
    core_->advise(hint);
}

void object_reader::advise(access_pattern hint) {
    engine::require_reader(core_);
    if (auto* prefetch = core_->prefetch()) prefetch->advise(hint);
}

void object_reader::will_need(std::span<const byte_range> ranges) {
    engine::require_reader(core_);
    core_->will_need(ranges);
}

void object_reader::dont_need(byte_range range) {
    engine::require_reader(core_);
    if (auto* prefetch = core_->prefetch()) prefetch->dont_need(range);
}

reader_stats object_reader::stats() const {
    auto* prefetch = core_ == nullptr ? nullptr : core_->prefetch();
    return prefetch == nullptr ? reader_stats() : prefetch->stats();
}

std::uint64_t object_reader::tell() const noexcept {
    return core_ == nullptr ? 0 : core_->tell();
}

std::optional<std::uint64_t> object_reader::size() const {
    const auto known = core_ == nullptr ? nullptr : core_->pool()->info();
    return known == nullptr ? std::nullopt : std::optional(known->size);
}

std::optional<object_info> object_reader::info() const {
    const auto known = core_ == nullptr ? nullptr : core_->pool()->info();
    return known == nullptr ? std::nullopt : std::optional(*known);
}

const object_ref& object_reader::object() const noexcept {
    static const object_ref none;
    return core_ == nullptr ? none : core_->pool()->object();
}

detail::initiation<std::size_t> object_reader::read_some(detail::destination destination) {
    const auto op = std::make_shared<engine::reader_read_some>(core_, std::nullopt, std::move(destination));
    return runtime::to_initiate<std::size_t>(op, engine::executor_of(engine::pool_of(core_)));
}

detail::initiation<std::size_t> object_reader::read_some_at(
    std::uint64_t offset, detail::destination destination
) {
    const auto op = std::make_shared<engine::reader_read_some>(core_, offset, std::move(destination));
    return runtime::to_initiate<std::size_t>(op, engine::executor_of(engine::pool_of(core_)));
}

detail::initiation<byte_slice> object_reader::read_block(std::size_t max) {
    const auto op = std::make_shared<engine::reader_read_block>(core_, max);
    return runtime::to_initiate<byte_slice>(op, engine::executor_of(engine::pool_of(core_)));
}

detail::initiation<void> object_reader::close() {
    const auto op = std::make_shared<engine::reader_close>(core_);
    return runtime::to_initiate<void>(op, engine::executor_of(engine::pool_of(core_)));
}

}  // namespace rangeio
