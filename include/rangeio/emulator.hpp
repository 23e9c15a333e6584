#pragma once

#include <rangeio/testing/fault_script.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// A server that speaks the read half of google.storage.v2 over a directory tree, as a zonal bucket does: for
/// tests, demonstrations and benchmarks. It checks what its clients send more strictly than the service is
/// known to, and it knows nothing of credentials: keep it on the loopback interface.
namespace rangeio::emulator {

/// What to serve, where, and how strictly.
class server_options {
public:
    server_options() = default;

    /// The directory whose sub-directories are the buckets: `ROOT/BUCKET/OBJECT...`. Required.
    server_options& root(std::filesystem::path directory) {
        root_ = std::move(directory);
        return *this;
    }
    /// Where to listen, as `host:port`; port 0 means any free one. Default: `127.0.0.1:0`.
    server_options& listen(std::string address) {
        listen_ = std::move(address);
        return *this;
    }
    /// Whether to refuse what clients must not do but some servers let pass: a missing or wrong
    /// `x-goog-request-params` header, a second spec on a stream, an id used twice at a time, more than 100
    /// ranges in one message. Default: true.
    server_options& strict(bool on) {
        strict_ = on;
        return *this;
    }
    /// The payload of one response at most, in bytes: 1 to 2 MiB, the default and the service's own limit.
    server_options& max_chunk_bytes(std::size_t bytes) {
        max_chunk_bytes_ = bytes;
        return *this;
    }
    /// Makes an object, given as `bucket/object`, one that is still being appended to: it has no finalize
    /// time, and it keeps its generation while its file grows. It is finalized when nobody may write the file any
    /// more (`chmod a-w`). May be called once for each such object.
    server_options& unfinalized(std::string object) {
        unfinalized_.insert(std::move(object));
        return *this;
    }

    /// What to do to the clients that read over BidiReadObject, and where: docs/emulator.md has an example of each kind.
    /// Default: nothing.
    server_options& faults(testing::fault_script script) {
        faults_ = std::move(script);
        return *this;
    }
    /// What faults with a chance below 100% are drawn from: the same seed strikes at the same places, a place being the
    /// fault's line, the numbers of the call and the range, and the bytes sent. Default: the seed of the script, else 1.
    server_options& fault_seed(std::uint64_t seed) {
        fault_seed_ = seed;
        return *this;
    }

    const std::filesystem::path& root() const noexcept { return root_; }
    const std::string& listen() const noexcept { return listen_; }
    bool strict() const noexcept { return strict_; }
    std::size_t max_chunk_bytes() const noexcept { return max_chunk_bytes_; }
    const std::set<std::string>& unfinalized() const noexcept { return unfinalized_; }
    const testing::fault_script& faults() const noexcept { return faults_; }
    std::uint64_t fault_seed() const noexcept { return fault_seed_.value_or(faults_.seed.value_or(1)); }

private:
    std::filesystem::path root_;
    std::string listen_ = "127.0.0.1:0";
    bool strict_ = true;
    std::size_t max_chunk_bytes_ = std::size_t{2} << 20;
    std::set<std::string> unfinalized_;
    testing::fault_script faults_;
    std::optional<std::uint64_t> fault_seed_;
};

/// What happened to the calls of one method.
struct rpc_stats {
    /// Begun since the start.
    std::uint64_t calls = 0;
    /// Begun and not ended.
    std::uint64_t open = 0;
    /// Messages received.
    std::uint64_t requests = 0;
    /// Messages handed to the transport.
    std::uint64_t responses = 0;
};

/// What the server did since its start. Tests count round trips with it.
struct server_stats {
    rpc_stats bidi_read_object;
    rpc_stats read_object;
    rpc_stats get_object;
    rpc_stats list_objects;
    rpc_stats get_bucket;
    rpc_stats get_storage_layout;
    rpc_stats get_folder;
    /// Calls of methods that are not served.
    rpc_stats unknown;
    /// Ranges asked for on read streams, those refused included.
    std::uint64_t ranges_requested = 0;
    /// Ranges whose last chunk was handed to the transport.
    std::uint64_t ranges_served = 0;
    /// Payload bytes handed to the transport.
    std::uint64_t bytes_sent = 0;
    /// How often each fault of the script has struck, in the order of the script.
    std::vector<std::uint64_t> faults_struck;
    /// The routing tokens of redirects that no call has brought yet, neither in its header nor in its spec, as
    /// `routing_token=T of gs://BUCKET/OBJECT`. A client that drops its token looks like one that never heard of it,
    /// and is served: here it shows. So does one that had nothing more to read, or was redirected once more before it
    /// came back.
    std::vector<std::string> unused_tokens;
};

/// A running emulator. It serves from its constructor until `shutdown()` or its destructor.
///
/// Objects are the regular files below a bucket's directory; symbolic links and special files are not
/// objects. Replace a file by rename, and open streams go on reading the old generation; modify it in place,
/// and they end with NOT_FOUND. A file that is *cut short* in the very moment in which it is being read can
/// end this process with SIGBUS, since files are mapped.
///
/// Threads: all members are safe to call at once, except the destructor.
class server {
public:
    /// Starts serving.
    ///
    /// Throws: rangeio::error that names what is wrong and says why: the root is not a readable directory,
    ///         the address cannot be listened on, or an option is unusable.
    explicit server(server_options options);
    /// As `shutdown()`.
    ~server();
    server(const server&) = delete;
    server& operator=(const server&) = delete;

    /// Where it listens, with the port that was chosen: `127.0.0.1:PORT`.
    std::string address() const;

    /// Stops listening, cancels the calls in progress, and returns when all of them have ended. Idempotent;
    /// blocks, so call it neither from an event loop nor from a gRPC callback.
    void shutdown();

    server_stats stats() const;

private:
    class impl;
    std::unique_ptr<impl> impl_;
};

}  // namespace rangeio::emulator
