#pragma once

#include <rangeio/mrd_pool.hpp>
#include <rangeio/observer.hpp>
#include <rangeio/retry_policy.hpp>

#include "grpc/bidi_call.hpp"

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace support {

/// A call, as the service sees it.
class memory_stream {
public:
    virtual void break_now(int status) = 0;

protected:
    ~memory_stream() = default;
};

/// Bytes for an object, the same each time.
std::string random_content(std::size_t size);

/// The service in memory: calls are served by threads of its own, which deliver as gRPC's do. The responses of one
/// call come one at a time; its writes are confirmed by whichever thread is free, at the same time.
///
/// Outlives every pool on it.
class memory_service {
public:
    memory_service(std::string content, std::size_t threads, std::size_t chunk_bytes);
    /// Serves what is left to its end.
    ~memory_service();
    memory_service(const memory_service&) = delete;
    memory_service& operator=(const memory_service&) = delete;

    const std::string& content() const noexcept { return content_; }
    std::size_t chunk_bytes() const noexcept { return chunk_bytes_; }

    /// Streams on the content, opened on behalf of `executor`. `multi_request` is what the factory claims.
    std::shared_ptr<rangeio::mrd_factory> factory(
        const boost::asio::any_io_executor& executor,
        bool multi_request = true,
        const rangeio::retry_policy& retry = {},
        std::shared_ptr<rangeio::observer> observer = nullptr
    );

    /// Whether everything that was asked for so far has been done, confirmations of writes included.
    bool idle() const;
    /// Nothing is served between the two.
    void pause();
    void resume();

    /// The next calls end with UNAVAILABLE instead of their first response.
    void refuse_opens(std::size_t count);
    /// Each call breaks after so many responses. 0: never.
    void break_after(std::size_t responses);
    /// From now on, the object is unfinalized and has so many bytes.
    void unfinalized(std::size_t size);
    /// From now on, a call knows only of the bytes that there were when it was first answered.
    void remember_sizes();
    /// All calls that are under way end with this gRPC status, now.
    void break_all(int status);
    /// Calls started so far.
    std::size_t calls() const;

    // For the calls.
    bool refuses_open();
    std::size_t break_after() const;
    std::optional<std::size_t> unfinalized() const;
    bool remembers_sizes() const;
    void add_call(std::weak_ptr<memory_stream> call);
    void post(std::function<void()> task);

private:
    void work();

    const std::string content_;
    const std::size_t chunk_bytes_;
    mutable std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<std::function<void()>> tasks_;
    bool stopping_ = false;
    bool paused_ = false;
    std::size_t busy_ = 0;  // threads that are at a task
    std::size_t refusals_ = 0;
    std::size_t break_after_ = 0;
    std::optional<std::size_t> unfinalized_;
    bool remember_sizes_ = false;
    std::vector<std::weak_ptr<memory_stream>> calls_;
    std::vector<std::thread> threads_;
};

}  // namespace support
