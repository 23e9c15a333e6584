#pragma once

#include <rangeio/byte_range.hpp>
#include <rangeio/byte_slice.hpp>
#include <rangeio/error.hpp>

#include "engine/budget_core.hpp"
#include "engine/reader_core.hpp"
#include "engine/transfer.hpp"
#include "runtime/context_service.hpp"
#include "runtime/mutex.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>

namespace rangeio::engine {

/// A range that a reader fetches ahead: its memory, the room for it in the budget, and its fetch.
///
/// The reader's machine has it until nobody wants the bytes; a read or a slice that uses them may have it longer.
class prefetch_unit final : public runtime::tracked_operation,
                            public transfer,
                            private reader_entry,
                            private budget_holder {
public:
    prefetch_unit(std::shared_ptr<reader_core> reader, const fsm::unit_action& what);
    ~prefetch_unit() override;

    /// Asks for room, then fetches. May throw, without effect then; otherwise the prefetcher hears of the end.
    void start();
    /// A read waits for the unit.
    void promote() noexcept;
    /// Ends the fetch.
    void cancel() noexcept;
    void mark(fsm::budget_use use, std::uint64_t rank) noexcept;
    /// Refuses to give up the room when it is asked to.
    void keep_room() noexcept { room_.keep(); }
    /// The reader has no use for it any more: only slices and reads under way have.
    void hold() noexcept { room_.mark(fsm::budget_use::held); }

    /// The bytes of `range`, a part of a unit that has been fetched.
    byte_slice slice(byte_range range) noexcept;

private:
    enum class phase : unsigned char { reserving, granted, running, over };

    void granted() noexcept override;
    void reclaim() noexcept override;
    void begin_to_fetch();
    void transferred() noexcept override;
    void end(error_value why) noexcept;

    std::shared_ptr<transfer> self() noexcept override;
    void abandon() noexcept override { cancel(); }
    std::shared_ptr<void> keep() noexcept override { return weak_from_this().lock(); }
    void on_shutdown() noexcept override { cancel(); }

    const std::weak_ptr<reader_core> owner_;
    const std::shared_ptr<runtime::context_core> core_;
    const fsm::unit_id id_;
    const byte_range range_;
    const fsm::request_class lane_;
    reservation room_;
    std::unique_ptr<std::byte[]> memory_;

    runtime::mutex mutex_;
    std::shared_ptr<reader_core> reader_;  // until the end
    phase phase_ = phase::reserving;
    bool stopped_ = false;
    bool promoted_ = false;
    bool failed_ = false;
};

}  // namespace rangeio::engine
