#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

// How much of a growing object the call of a stream can serve (rule P14). A part of mrd_fsm.
//
// A call serves the bytes that existed when it began. The response to a call with a read handle need not report the
// object; so the requirement on a call is fixed when the call begins, and does not depend on what arrives meanwhile.

namespace rangeio::fsm {

class call_sight {
public:
    /// From now on, ranges require a call that can serve the first `size` bytes.
    void require(std::uint64_t size) noexcept { required_ = std::max(required_, size); }
    /// The next call has to report the object, and so do its successors until one has reported it.
    void reopen() noexcept { ++reopenings_; }

    /// A call that begins now is assumed to serve all bytes that were reported before, unless its response differs.
    void call_started() noexcept {
        assumed_ = seen_ = required_;
        reopening_ = reopenings_;
        anew_ = reopening_ > told_;
    }
    /// The first response. `told`: the object's size, if the response reports it.
    void responded(std::optional<std::uint64_t> told) noexcept {
        if (told) seen_ = *told;
        if (anew_) told_ = std::max(told_, reopening_);
    }

    /// The call is made without the read handle.
    bool anew() const noexcept { return anew_; }
    /// There are bytes that the call may be unable to serve.
    bool behind() const noexcept { return seen_ < required_; }
    /// The call cannot even serve all bytes that were reported before it began.
    bool outdated() const noexcept { return seen_ < assumed_; }
    /// The byte at `position` has been reported to exist.
    bool covers(std::uint64_t position) const noexcept { return position < required_; }

    // The state, for checkers.
    std::uint64_t required() const noexcept { return required_; }
    std::uint64_t seen() const noexcept { return seen_; }
    std::uint64_t assumed() const noexcept { return assumed_; }
    bool untold() const noexcept { return reopenings_ > told_; }

private:
    std::uint64_t required_ = 0;
    std::uint64_t seen_ = 0;
    std::uint64_t assumed_ = 0;
    std::uint64_t reopenings_ = 0;
    std::uint64_t reopening_ = 0;  // the last reopening before the call began
    std::uint64_t told_ = 0;       // the last reopening that a response has followed
    bool anew_ = false;
};

}  // namespace rangeio::fsm
