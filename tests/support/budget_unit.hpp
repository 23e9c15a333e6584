#pragma once

#include "engine/budget_core.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

namespace support {

/// A unit of a reader, as the budget sees it.
class budget_unit final : public rangeio::engine::budget_holder,
                          public std::enable_shared_from_this<budget_unit> {
public:
    using call = std::function<void(budget_unit&)>;

    budget_unit(std::shared_ptr<rangeio::engine::budget_core> budget, call on_granted, call on_reclaim)
        : room(std::move(budget)), on_granted_(std::move(on_granted)), on_reclaim_(std::move(on_reclaim)) {}

    void request(rangeio::fsm::reader_id reader, rangeio::fsm::request_class lane, std::uint64_t bytes) {
        room.request(weak_from_this(), reader, lane, bytes);
    }

    rangeio::engine::reservation room;

private:
    void granted() noexcept override { on_granted_(*this); }
    void reclaim() noexcept override { on_reclaim_(*this); }

    const call on_granted_;
    const call on_reclaim_;
};

/// A budget of so many units, from which nothing may be reserved at the end.
class budget_scene {
public:
    explicit budget_scene(std::uint64_t units)
        : budget_(units * unit), core_(rangeio::engine::budget_access::core(budget_)) {}
    budget_scene(const budget_scene&) = delete;
    budget_scene& operator=(const budget_scene&) = delete;
    ~budget_scene() {
        CHECK(core_->stats().reserved_bytes == 0);
        CHECK(waiting() == 0);
    }

    const rangeio::memory_budget& budget() const { return budget_; }
    const std::shared_ptr<rangeio::engine::budget_core>& core() const { return core_; }
    std::uint64_t reserved_units() const { return core_->stats().reserved_bytes / unit; }
    std::size_t waiting() const {
        const auto s = core_->stats();
        return s.waiting_demand + s.waiting_hinted + s.waiting_speculative;
    }

    static constexpr std::uint64_t unit = rangeio::engine::budget_core::unit_bytes;

private:
    rangeio::memory_budget budget_;
    const std::shared_ptr<rangeio::engine::budget_core> core_;
};

}  // namespace support
