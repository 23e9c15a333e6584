#pragma once

#include <rangeio/byte_block.hpp>
#include <rangeio/byte_range.hpp>
#include <rangeio/completion_token.hpp>
#include <rangeio/detail/destination.hpp>
#include <rangeio/detail/initiation.hpp>
#include <rangeio/error.hpp>
#include <rangeio/fetch_options.hpp>
#include <rangeio/mrd_pool.hpp>
#include <rangeio/mrd_pool_cache.hpp>
#include <rangeio/object.hpp>
#include <rangeio/observer.hpp>
#include <rangeio/retry_policy.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/execution_context.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace rangeio {

/// How a client proves who it is. A value; its secret never appears in a message or a log.
class credentials {
public:
    enum class kind { automatic, insecure, google_default, access_token };

    /// Insecure for an endpoint on this machine or one from the environment, or with `http://`; TLS without an identity
    /// for `https://` on this machine; else Google default credentials.
    credentials() = default;
    /// No encryption and no identity: for an emulator.
    static credentials insecure() { return credentials(kind::insecure, {}); }
    /// TLS, and what gRPC finds as Application Default Credentials.
    static credentials google_default() { return credentials(kind::google_default, {}); }
    /// TLS, and this OAuth2 access token with each call.
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

/// Where a client connects to, and how. Checked when the client is made.
class client_options {
public:
    client_options() = default;

    /// Where to connect to, in one of these forms, with blanks around it or not. Default: the environment variable
    /// STORAGE_EMULATOR_HOST_GRPC if it is set and not empty, in the same forms, else storage.googleapis.com:443.
    ///
    /// | form | |
    /// |---|---|
    /// | `HOST:PORT`, `[IPV6]:PORT`, `IPV4:PORT` | ports are 1..65535; without one it is 443 |
    /// | `http://HOST:PORT`, `https://HOST:PORT` | without encryption, whatever the host; with TLS |
    /// | `dns:///HOST:PORT`, `ipv4:ADDRESS:PORT`, `ipv6:[ADDRESS]:PORT` | as gRPC writes it |
    /// | `unix:PATH`, `unix:///PATH` | a socket of this machine |
    /// | `google-c2p:///HOST` | the direct path to the service, from its own machines |
    ///
    /// **On this machine** are `localhost`, 127.0.0.0/8, `[::1]`, Unix sockets, and the addresses to listen everywhere,
    /// `0.0.0.0` and `[::]`, which stand for 127.0.0.1 and `[::1]`. There a port is required, no credentials are needed
    /// (see `credentials`), and no proxy is used: for other endpoints gRPC heeds `grpc_proxy`, `https_proxy`,
    /// `http_proxy` and `no_grpc_proxy`, `no_proxy` of the environment. Addresses are written with four numbers: `127.1`
    /// is an invalid argument, as is everything else.
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

    /// Over how many channels the streams are spread, 1 to 64. Default 4. Each call takes the one with the fewest, in
    /// turn. Each channel is a connection of its own (it shares no subchannels), opened when it is first used and kept
    /// for later pools. One connection is the limit of what its streams can carry together, and the default lets each
    /// stream of a pool of the default size have its own; more connections than streams would be handshakes for nothing.
    /// Calls for metadata have a connection of their own.
    client_options& channels(std::size_t count) {
        channels_ = count;
        return *this;
    }
    std::size_t channels() const noexcept { return channels_; }

    /// How many streams a connection may have at once, 1 to 10000. Default 100, which is what servers allow as a rule;
    /// gRPC does not show how many it is, and lets those wait that are too many. When all connections are full, a further
    /// one is opened. An opening that has no answer after a quarter of `retry_policy::stall_timeout`, on a connection
    /// that answered others, goes to another connection; so a smaller limit of the server is learned.
    client_options& streams_per_connection(std::size_t count) {
        streams_per_connection_ = count;
        return *this;
    }
    std::size_t streams_per_connection() const noexcept { return streams_per_connection_; }

    /// How many connections there may be for streams, `channels` to 1000. Default 64. Those beyond `channels` are closed
    /// with their last stream. When all are full, streams wait for each other on them.
    client_options& max_connections(std::size_t count) {
        max_connections_ = count;
        return *this;
    }
    std::size_t max_connections() const noexcept { return max_connections_; }

    /// The project that is billed (requester pays). Default: none.
    client_options& user_project(std::string project) {
        user_project_ = std::move(project);
        return *this;
    }
    const std::string& user_project() const noexcept { return user_project_; }

    /// How long async_stat(), async_list() and async_layout() may take, with all calls and waits that `retry` allows. Default 60 s; zero:
    /// no limit but that of `retry`; not negative. An endpoint that has never answered has 30 s at most.
    client_options& rpc_timeout(std::chrono::nanoseconds limit) {
        rpc_timeout_ = limit;
        return *this;
    }
    std::chrono::nanoseconds rpc_timeout() const noexcept { return rpc_timeout_; }

    /// The most bytes of one message that the service may send, on a stream or in the answer to async_stat(), async_list()
    /// and async_layout(). In bytes, 64 KiB to 2 GiB - 1; default 64 MiB. What is longer is errc::protocol_error, which names the
    /// limit and is not tried again. The service's pieces have up to 2 MiB, so streams need somewhat more than that.
    client_options& max_message_bytes(std::size_t limit) {
        max_message_bytes_ = limit;
        return *this;
    }
    std::size_t max_message_bytes() const noexcept { return max_message_bytes_; }

    /// Whether a piece of a range that comes without a CRC32C is a rejected chunk: asked for again, then
    /// errc::protocol_error. Default false: the protocol lets services leave it out, and the connection is protected
    /// by its own means. Such pieces are counted (`stream_stats::unchecked_chunks`) and told of
    /// (`event_kind::unchecked_chunk`) either way. A checksum that is there is always checked.
    client_options& require_checksums(bool yes) {
        require_checksums_ = yes;
        return *this;
    }
    bool require_checksums() const noexcept { return require_checksums_; }

    /// How streams that break are resumed, those of every pool of this client and of async_fetch(), and how async_stat(),
    /// async_list() and async_layout() are asked again. Default: see `retry_policy`.
    client_options& retry(const retry_policy& policy) {
        retry_ = policy;
        return *this;
    }
    const retry_policy& retry() const noexcept { return retry_; }

    /// Who hears what happens on all pools of this client that have no observer of their own, and in async_fetch(). Default:
    /// nobody.
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
    std::size_t max_connections_ = 64;
    std::string user_project_;
    std::chrono::nanoseconds rpc_timeout_ = std::chrono::seconds(60);
    std::size_t max_message_bytes_ = std::size_t{64} << 20;
    bool require_checksums_ = false;
    retry_policy retry_;
    std::shared_ptr<observer> observer_;
};

/// Which objects a listing has, and how it is cut. Checked when it is used; texts are at most 1024 bytes of UTF-8.
class list_options {
public:
    list_options() = default;

    /// Only objects whose names begin with this. Default: all.
    list_options& prefix(std::string text) {
        prefix_ = std::move(text);
        return *this;
    }
    const std::string& prefix() const noexcept { return prefix_; }

    /// Names that have this after the prefix are folded into `list_page::prefixes`. Default: none, nothing is
    /// folded.
    list_options& delimiter(std::string text) {
        delimiter_ = std::move(text);
        return *this;
    }
    const std::string& delimiter() const noexcept { return delimiter_; }

    /// The most objects and prefixes on one page, 1 to 1000. Default 1000.
    list_options& page_size(int count) {
        page_size_ = count;
        return *this;
    }
    int page_size() const noexcept { return page_size_; }

    /// `list_page::next_page_token` of the page before, of a listing with the same prefix and delimiter. Default: the
    /// first page. A token of another client for this service will do, too.
    list_options& page_token(std::string token) {
        page_token_ = std::move(token);
        return *this;
    }
    const std::string& page_token() const noexcept { return page_token_; }

    /// How many pages in a row may be without any name, 1 to 1'000'000; one more is errc::protocol_error. Default 1000. A
    /// service may send some, as when it goes past what was deleted.
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

class list_page {
public:
    std::vector<object_info> objects;
    std::vector<std::string> prefixes;
    /// Empty on the last page. Else the service's token, and with it how far the listing has come: it is made for
    /// list_options::page_token(), and means nothing to other clients.
    std::string next_page_token;
};

/// Where a bucket is. `zonal()` tells whether many ranges can be read over one stream.
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

/// Throws: `rangeio::error` with errc::invalid_argument for what client_options::endpoint() cannot take; it says what to
/// write.
void check_endpoint(std::string_view target);

/// Channels and credentials for one endpoint, and what can be asked there.
///
/// Threads:    all members are safe from several threads at once.
/// Lifetimes:  movable. Pools made by it live on when it goes. Its connections are closed on `executor`, so
///             they last until that runs once more, or until its context is destroyed.
/// Cancels:    every operation: terminal, partial, total; but see async_fetch().
/// Errors:     of every operation: errc::not_found, errc::permission_denied, errc::unauthenticated,
///             errc::timed_out, errc::invalid_argument, errc::shut_down, asio::error::operation_aborted, or a
///             gRPC status such as UNAVAILABLE when nobody answers at the endpoint.
class client {
public:
    using executor_type = asio::any_io_executor;

    /// Connects to nothing yet. Throws: errc::invalid_argument for an option out of its range.
    explicit client(asio::any_io_executor executor, client_options options = {});
    /// The same on an execution context, such as an io_context.
    template <class ExecutionContext>
        requires std::is_convertible_v<ExecutionContext&, asio::execution_context&>
    explicit client(ExecutionContext& context, client_options options = {})
        : client(asio::any_io_executor(context.get_executor()), std::move(options)) {}
    client(client&&) noexcept = default;
    client& operator=(client&&) noexcept = default;
    ~client() = default;

    /// As given to the constructor; empty if the client was moved from. Then every operation fails with
    /// errc::invalid_argument, and pool() and pool_cache() throw that.
    executor_type get_executor() const noexcept;

    /// Opens an object: one round trip. The generation is pinned by it. Signature: `void(error_code, mrd_pool)`.
    template <detail::token_for<mrd_pool> Token = default_token>
    auto async_open(object_ref object, pool_options options, Token&& token = Token()) {
        return detail::initiate(open(std::move(object), std::move(options)), std::forward<Token>(token));
    }
    template <detail::token_for<mrd_pool> Token = default_token>
    auto async_open(object_ref object, Token&& token = Token()) {
        return async_open(std::move(object), pool_options(), std::forward<Token>(token));
    }

    /// An unopened pool on the object: the first that asks it for something opens it.
    mrd_pool pool(object_ref object, pool_options options = {});

    /// A cache of pools on this client's channels: what is opened through it again by its generation, or by name under
    /// `pool_cache_options::generation_max_age`, costs no round trip. Unlike the pools of async_open() and pool(), those of
    /// a cache end with it.
    mrd_pool_cache pool_cache(pool_cache_options options = {});

    /// Reads one range with nothing open, in one round trip: it rides in the opening message of a stream that
    /// serves it alone. For more than one read of an object, open it.
    ///
    /// Returns, lifetimes, cancels and errors as mrd_pool::async_fetch(). Signature: `void(error_code, std::size_t)`.
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

    /// What the service knows of the object: one round trip. For an object that is being appended to, the
    /// size may lag. Signature: `void(error_code, object_info)`.
    template <detail::token_for<object_info> Token = default_token>
    auto async_stat(object_ref object, Token&& token = Token()) {
        return detail::initiate(stat(std::move(object)), std::forward<Token>(token));
    }

    /// One page of the objects of a bucket, ordered by name. Signature: `void(error_code, list_page)`. To follow the pages, hand `next_page_token` on until it is
    /// empty: names increase from page to page, so there is an end. A service whose names do not, or whose tokens come
    /// again, is errc::protocol_error.
    template <detail::token_for<list_page> Token = default_token>
    auto async_list(std::string bucket, list_options options, Token&& token = Token()) {
        return detail::initiate(list(std::move(bucket), options), std::forward<Token>(token));
    }
    template <detail::token_for<list_page> Token = default_token>
    auto async_list(std::string bucket, Token&& token = Token()) {
        return async_list(std::move(bucket), list_options(), std::forward<Token>(token));
    }

    /// Where a bucket is. Signature: `void(error_code, bucket_layout)`.
    template <detail::token_for<bucket_layout> Token = default_token>
    auto async_layout(std::string bucket, Token&& token = Token()) {
        return detail::initiate(layout(std::move(bucket)), std::forward<Token>(token));
    }

    /// What is connected to: `HOST:PORT`, or with a scheme if it is another form.
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
