#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

// What the call of a stream knows of an object that grows (rule P14). A part of mrd_fsm.
//
// A call serves what there was when it began. One that brings a read handle need not tell of the object; what is asked of a
// call is therefore a property of the call, fixed when it begins, and not of what arrives meanwhile.

namespace rangeio::fsm {

class call_sight {
public:
    /// Ranges are to be served by a call that knows of so many bytes.
    void require(std::uint64_t size) noexcept { required_ = std::max(required_, size); }
    /// The next call to begin has to tell of the object, and so do its successors until one has.
    void reopen() noexcept { ++reopenings_; }

    /// Whatever the service has told before, a call that begins now knows; unless it says otherwise.
    void call_started() noexcept {
        assumed_ = seen_ = required_;
        reopening_ = reopenings_;
        anew_ = reopening_ > told_;
    }
    /// The first response. `told`: the size, if it says so.
    void responded(std::optional<std::uint64_t> told) noexcept {
        if (told) seen_ = *told;
        if (anew_) told_ = std::max(told_, reopening_);
    }

    /// The call comes without the read handle.
    bool anew() const noexcept { return anew_; }
    /// There are bytes that the call may not know of.
    bool behind() const noexcept { return seen_ < required_; }
    /// It does not even know what was known before it began.
    bool outdated() const noexcept { return seen_ < assumed_; }
    /// The byte at `position` is known to exist.
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
    std::uint64_t reopening_ = 0;  // the last one before the call began
    std::uint64_t told_ = 0;       // the last one that a response has followed
    bool anew_ = false;
};

}  // namespace rangeio::fsm
