#pragma once

#include "command/process.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <thread>

namespace support {

/// A socket that listens on the loopback interface and never answers.
class silent_peer {
public:
    silent_peer();

    std::string address() const;
    int fd() const noexcept { return socket_.get(); }

private:
    unique_fd socket_;
    std::uint16_t port_ = 0;
};

/// Answers whatever comes with `text`, and hangs up.
class babbling_peer {
public:
    explicit babbling_peer(std::string text);
    ~babbling_peer();

    std::string address() const { return listener_.address(); }

private:
    void serve(int stop, const std::string& text) const;

    silent_peer listener_;
    unique_fd stop_;  // closed to stop
    std::jthread thread_;
};

/// Passes on what a client and `target` say.
class proxy {
public:
    /// Sees what the target says, as it comes, and may change it. False: pass on nothing after it, with all
    /// connections open.
    using filter = std::function<bool(std::span<char>)>;

    proxy(std::string target, filter answers);
    ~proxy();

    std::string address() const { return listener_.address(); }

private:
    void serve(int stop, const std::string& target, const filter& answers) const;

    silent_peer listener_;
    unique_fd stop_;
    std::jthread thread_;
};

/// Until the target has said `limit` bytes.
proxy::filter stall_after(std::size_t limit);

/// Writes `other`, which is as long, in place of `text`. Does not find what comes in two pieces.
proxy::filter replace(std::string text, std::string other);

/// Returns when a file appears in `directory`. Made before what creates it is started.
class creation_watch {
public:
    explicit creation_watch(const std::string& directory);
    /// Throws after `process::deadline`.
    void wait() const;

private:
    unique_fd fd_;
};

}  // namespace support
