#pragma once

#include <rangeio/memory_budget.hpp>

#include "fsm/budget_fsm.hpp"
#include "fsm/waste_account.hpp"
#include "runtime/machine_host.hpp"

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

namespace rangeio::engine {

class reservation;

/// What one reservation is for. The functions are called on any thread, without a lock held; they may neither block nor
/// throw, but may use the budget. A call that is under way on another thread may arrive after release() has returned,
/// and requires nothing then.
class budget_holder {
public:
    /// The bytes are reserved. Once, perhaps before request() returns; not if the request is withdrawn before.
    virtual void granted() noexcept = 0;
    /// Others need the bytes. To be answered, now or later: by release(), or by keep() if they are needed meanwhile.
    virtual void reclaim() noexcept = 0;

protected:
    ~budget_holder() = default;
};

/// The shell around `budget_fsm`: shared by the handles of the budget, its readers and their reservations.
class budget_core : public std::enable_shared_from_this<budget_core> {
public:
    /// Of the largest request.
    static constexpr std::uint64_t unit_bytes = memory_budget::min_limit_bytes;

    /// Throws: errc::invalid_argument for a limit below one unit.
    explicit budget_core(std::uint64_t limit_bytes);

    /// A number for a reader or a reservation; none is returned twice.
    std::uint64_t new_id() noexcept { return ++last_id_; }
    /// Withdraws all requests of a reader at once, so that none of them is granted while the others are withdrawn.
    void leave(fsm::reader_id reader) noexcept;

    std::uint64_t limit_bytes() const noexcept { return limit_bytes_; }
    memory_budget_stats stats() const;
    /// What the readers of the budget have fetched in vain.
    fsm::waste_account& waste() noexcept { return waste_; }

private:
    friend class reservation;

    // The holders are under the machine's lock: there is no moment at which a reservation has gone and its holder has
    // not.
    struct book : fsm::budget_fsm {
        using budget_fsm::budget_fsm;
        std::map<fsm::reservation_id, std::weak_ptr<budget_holder>> holders;
    };

    template <class Event>
    void act(Event&& event) noexcept;
    void perform(const fsm::budget_action& action) noexcept;

    const std::uint64_t limit_bytes_;
    std::atomic<std::uint64_t> last_id_ = 0;
    fsm::waste_account waste_;
    runtime::machine_host<book, fsm::budget_action> machine_;
};

/// Bytes of a budget, requested or reserved. The destructor withdraws the request, or gives the bytes back: B6.
///
/// It belongs to its holder, as the memory does that it is for: a slice keeps the holder alive, and with it the bytes
/// reserved (B7). It serves one request.
///
/// All members may be called by several threads at once, without a lock held, since they may call holders. The last of
/// promote(), mark() and keep() counts, so the holder calls them in the order in which its state changes.
class reservation {
public:
    explicit reservation(std::shared_ptr<budget_core> budget) noexcept
        : budget_(std::move(budget)), id_(budget_->new_id()) {}
    reservation(const reservation&) = delete;
    reservation& operator=(const reservation&) = delete;
    ~reservation() { release(); }

    /// Requests up to one unit for a reader, and calls `who` while it exists. May throw std::bad_alloc, without effect
    /// then.
    void request(
        std::weak_ptr<budget_holder> who, fsm::reader_id reader, fsm::request_class lane, std::uint64_t bytes
    );
    /// A caller has come to wait for the bytes, requested or reserved: B3.
    void promote() noexcept;
    /// No caller waits any more; what the holder does with the reserved bytes from now on.
    void mark(fsm::budget_use use, std::uint64_t rank = 0) noexcept;
    /// The answer to reclaim() if the bytes are needed: they are held until the next mark().
    void keep() noexcept;
    /// Withdraws the request, or gives the bytes back. No effect the second time.
    void release() noexcept;

private:
    const std::shared_ptr<budget_core> budget_;
    const fsm::reservation_id id_;
};

/// Access from the public handle to its implementation.
struct budget_access {
    static const std::shared_ptr<budget_core>& core(const memory_budget& budget) noexcept {
        return budget.core_;
    }
};

}  // namespace rangeio::engine
