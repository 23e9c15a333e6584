#pragma once

#include <rangeio/byte_block.hpp>
#include <rangeio/byte_range.hpp>
#include <rangeio/completion_token.hpp>
#include <rangeio/detail/destination.hpp>
#include <rangeio/detail/initiation.hpp>
#include <rangeio/detail/visibility.hpp>
#include <rangeio/error.hpp>
#include <rangeio/fetch_options.hpp>
#include <rangeio/memory_budget.hpp>
#include <rangeio/mrd_pool.hpp>
#include <rangeio/mrd_pool_cache.hpp>
#include <rangeio/object.hpp>
#include <rangeio/object_reader.hpp>
#include <rangeio/observer.hpp>
#include <rangeio/retry_policy.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/execution_context.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace rangeio {

/// How a client authenticates. A value; its secret never appears in a message or a log.
class credentials {
public:
    enum class kind { automatic, insecure, google_default, access_token };

    /// Insecure for an endpoint on this machine, for one from the environment and for `http://`; TLS without an
    /// identity for `https://` on this machine; otherwise Google default credentials.
    credentials() = default;
    /// No encryption and no identity, for an emulator.
    static credentials insecure() { return credentials(kind::insecure, {}); }
    /// TLS with the Application Default Credentials that gRPC finds.
    static credentials google_default() { return credentials(kind::google_default, {}); }
    /// TLS with this OAuth2 access token on each call.
    static credentials access_token(std::string token) {
        return credentials(kind::access_token, std::move(token));
    }

    kind type() const noexcept { return kind_; }
    const std::string& token() const noexcept { return token_; }

private:
    credentials(kind type, std::string token) : kind_(type), token_(std::move(token)) {}

    kind kind_ = kind::automatic;
    std::string token_;
};

/// The endpoint of a client, and how it connects. The constructor of the client checks the options.
class client_options {
public:
    client_options() = default;

    /// The endpoint, in one of these forms, with or without blanks around it.
    ///
    /// | form | |
    /// |---|---|
    /// | `HOST:PORT`, `[IPV6]:PORT`, `IPV4:PORT` | ports are 1..65535; the default port is 443 |
    /// | `http://HOST:PORT`, `https://HOST:PORT` | without encryption, for any host; with TLS |
    /// | `dns:///HOST:PORT`, `ipv4:ADDRESS:PORT`, `ipv6:[ADDRESS]:PORT` | as gRPC writes it |
    /// | `unix:PATH`, `unix:///PATH` | a socket of this machine |
    /// | `google-c2p:///HOST` | the direct path to the service, from Google's own machines |
    ///
    /// Endpoints **on this machine** are `localhost`, 127.0.0.0/8, `[::1]`, Unix sockets, and the wildcard addresses
    /// `0.0.0.0` and `[::]`, which stand for 127.0.0.1 and `[::1]`. They require a port and no credentials (see
    /// `credentials`), and bypass proxies: for other endpoints gRPC applies `grpc_proxy`, `https_proxy`, `http_proxy`
    /// and `no_grpc_proxy`, `no_proxy` of the environment. An IPv4 address has four numbers: `127.1` is an invalid
    /// argument, as is any other form.
    ///
    /// Default:  the environment variable STORAGE_EMULATOR_HOST_GRPC if it is set and not empty, in the same forms;
    ///           otherwise storage.googleapis.com:443.
    client_options& endpoint(std::string target) {
        endpoint_ = std::move(target);
        return *this;
    }
    const std::string& endpoint() const noexcept { return endpoint_; }

    client_options& auth(credentials how) {
        auth_ = std::move(how);
        return *this;
    }
    const credentials& auth() const noexcept { return auth_; }

    /// The number of channels that the streams are spread over, 1 to 64. Each call uses the channel with the fewest
    /// calls, in turn among equals. Each channel is a connection of its own (it shares no subchannels), opened at its
    /// first use and kept for later pools. One connection limits the total throughput of its streams. With the default,
    /// each stream of a pool of the default size has its own; more connections than streams would only cost handshakes.
    /// Calls for metadata use a separate connection.
    ///
    /// Default:  4.
    client_options& channels(std::size_t count) {
        channels_ = count;
        return *this;
    }
    std::size_t channels() const noexcept { return channels_; }

    /// The maximum number of concurrent streams on one connection, 1 to 10000. gRPC does not report the limit of the
    /// server, and queues the calls above it. When all connections are full, a further one is opened. An opening that
    /// has no answer after a quarter of `retry_policy::stall_timeout`, on a connection that answered other calls, moves
    /// to another connection, and the client records the lower limit.
    ///
    /// Default:  100, which servers usually allow.
    client_options& streams_per_connection(std::size_t count) {
        streams_per_connection_ = count;
        return *this;
    }
    std::size_t streams_per_connection() const noexcept { return streams_per_connection_; }

    /// The maximum number of connections for streams, `channels` to 1000. A connection beyond `channels` is closed with
    /// its last stream. When all connections are full, streams wait for each other on them.
    ///
    /// Default:  64.
    client_options& max_connections(std::size_t count) {
        max_connections_ = count;
        return *this;
    }
    std::size_t max_connections() const noexcept { return max_connections_; }

    /// The memory for what the readers of this client fetch ahead.
    ///
    /// Default:  a budget of the client's own, of memory_budget::default_limit_bytes.
    client_options& memory(memory_budget budget) {
        memory_ = std::move(budget);
        return *this;
    }
    const std::optional<memory_budget>& memory() const noexcept { return memory_; }

    /// The project that is billed (requester pays).
    ///
    /// Default:  none.
    client_options& user_project(std::string project) {
        user_project_ = std::move(project);
        return *this;
    }
    const std::string& user_project() const noexcept { return user_project_; }

    /// The time limit of async_stat(), async_list() and async_layout(), including all calls and waits that `retry`
    /// allows; zero: no limit except that of `retry`; a negative limit is rejected. For an endpoint that has never
    /// answered, the limit is at most 30 s.
    ///
    /// Default:  60 s.
    client_options& rpc_timeout(std::chrono::nanoseconds limit) {
        rpc_timeout_ = limit;
        return *this;
    }
    std::chrono::nanoseconds rpc_timeout() const noexcept { return rpc_timeout_; }

    /// The maximum size of one message of the service, on a stream or in the answer to async_stat(), async_list() and
    /// async_layout(), 64 KiB to 2 GiB - 1. A longer message is errc::protocol_error, which names the limit and is not
    /// retried. The chunks of the service have up to 2 MiB, so streams need slightly more than that.
    ///
    /// Units:    bytes.
    /// Default:  64 MiB.
    client_options& max_message_bytes(std::size_t limit) {
        max_message_bytes_ = limit;
        return *this;
    }
    std::size_t max_message_bytes() const noexcept { return max_message_bytes_; }

    /// Whether a chunk without a CRC32C is rejected: its range is requested again, and finally fails with
    /// errc::protocol_error. By default such chunks are accepted, because the protocol allows services to omit the
    /// checksum and the connection has its own protection. Accepted ones are counted (`stream_stats::unchecked_chunks`)
    /// and reported (`event_kind::unchecked_chunk`), the others as rejected chunks are. A checksum that is present is
    /// always checked.
    ///
    /// Default:  false.
    client_options& require_checksums(bool yes) {
        require_checksums_ = yes;
        return *this;
    }
    bool require_checksums() const noexcept { return require_checksums_; }

    /// The policy by which broken streams are resumed, those of every pool of this client and of async_fetch(), and by
    /// which async_stat(), async_list() and async_layout() are retried.
    ///
    /// Default:  see `retry_policy`.
    client_options& retry(const retry_policy& policy) {
        retry_ = policy;
        return *this;
    }
    const retry_policy& retry() const noexcept { return retry_; }

    /// The observer of all pools of this client that have none of their own, and of async_fetch().
    ///
    /// Default:  none.
    client_options& observe(std::shared_ptr<observer> by) {
        observer_ = std::move(by);
        return *this;
    }
    const std::shared_ptr<observer>& observed_by() const noexcept { return observer_; }

private:
    std::string endpoint_;
    credentials auth_;
    std::size_t channels_ = 4;
    std::size_t streams_per_connection_ = 100;
    std::optional<memory_budget> memory_;
    std::size_t max_connections_ = 64;
    std::string user_project_;
    std::chrono::nanoseconds rpc_timeout_ = std::chrono::seconds(60);
    std::size_t max_message_bytes_ = std::size_t{64} << 20;
    bool require_checksums_ = false;
    retry_policy retry_;
    std::shared_ptr<observer> observer_;
};

/// The objects of a listing, and how it is divided into pages. Checked by async_list(); prefix and delimiter have at
/// most 1024 bytes of UTF-8.
class list_options {
public:
    list_options() = default;

    /// Only objects whose names begin with this text.
    ///
    /// Default:  all.
    list_options& prefix(std::string text) {
        prefix_ = std::move(text);
        return *this;
    }
    const std::string& prefix() const noexcept { return prefix_; }

    /// Names that contain this text after the prefix are folded into `list_page::prefixes`.
    ///
    /// Default:  none, nothing is folded.
    list_options& delimiter(std::string text) {
        delimiter_ = std::move(text);
        return *this;
    }
    const std::string& delimiter() const noexcept { return delimiter_; }

    /// The maximum number of objects and prefixes on one page, 1 to 1000.
    ///
    /// Default:  1000.
    list_options& page_size(int count) {
        page_size_ = count;
        return *this;
    }
    int page_size() const noexcept { return page_size_; }

    /// `list_page::next_page_token` of the previous page, from a listing with the same prefix and delimiter. A token
    /// that another client received from this service is valid, too.
    ///
    /// Default:  the first page.
    list_options& page_token(std::string token) {
        page_token_ = std::move(token);
        return *this;
    }
    const std::string& page_token() const noexcept { return page_token_; }

    /// The maximum number of consecutive pages without any name, 1 to 1'000'000; one more is errc::protocol_error. A
    /// service may send such pages, for example while it skips deleted objects.
    ///
    /// Default:  1000.
    list_options& max_empty_pages(int count) {
        max_empty_pages_ = count;
        return *this;
    }
    int max_empty_pages() const noexcept { return max_empty_pages_; }

private:
    std::string prefix_;
    std::string delimiter_;
    int page_size_ = 1000;
    std::string page_token_;
    int max_empty_pages_ = 1000;
};

/// One page of a listing.
class list_page {
public:
    std::vector<object_info> objects;
    std::vector<std::string> prefixes;
    /// Empty on the last page; otherwise the token of the service, with the progress of the listing. It is made for
    /// list_options::page_token(), and is meaningless to clients of other libraries.
    std::string next_page_token;
};

/// The location of a bucket. `zonal()` is true if many ranges can be read over one stream.
class bucket_layout {
public:
    std::string location;
    std::string location_type;
    bool hierarchical_namespace = false;

    bool zonal() const noexcept { return location_type == "zone"; }
};

namespace gcs {
class client_core;
}

/// Checks that client_options::endpoint() accepts `target`.
///
/// Throws:  `rangeio::error` with errc::invalid_argument, whose message has the accepted forms.
RANGEIO_API void check_endpoint(std::string_view target);

/// Channels and credentials for one endpoint, and the operations on its objects and buckets.
///
/// Threads:    all members may be called by several threads at once.
/// Lifetimes:  movable. The pools that it made remain usable after its destruction. Its connections are closed on
///             `executor`, so they remain open until that executor runs once more, or until its context is destroyed.
/// Cancels:    every operation: terminal, partial, total; async_fetch() has its own rules.
/// Errors:     of every operation: errc::not_found, errc::permission_denied, errc::unauthenticated, errc::timed_out,
///             errc::invalid_argument, errc::shut_down, asio::error::operation_aborted, or a gRPC status such as
///             UNAVAILABLE when the endpoint does not answer.
class RANGEIO_API client {
public:
    using executor_type = asio::any_io_executor;

    /// Opens no connection yet.
    ///
    /// Throws:  errc::invalid_argument if an option is outside of its range.
    explicit client(asio::any_io_executor executor, client_options options = {});
    /// The same on an execution context, such as an io_context.
    template <class ExecutionContext>
        requires std::is_convertible_v<ExecutionContext&, asio::execution_context&>
    explicit client(ExecutionContext& context, client_options options = {})
        : client(asio::any_io_executor(context.get_executor()), std::move(options)) {}
    client(client&&) noexcept = default;
    client& operator=(client&&) noexcept = default;
    ~client() = default;

    /// The executor given to the constructor; empty if the client was moved from. In that state every operation fails
    /// with errc::invalid_argument, and pool() and pool_cache() throw it.
    executor_type get_executor() const noexcept;

    /// Opens an object in one round trip, which pins the generation.
    ///
    /// Completes:  `void(error_code, mrd_pool)`, the open pool.
    template <detail::token_for<mrd_pool> Token = default_token>
    auto async_open(object_ref object, pool_options options, Token&& token = Token()) {
        return detail::initiate(open(std::move(object), std::move(options)), std::forward<Token>(token));
    }
    template <detail::token_for<mrd_pool> Token = default_token>
    auto async_open(object_ref object, Token&& token = Token()) {
        return async_open(std::move(object), pool_options(), std::forward<Token>(token));
    }

    /// Returns an unopened pool on the object; its first operation opens it. A read opens it and reads in one round
    /// trip.
    mrd_pool pool(object_ref object, pool_options options = {});

    /// The budget of the readers that are made without one.
    ///
    /// Throws:  errc::invalid_argument if the client was moved from.
    memory_budget memory() const;

    /// Returns a reader of the object, with a pool of its own, which its first read opens.
    object_reader reader(object_ref object, reader_options options = {}, pool_options pool = {});

    /// Returns a cache of pools on the channels of this client. To open an object through it again, by its generation
    /// or, within `pool_cache_options::generation_max_age`, by name, costs no round trip. Unlike the pools of
    /// async_open() and pool(), those of a cache end with it.
    mrd_pool_cache pool_cache(pool_cache_options options = {});

    /// Reads one range without an open pool, in one round trip: the range is sent in the opening message of a stream
    /// that serves it alone. For more than one read of an object, open the object.
    ///
    /// Completes:  `void(error_code, std::size_t)`, as mrd_pool::async_fetch().
    /// Lifetimes:  as mrd_pool::async_fetch().
    /// Cancels:    as mrd_pool::async_fetch().
    /// Errors:     as mrd_pool::async_fetch().
    template <class MutableBufferSequence, detail::token_for<std::size_t> Token = default_token>
        requires asio::is_mutable_buffer_sequence<MutableBufferSequence>::value
    auto async_fetch(
        object_ref object,
        byte_range range,
        const MutableBufferSequence& destination,
        read_options options,
        Token&& token = Token()
    ) {
        return detail::initiate(
            fetch(std::move(object), range, detail::destination::of(destination), options),
            std::forward<Token>(token)
        );
    }
    template <class MutableBufferSequence, detail::token_for<std::size_t> Token = default_token>
        requires asio::is_mutable_buffer_sequence<MutableBufferSequence>::value
    auto async_fetch(
        object_ref object, byte_range range, const MutableBufferSequence& destination, Token&& token = Token()
    ) {
        return async_fetch(std::move(object), range, destination, read_options(), std::forward<Token>(token));
    }
    template <detail::token_for<std::size_t> Token = default_token>
    auto async_fetch(
        object_ref object,
        byte_range range,
        std::span<std::byte> destination,
        read_options options,
        Token&& token = Token()
    ) {
        return detail::initiate(
            fetch(std::move(object), range, destination, options), std::forward<Token>(token)
        );
    }
    template <detail::token_for<std::size_t> Token = default_token>
    auto async_fetch(
        object_ref object, byte_range range, std::span<std::byte> destination, Token&& token = Token()
    ) {
        return async_fetch(std::move(object), range, destination, read_options(), std::forward<Token>(token));
    }

    /// Asks the service for the metadata of the object, in one round trip. For an object that is being appended to, the
    /// size may lag.
    ///
    /// Completes:  `void(error_code, object_info)`.
    template <detail::token_for<object_info> Token = default_token>
    auto async_stat(object_ref object, Token&& token = Token()) {
        return detail::initiate(stat(std::move(object)), std::forward<Token>(token));
    }

    /// Lists one page of the objects of a bucket, ordered by name. To follow the pages, pass `next_page_token` to the
    /// next call until it is empty: names increase from page to page, so the listing ends.
    ///
    /// Completes:  `void(error_code, list_page)`.
    /// Errors:     also errc::protocol_error, if the names of the service do not increase or its tokens repeat.
    template <detail::token_for<list_page> Token = default_token>
    auto async_list(std::string bucket, list_options options, Token&& token = Token()) {
        return detail::initiate(list(std::move(bucket), options), std::forward<Token>(token));
    }
    template <detail::token_for<list_page> Token = default_token>
    auto async_list(std::string bucket, Token&& token = Token()) {
        return async_list(std::move(bucket), list_options(), std::forward<Token>(token));
    }

    /// Asks for the location of a bucket.
    ///
    /// Completes:  `void(error_code, bucket_layout)`.
    template <detail::token_for<bucket_layout> Token = default_token>
    auto async_layout(std::string bucket, Token&& token = Token()) {
        return detail::initiate(layout(std::move(bucket)), std::forward<Token>(token));
    }

    /// The endpoint in use: `HOST:PORT`, or another form with its scheme.
    const std::string& endpoint() const noexcept;

private:
    detail::initiation<mrd_pool> open(object_ref object, pool_options options);
    detail::initiation<std::size_t> fetch(
        object_ref object, byte_range range, detail::destination destination, const read_options& options
    );
    detail::initiation<object_info> stat(object_ref object);
    detail::initiation<list_page> list(std::string bucket, const list_options& options);
    detail::initiation<bucket_layout> layout(std::string bucket);

    std::shared_ptr<gcs::client_core> core_;
};

}  // namespace rangeio
