#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>

namespace rangeio::emulator {

class call_reactor;

/// The calls of one listener, so that one can wait for their end, and bring it about.
class open_calls {
public:
    /// `call` begins. It has to leave.
    void enter(const call_reactor& call);
    /// From now on `call` can be ended. True: it is to be, at once.
    bool add(const std::shared_ptr<call_reactor>& call);
    void leave(const call_reactor& call);
    void wait_empty();

    /// Ends all calls that can be ended soon, those that begin later too.
    void shut_down();

private:
    std::mutex mutex_;
    std::condition_variable empty_;
    std::map<const call_reactor*, std::weak_ptr<call_reactor>> inside_;
    bool shut_down_ = false;
};

}  // namespace rangeio::emulator
