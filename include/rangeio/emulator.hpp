#pragma once

#include <rangeio/testing/fault_script.hpp>
#include <rangeio/testing/link_options.hpp>

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

/// A server with the read half of google.storage.v2 over a directory tree, as of a zonal bucket: for tests,
/// demonstrations and benchmarks. It checks the requests of its clients more strictly than the service is known to do.
/// It has no access control: keep it on the loopback interface.
namespace rangeio::emulator {

/// The content, the address and the strictness of a server.
class server_options {
public:
    server_options() = default;

    /// The directory whose sub-directories are the buckets: `ROOT/BUCKET/OBJECT...`. Required.
    server_options& root(std::filesystem::path directory) {
        root_ = std::move(directory);
        return *this;
    }
    /// The address to listen on, as `host:port` or `unix:path`; port 0 selects a free one.
    ///
    /// Default:  `127.0.0.1:0`.
    server_options& listen(std::string address) {
        listen_ = std::move(address);
        return *this;
    }
    /// Whether to reject requests that clients must not make, but some servers accept: a missing or wrong
    /// `x-goog-request-params` header, a second spec on a stream, the reuse of an id that is in use, more than 100
    /// ranges in one message.
    ///
    /// Default:  true.
    server_options& strict(bool on) {
        strict_ = on;
        return *this;
    }
    /// The maximum payload of one response, 1 byte to 2 MiB, the limit of the service.
    ///
    /// Units:    bytes.
    /// Default:  2 MiB.
    server_options& max_chunk_bytes(std::size_t bytes) {
        max_chunk_bytes_ = bytes;
        return *this;
    }
    /// Marks an object, given as `bucket/object`, as still being appended to: it has no finalize time, and it keeps its
    /// generation while its file grows. It is finalized when its file has no write permission left (`chmod a-w`). May
    /// be called once for each such object.
    server_options& unfinalized(std::string object) {
        unfinalized_.insert(std::move(object));
        return *this;
    }

    /// The network that the server simulates. Connections, headers and pings are not delayed.
    ///
    /// Default:  none.
    server_options& link(testing::link_options how) {
        link_ = how;
        return *this;
    }
    /// The faults of the calls of BidiReadObject; docs/emulator.md has an example of each kind.
    ///
    /// Default:  none.
    server_options& faults(testing::fault_script script) {
        faults_ = std::move(script);
        return *this;
    }
    /// The seed of faults with a chance below 100%: the same seed causes faults at the same places. A place is the line
    /// of the fault, the numbers of the call and the range, and the number of bytes sent.
    ///
    /// Default:  the seed of the script if it has one, otherwise 1.
    server_options& fault_seed(std::uint64_t seed) {
        fault_seed_ = seed;
        return *this;
    }

    /// Serves over TLS, with this certificate (and those that sign it) and its private key, in PEM.
    ///
    /// Default:  no TLS.
    server_options& tls(std::string certificate, std::string private_key) {
        certificate_ = std::move(certificate);
        private_key_ = std::move(private_key);
        return *this;
    }
    /// The function that receives the lines of the log, without line ends: one for each request message and for each
    /// failed call, with the number of the call, its method and object, and the error. A line has no values of headers,
    /// and printable ASCII only.
    ///
    /// Threads:  called by one serving thread at a time; it must return soon.
    /// Default:  none.
    server_options& log(std::function<void(std::string_view line)> write) {
        log_ = std::move(write);
        return *this;
    }

    const std::filesystem::path& root() const noexcept { return root_; }
    const std::string& listen() const noexcept { return listen_; }
    bool strict() const noexcept { return strict_; }
    std::size_t max_chunk_bytes() const noexcept { return max_chunk_bytes_; }
    const std::set<std::string>& unfinalized() const noexcept { return unfinalized_; }
    const testing::link_options& link() const noexcept { return link_; }
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
    testing::link_options link_;
    testing::fault_script faults_;
    std::optional<std::uint64_t> fault_seed_;
    std::string certificate_;
    std::string private_key_;
    std::function<void(std::string_view)> log_;
};

/// The counts of the calls of one method.
struct rpc_stats {
    /// Calls since the start of the server.
    std::uint64_t calls = 0;
    /// Calls in progress.
    std::uint64_t open = 0;
    /// Messages received from clients.
    std::uint64_t requests = 0;
    /// Messages handed to the transport.
    std::uint64_t responses = 0;
};

/// The counts of a server since its start. Tests count round trips with it.
struct server_stats {
    rpc_stats bidi_read_object;
    rpc_stats read_object;
    rpc_stats get_object;
    rpc_stats list_objects;
    rpc_stats get_bucket;
    rpc_stats get_storage_layout;
    rpc_stats get_folder;
    /// Calls of unknown methods.
    rpc_stats unknown;
    /// Ranges requested on read streams, including rejected ones.
    std::uint64_t ranges_requested = 0;
    /// Ranges whose last chunk was handed to the transport.
    std::uint64_t ranges_served = 0;
    /// Payload bytes handed to the transport.
    std::uint64_t bytes_sent = 0;
    /// The number of times that each fault of the script has struck, in the order of the script.
    std::vector<std::uint64_t> faults_struck;
    /// The routing tokens of redirects that no call has returned yet, neither in its header nor in its spec, as
    /// `routing_token=T of gs://BUCKET/OBJECT`. A client that drops its token looks like one that never received it,
    /// and is served; only this list shows the difference. It also has the tokens of clients that had nothing more to
    /// read, or that were redirected once more before they called again.
    std::vector<std::string> unused_tokens;
    /// Connections accepted.
    std::uint64_t connections = 0;
    /// The number of times that there was no descriptor for a further connection. The connection waits, and is accepted
    /// when there is one.
    std::uint64_t accept_failures = 0;
    /// Calls with a header `authorization`, whatever its content.
    std::uint64_t authorized_calls = 0;
    /// The values of the header `x-goog-user-project`, at most 100.
    std::set<std::string> user_projects;
    /// Buckets that calls named and that do not exist, at most 100.
    std::set<std::string> missing_buckets;
    /// The names of server_options::unfinalized() that no call has found and that do not exist now.
    std::set<std::string> missing_unfinalized;
};

/// A running emulator. It serves from its constructor until `shutdown()` or its destructor.
///
/// Objects are the regular files below the directory of a bucket; symbolic links and special files are not objects.
/// After a file is replaced by rename, open streams continue to read the old generation; after it is modified in place
/// or truncated, they end with NOT_FOUND.
///
/// The time to open an object does not depend on its size. Its metadata has a CRC32C at once if its file has at most 64
/// MiB, not counting holes. For a larger file, the CRC32C is computed in the background after the first call that names
/// it, and omitted until then.
///
/// Threads:  all members except the destructor may be called by several threads at once.
class server {
public:
    /// Starts to serve.
    ///
    /// Throws:  rangeio::error with the subject and the cause: the root is not a readable directory, the address cannot
    ///          be listened on, or an option is invalid.
    explicit server(server_options options);
    /// Calls `shutdown()`.
    ~server();
    server(const server&) = delete;
    server& operator=(const server&) = delete;

    /// The address in use, with the selected port: `127.0.0.1:PORT`.
    std::string address() const;

    /// Stops listening, cancels the calls in progress, and returns after all of them have ended. Idempotent.
    ///
    /// Threads:  blocks, so it must not be called on an event loop or in a gRPC callback.
    void shutdown();

    server_stats stats() const;

private:
    class impl;
    std::unique_ptr<impl> impl_;
};

}  // namespace rangeio::emulator
