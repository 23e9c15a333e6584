#pragma once

#include <rangeio/error.hpp>

#include <boost/container/small_vector.hpp>

#include <cstddef>
#include <cstdint>

// One read of several parts as a machine: leases, cancellation, the first failure, the last part.
//
// clang-format off
// | part    | waits for                                      | leaves by                                 |
// |---------|------------------------------------------------|-------------------------------------------|
// | idle    | its turn                                       | begin -> waiting, reading                 |
// | waiting | a lease; asked() may follow                    | granted -> reading; ended -> ended        |
// | reading | the end of its range; sent() brings the id     | ended -> ended                            |
// | ended   | the return of its lease                        | released -> done                          |
// | done    | the others                                     | the last one, after started(): completion |
// clang-format on
//
// Events arrive on any thread, in any order that the stream and the pool allow: a part may end before the call that
// began it has returned. The shell feeds them under its lock, and performs each step without it. Nothing is queued: a
// step concerns one part, and steps of different parts may be performed in any order.

namespace rangeio::fsm {

enum class transfer_step_kind : std::uint8_t {
    none,
    acquire,      // ask the pool for a lease, then report asked()
    read,         // start the range on its stream, then report sent()
    end,          // report ended() with why(): the part must not begin any more
    cancel_wait,  // cancel the wait for a lease
    cancel_read,  // cancel the range `read_id`
};

struct transfer_step {
    transfer_step_kind kind = transfer_step_kind::none;
    std::int64_t read_id = 0;
};

class transfer_fsm {
public:
    /// `leased`: each part waits for a lease of its own; otherwise all parts use one stream.
    transfer_fsm(std::size_t parts, bool leased)
        : parts_(parts), leased_(leased), unended_(parts), left_(parts) {}

    // Events. Each occurs once for each part, in the order of the table; after completion only cancel() may follow.
    transfer_step begin(std::size_t part);
    /// The pool has the wait, or has answered it already.
    transfer_step asked(std::size_t part);
    transfer_step granted(std::size_t part);
    /// The stream has the range, under this id, or has ended it already.
    transfer_step sent(std::size_t part, std::int64_t read_id);
    /// True: this is the first failure; the shell has to perform cancel_part() of every part.
    bool ended(std::size_t part, std::uint64_t received, std::uint64_t offset, const error_value& why);
    /// The lease of an ended part has been released, if it had one. True: the transfer is complete.
    bool released(std::size_t part);
    /// begin() was called for every part. True: the transfer is complete.
    bool started();
    /// False: too late, or not the first reason. True: the shell has to perform cancel_part() of every part.
    bool cancel(const error_value& why);
    transfer_step cancel_part(std::size_t part) const;

    /// The first failure, or the reason of the cancellation.
    const error_value& why() const noexcept { return why_; }
    std::size_t size() const noexcept { return parts_.size(); }
    /// The number of right bytes at the front of a part.
    std::uint64_t received(std::size_t index) const noexcept { return parts_[index].received; }
    /// The offset of a part in the object; 0 for a tail of which no byte has arrived.
    std::uint64_t offset(std::size_t index) const noexcept { return parts_[index].offset; }

    // The state, for checkers.
    enum class part_state : std::uint8_t { idle, waiting, reading, ended, done };
    part_state state(std::size_t index) const noexcept { return parts_[index].state; }
    std::int64_t read_id(std::size_t index) const noexcept { return parts_[index].read_id; }
    bool complete() const noexcept { return started_ && left_ == 0; }

private:
    struct part {
        part_state state = part_state::idle;
        std::int64_t read_id = 0;  // 0: not assigned yet
        std::uint64_t received = 0;
        std::uint64_t offset = 0;
    };

    boost::container::small_vector<part, 4> parts_;
    bool leased_;
    bool started_ = false;
    std::size_t unended_;  // at 0 it is too late to cancel
    std::size_t left_;     // parts that are not done
    error_value why_;
};

}  // namespace rangeio::fsm
