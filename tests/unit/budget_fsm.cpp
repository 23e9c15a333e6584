#include "fsm/budget_fsm.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdint>
#include <string>

namespace {

using rangeio::fsm::budget_action;
using rangeio::fsm::budget_action_kind;
using rangeio::fsm::budget_actions;
using rangeio::fsm::budget_fsm;
using rangeio::fsm::budget_use;
using rangeio::fsm::reader_id;
using rangeio::fsm::request_class;
using rangeio::fsm::reservation_id;

/// A budget whose events return their actions as one line.
class budget {
public:
    budget(std::uint64_t limit, std::uint64_t unit) : machine_({limit, unit}) {}

    std::string demand(reservation_id id, reader_id reader, std::uint64_t bytes) {
        return request(id, reader, request_class::demand, bytes);
    }
    std::string hinted(reservation_id id, reader_id reader, std::uint64_t bytes) {
        return request(id, reader, request_class::hinted, bytes);
    }
    std::string speculative(reservation_id id, reader_id reader, std::uint64_t bytes) {
        return request(id, reader, request_class::speculative, bytes);
    }
    std::string promote(reservation_id id) {
        return feed([&](budget_actions& out) { machine_.promote(id, out); });
    }
    std::string cancel(reservation_id id, bool waits = true) {
        return feed([&](budget_actions& out) { CHECK(machine_.cancel(id, out) == waits); });
    }
    std::string leave(reader_id reader) {
        return feed([&](budget_actions& out) { machine_.leave(reader, out); });
    }
    std::string mark(reservation_id id, budget_use use, std::uint64_t rank = 0) {
        return feed([&](budget_actions& out) { machine_.mark(id, use, rank, out); });
    }
    std::string keep(reservation_id id) {
        return feed([&](budget_actions& out) { machine_.keep(id, out); });
    }
    std::string release(reservation_id id) {
        return feed([&](budget_actions& out) { machine_.release(id, out); });
    }

    std::uint64_t reserved() const { return machine_.stats().reserved_bytes; }
    const budget_fsm& machine() const { return machine_; }

private:
    std::string request(reservation_id id, reader_id reader, request_class lane, std::uint64_t bytes) {
        return feed([&](budget_actions& out) { machine_.request(id, reader, lane, bytes, out); });
    }
    template <class Event>
    std::string feed(Event&& event) {
        budget_actions actions;
        event(actions);
        std::string out;
        for (const budget_action& a : actions) {
            if (!out.empty()) out += ", ";
            out += fmt::format("{} {}", a.kind == budget_action_kind::grant ? "grant" : "reclaim", a.id);
        }
        return out;
    }

    budget_fsm machine_;
};

}  // namespace

TEST_CASE("budget_fsm: B1, B2: a request waits for room, and those behind it and below it with it") {
    budget b(4, 2);
    CHECK(b.speculative(1, 1, 2) == "grant 1");
    CHECK(b.speculative(2, 1, 1) == "grant 2");
    CHECK(b.hinted(3, 1, 2) == "");
    CHECK(b.hinted(4, 2, 1) == "");       // it would fit
    CHECK(b.speculative(5, 2, 1) == "");  // likewise
    CHECK(b.release(2) == "grant 3");
    CHECK(b.release(3) == "grant 4, grant 5");
    CHECK(b.reserved() == 4);
}

TEST_CASE("budget_fsm: B3: a request that a reader comes to wait for passes the lower lanes") {
    budget b(2, 2);
    CHECK(b.demand(1, 1, 2) == "grant 1");
    CHECK(b.speculative(2, 1, 2) == "");
    CHECK(b.demand(3, 1, 1) == "");
    CHECK(b.hinted(4, 1, 2) == "");
    CHECK(b.promote(2) == "");
    CHECK(b.promote(2) == "");
    CHECK(b.machine().stats().promotions == 1);
    CHECK(b.machine().stats().waiting_demand == 2);
    CHECK(b.machine().stats().waiting_hinted == 1);
    CHECK(b.machine().stats().waiting_speculative == 0);
    CHECK(b.release(1) == "grant 3");
    CHECK(b.release(3) == "grant 2");
    CHECK(b.machine().stats().above_limit == 0);
}

TEST_CASE("budget_fsm: B3, B4: a reader without demanded bytes is granted what it comes to wait for, at once"
) {
    budget b(2, 2);
    CHECK(b.speculative(1, 1, 2) == "grant 1");
    CHECK(b.speculative(2, 2, 2) == "");
    CHECK(b.promote(2) == "grant 2");
    CHECK(b.machine().stats().above_limit == 1);
    CHECK(b.promote(1) == "");  // it has that one already
    CHECK(b.demand(3, 1, 1) == "");
}

TEST_CASE("budget_fsm: B3: what a reader comes to wait for is not reclaimed, though it was asked for") {
    budget b(2, 1);
    CHECK(b.speculative(1, 1, 1) == "grant 1");
    CHECK(b.speculative(2, 1, 1) == "grant 2");
    CHECK(b.mark(1, budget_use::ahead, 1) == "");
    CHECK(b.mark(2, budget_use::ahead, 9) == "");
    CHECK(b.hinted(3, 2, 1) == "reclaim 2");
    CHECK(b.promote(2) == "reclaim 1");  // instead
    CHECK(b.keep(2) == "");
    CHECK(b.release(1) == "grant 3");
}

TEST_CASE("budget_fsm: B4: each reader that waits has one unit, whatever is reserved") {
    budget b(1, 2);  // a limit below one unit counts as one
    for (const reader_id reader : {1U, 2U, 3U})
        CHECK(b.demand(reader, reader, 2) == fmt::format("grant {}", reader));
    CHECK(b.demand(4, 3, 1) == "");
    CHECK(b.demand(5, 4, 1) == "grant 5");  // it passes 4, whose reader has bytes to work on
    CHECK(b.reserved() == 7);
    CHECK(b.release(3) == "grant 4");
    CHECK(b.reserved() == 6);
    for (const reservation_id id : {1U, 2U, 4U, 5U}) CHECK(b.release(id) == "");
    CHECK(b.reserved() == 0);  // B6
    CHECK(b.machine().stats().limit_bytes == 2);
    CHECK(b.machine().stats().peak_bytes == 7);
    CHECK(b.machine().stats().above_limit == 4);
}

TEST_CASE("budget_fsm: B4: a reader that keeps what it has read is not granted another unit above the limit"
) {
    budget b(1, 1);
    CHECK(b.demand(1, 1, 1) == "grant 1");
    CHECK(b.demand(2, 2, 1) == "grant 2");
    CHECK(b.mark(2, budget_use::kept) == "reclaim 2");
    CHECK(b.demand(3, 2, 1) == "");
    SUBCASE("until that is given up") {
        CHECK(b.release(2) == "grant 3");
    }
    SUBCASE("until there is room for what it keeps") {
        CHECK(b.keep(2) == "");
        CHECK(b.release(1) == "grant 3");
    }
    CHECK(b.machine().stats().peak_bytes == 2);
}

TEST_CASE("budget_fsm: B4: a slice that a caller holds is no demanded bytes of its reader") {
    budget b(1, 1);
    CHECK(b.demand(1, 1, 1) == "grant 1");
    CHECK(b.demand(2, 1, 1) == "");
    CHECK(b.mark(1, budget_use::held) == "grant 2");
    CHECK(b.mark(2, budget_use::held) == "");
    CHECK(b.demand(3, 1, 1) == "");  // one above the limit is all
    CHECK(b.release(1) == "grant 3");
    CHECK(b.reserved() == 2);
}

TEST_CASE("budget_fsm: B4: what demand takes above the limit is reclaimed, though nobody waits for it") {
    budget b(2, 1);
    CHECK(b.speculative(1, 1, 1) == "grant 1");
    CHECK(b.speculative(2, 1, 1) == "grant 2");
    CHECK(b.mark(1, budget_use::ahead, 1) == "");
    CHECK(b.mark(2, budget_use::ahead, 2) == "");
    CHECK(b.demand(3, 2, 1) == "grant 3, reclaim 2");
    CHECK(b.release(2) == "");
    CHECK(b.reserved() == 2);
}

TEST_CASE("budget_fsm: B5: parked cursors go first, then kept bytes, then read-ahead from its far end") {
    budget b(7, 1);
    for (const reservation_id id : {1U, 2U, 3U, 4U, 5U, 6U}) b.speculative(id, 1, 1);
    b.hinted(7, 1, 1);
    b.mark(1, budget_use::ahead, 10);
    b.mark(2, budget_use::ahead, 20);
    b.mark(3, budget_use::kept, 5);
    b.mark(4, budget_use::parked, 8);
    b.mark(5, budget_use::parked, 7);
    b.mark(7, budget_use::ahead, 30);
    // 6 is held. Readers 2 and 3 have bytes to work on, and wait for more.
    CHECK(b.demand(8, 2, 1) == "grant 8, reclaim 5");
    CHECK(b.demand(9, 2, 1) == "reclaim 4");
    CHECK(b.release(5) == "");
    CHECK(b.release(4) == "grant 9");
    CHECK(b.demand(10, 2, 1) == "reclaim 3");
    CHECK(b.release(3) == "grant 10");
    CHECK(b.demand(11, 2, 1) == "reclaim 2");
    CHECK(b.release(2) == "grant 11");
    CHECK(b.demand(12, 2, 1) == "reclaim 1");
    CHECK(b.release(1) == "grant 12");
    CHECK(b.demand(13, 2, 1) == "reclaim 7");  // hinted after all that is speculative
    CHECK(b.release(7) == "grant 13");
    CHECK(b.demand(14, 2, 1) == "");
    CHECK(b.machine().stats().reclaims == 6);
}

TEST_CASE("budget_fsm: B5: read-ahead is displaced by higher lanes alone") {
    budget b(2, 1);
    b.hinted(1, 1, 1);
    b.speculative(2, 1, 1);
    b.mark(1, budget_use::ahead);
    b.mark(2, budget_use::ahead);
    CHECK(b.speculative(3, 2, 1) == "");
    CHECK(b.hinted(4, 2, 1) == "reclaim 2");
    CHECK(b.release(2) == "grant 4");
    CHECK(b.hinted(5, 2, 1) == "");
    CHECK(b.mark(1, budget_use::kept) == "reclaim 1");
    CHECK(b.release(1) == "grant 5");
    CHECK(b.mark(5, budget_use::parked) == "reclaim 5");
    CHECK(b.release(5) == "grant 3");
}

TEST_CASE("budget_fsm: B5: after a refusal another is asked, and no more than needed") {
    budget b(4, 2);
    b.speculative(1, 1, 1);
    b.speculative(2, 1, 2);
    b.speculative(3, 1, 1);
    for (const reservation_id id : {1U, 2U, 3U}) b.mark(id, budget_use::parked, id);
    CHECK(b.hinted(4, 2, 2) == "reclaim 1, reclaim 2");
    CHECK(b.keep(1) == "");  // 2 suffices
    CHECK(b.keep(2) == "reclaim 3");
    CHECK(b.release(3) == "");  // the other requests need a release
    CHECK(b.mark(1, budget_use::kept) == "reclaim 1");
    CHECK(b.release(1) == "grant 4");
}

TEST_CASE("budget_fsm: a cancelled request, or a reader that leaves, passes its turn on") {
    budget b(3, 2);
    CHECK(b.hinted(1, 1, 1) == "grant 1");
    CHECK(b.hinted(2, 1, 1) == "grant 2");
    CHECK(b.hinted(3, 2, 2) == "");
    CHECK(b.hinted(4, 3, 1) == "");
    CHECK(b.cancel(3) == "grant 4");
    CHECK(b.hinted(5, 3, 2) == "");
    CHECK(b.speculative(6, 1, 1) == "");
    CHECK(b.speculative(7, 3, 1) == "");
    CHECK(b.release(4) == "");
    CHECK(b.leave(3) == "grant 6");
    CHECK(b.cancel(7, false) == "");  // it left, too
    CHECK(b.cancel(1, false) == "");  // it was granted, and has to be released
    for (const reservation_id id : {6U, 2U, 1U}) CHECK(b.release(id) == "");
    CHECK(b.reserved() == 0);
    CHECK(b.machine().waiters().empty());
}
