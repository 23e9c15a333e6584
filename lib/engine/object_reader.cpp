#include <rangeio/object_reader.hpp>

#include "engine/fetch_plan.hpp"
#include "engine/read_operation.hpp"
#include "engine/reader_close.hpp"
#include "engine/reader_core.hpp"
#include "engine/reads.hpp"
#include "error_text.hpp"
#include "option_range.hpp"

#include <boost/asio/error.hpp>

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

    /// The memory for all bytes. May throw.
    virtual const detail::destination& memory(std::uint64_t length) = 0;

    /// The end of the read; `bytes` have been read.
    error_value finish(std::size_t& bytes) noexcept {
        error_value why = end();
        bytes = done_ + (why ? prefix(ranges_) : total_ + copied_.length());
        if (!why) copy_footer();
        if (!why && bytes == 0 && length_ != 0) why = make_error_code(asio::error::eof);
        give_position_back(why ? std::nullopt : std::optional(range_.offset() + bytes));
        return why;
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
        if (rest.empty()) return {};
        const detail::destination& into = memory(done_ + rest.length());
        if (const error_value why = plan_fetch(planned_, known, reader_->options().fetching(), ranges_))
            return why;
        append_parts(round.parts, ranges_, range_.offset(), into);
        return {};
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
        const std::byte* from = kept_->bytes.data() + (copied_.offset() - kept_->offset);
        memory(0).for_each_piece(
            copied_.offset() - range_.offset(),
            copied_.length(),
            [from](std::byte* to, std::uint64_t at, std::uint64_t n) { std::memcpy(to, from + at, n); }
        );
    }

    std::string doing() const override { return entered_ ? naming(range_) : std::string(); }

    void over() noexcept override {
        if (reader_ != nullptr) reader_->leave(*this);
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
    byte_block footer_;      // the one that rides in the opening message
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
    throw_if(core_ == nullptr ? engine::no_reader() : error_value());
    throw_if(check_range("footer", hint.bytes, 0, engine::max_opening_memory));
    core_->advise(hint);
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
