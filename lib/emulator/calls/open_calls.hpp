#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>

namespace rangeio::emulator {

class call_reactor;

/// The calls of one listener, so that the listener can end them and wait until they have ended.
class open_calls {
public:
    /// Registers `call`, which has to call leave() later.
    void enter(const call_reactor& call);
    /// From now on shut_down() can end `call`. True: shut_down() was called already, so the caller has to end `call` at
    /// once.
    bool add(const std::shared_ptr<call_reactor>& call);
    void leave(const call_reactor& call);
    void wait_empty();

    /// Ends all calls that could otherwise last for long, including those that begin later.
    void shut_down();

private:
    std::mutex mutex_;
    std::condition_variable empty_;
    std::map<const call_reactor*, std::weak_ptr<call_reactor>> inside_;
    bool shut_down_ = false;
};

}  // namespace rangeio::emulator
