#pragma once

#include <rangeio/testing/fault_script.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
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
    /// Where to listen, as `host:port` or `unix:path`; port 0 means any free one. Default: `127.0.0.1:0`.
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

    /// Serves over TLS, with this certificate (and those that sign it) and its private key, in PEM. Default: without.
    server_options& tls(std::string certificate, std::string private_key) {
        certificate_ = std::move(certificate);
        private_key_ = std::move(private_key);
        return *this;
    }
    /// Takes a line, without its end, for each request message and for each call that fails: the number of the call, its
    /// method and object, and what is wrong. Nothing of the headers, and printable ASCII only. Called by one thread at a
    /// time, on threads that serve: it must not take long. Default: none.
    server_options& log(std::function<void(std::string_view line)> write) {
        log_ = std::move(write);
        return *this;
    }

    const std::filesystem::path& root() const noexcept { return root_; }
    const std::string& listen() const noexcept { return listen_; }
    bool strict() const noexcept { return strict_; }
    std::size_t max_chunk_bytes() const noexcept { return max_chunk_bytes_; }
    const std::set<std::string>& unfinalized() const noexcept { return unfinalized_; }
    const testing::fault_script& faults() const noexcept { return faults_; }
    std::uint64_t fault_seed() const noexcept { return fault_seed_.value_or(faults_.seed.value_or(1)); }
    const std::string& certificate() const noexcept { return certificate_; }
    const std::string& private_key() const noexcept { return private_key_; }
    const std::function<void(std::string_view)>& log() const noexcept { return log_; }

private:
    std::filesystem::path root_;
    std::string listen_ = "127.0.0.1:0";
    bool strict_ = true;
    std::size_t max_chunk_bytes_ = std::size_t{2} << 20;
    std::set<std::string> unfinalized_;
    testing::fault_script faults_;
    std::optional<std::uint64_t> fault_seed_;
    std::string certificate_;
    std::string private_key_;
    std::function<void(std::string_view)> log_;
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
    /// Connections accepted.
    std::uint64_t connections = 0;
    /// How often there was no descriptor for one more connection. It waits, and is accepted when there is one.
    std::uint64_t accept_failures = 0;
    /// Calls with a header `authorization`. What it says is not looked at.
    std::uint64_t authorized_calls = 0;
    /// What calls had in the header `x-goog-user-project`; 100 of them at most.
    std::set<std::string> user_projects;
    /// Buckets that calls named and that are not there; 100 of them at most.
    std::set<std::string> missing_buckets;
    /// Of the names that are to be unfinalized, those that no call has found and that are not there now.
    std::set<std::string> missing_unfinalized;
};

/// A running emulator. It serves from its constructor until `shutdown()` or its destructor.
///
/// Objects are the regular files below a bucket's directory; symbolic links and special files are not
/// objects. Replace a file by rename, and open streams go on reading the old generation; modify it in place or
/// cut it short, and they end with NOT_FOUND.
///
/// Opening an object costs nothing by its size. Its metadata has a CRC32C at once if its file has at most 64 MiB that are
/// not holes; of a larger one it is computed in the background after the first call that names it, and left out meanwhile.
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
