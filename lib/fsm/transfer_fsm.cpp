#include "fsm/transfer_fsm.hpp"

#include <cassert>

namespace rangeio::fsm {

using step = transfer_step;
using kind = transfer_step_kind;

step transfer_fsm::begin(std::size_t index) {
    part& p = parts_[index];
    assert(p.state == part_state::idle);
    p.state = leased_ ? part_state::waiting : part_state::reading;
    if (why_) return {kind::end};
    return {leased_ ? kind::acquire : kind::read};
}

// A cancellation before the pool had the wait has had no effect there.
step transfer_fsm::asked(std::size_t index) {
    return why_ ? cancel_part(index) : step();
}

step transfer_fsm::granted(std::size_t index) {
    part& p = parts_[index];
    assert(p.state == part_state::waiting);
    p.state = part_state::reading;
    return {why_ ? kind::end : kind::read};
}

// A cancellation before the id was assigned has had no effect on the stream.
step transfer_fsm::sent(std::size_t index, std::int64_t read_id) {
    parts_[index].read_id = read_id;
    return why_ ? cancel_part(index) : step();
}

bool transfer_fsm::ended(
    std::size_t index, std::uint64_t received, std::uint64_t offset, const error_value& why
) {
    part& p = parts_[index];
    assert(p.state == part_state::waiting || p.state == part_state::reading);
    p.state = part_state::ended;
    p.received = received;
    p.offset = offset;
    --unended_;
    if (!why || why_) return false;
    why_ = why;
    return true;
}

bool transfer_fsm::released(std::size_t index) {
    assert(parts_[index].state == part_state::ended);
    parts_[index].state = part_state::done;
    --left_;
    return complete();
}

bool transfer_fsm::started() {
    started_ = true;
    return complete();
}

bool transfer_fsm::cancel(const error_value& why) {
    if (why_ || unended_ == 0) return false;
    why_ = why;
    return true;
}

step transfer_fsm::cancel_part(std::size_t index) const {
    const part& p = parts_[index];
    if (p.state == part_state::waiting) return {kind::cancel_wait};
    if (p.state == part_state::reading && p.read_id != 0) return {kind::cancel_read, p.read_id};
    return {};
}

}  // namespace rangeio::fsm
