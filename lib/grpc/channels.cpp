#include "grpc/channels.hpp"

#include <rangeio/version.hpp>

#include "grpc/limits.hpp"
#include "option_range.hpp"
#include "text.hpp"

#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <fmt/format.h>

#include <limits>
#include <string_view>

namespace rangeio::grpc_transport {
namespace {

constexpr std::size_t max_channels = 64;
constexpr std::size_t max_streams = 10000;
constexpr std::size_t max_connections = 1000;
constexpr std::size_t least_message_bytes = std::size_t{64} << 10;
constexpr std::size_t most_message_bytes = std::numeric_limits<int>::max();

[[noreturn]] void reject(std::string message) {
    throw error(error_value(errc::invalid_argument, std::move(message)));
}

// gRPC aborts the process for a header value that it cannot send, so such values are rejected here.
void check_header(std::string_view what, std::string_view value) {
    if (!fits_header(value)) reject(fmt::format("{}: contains characters invalid in a header", what));
}

std::shared_ptr<grpc::ChannelCredentials> make_credentials(
    const credentials& how, const chosen_endpoint& endpoint
) {
    using security = endpoint::security;
    const security wanted = endpoint.where.wanted();
    const auto contradicts = [&](std::string_view what) {
        reject(fmt::format("endpoint '{}': {}", endpoint.where.shown(), what));
    };
    switch (how.type()) {
        case credentials::kind::insecure:
            if (wanted == security::tls)
                contradicts("https:// and insecure credentials contradict each other");
            return grpc::InsecureChannelCredentials();
        case credentials::kind::google_default: break;
        case credentials::kind::access_token:
            if (how.token().empty()) reject("access token: empty");
            check_header("access token", how.token());
            if (wanted == security::plain) contradicts("credentials must not be sent over http://");
            return grpc::CompositeChannelCredentials(
                grpc::SslCredentials({}), grpc::AccessTokenCredentials(how.token())
            );
        case credentials::kind::automatic:
            if (wanted == security::plain) return grpc::InsecureChannelCredentials();
            if (wanted == security::tls && endpoint.where.local()) return grpc::SslCredentials({});
            if (wanted == security::tls) break;
            if (endpoint.where.local() || endpoint.from_environment)
                return grpc::InsecureChannelCredentials();
            break;
    }
    if (wanted == security::plain) contradicts("credentials must not be sent over http://");
    auto out = grpc::GoogleDefaultCredentials();
    if (out == nullptr) {
        throw error(error_value(
            errc::unauthenticated,
            "Google default credentials: not found; set GOOGLE_APPLICATION_CREDENTIALS, or log in with "
            "gcloud"
        ));
    }
    return out;
}

}  // namespace

std::string bucket_resource(const std::string& bucket) {
    return "projects/_/buckets/" + bucket;
}

std::shared_ptr<channels> channels::make(
    const asio::any_io_executor& executor, const client_options& options
) {
    return {new channels(executor, options), [core = runtime::core_of(executor), executor](channels* dying) {
                core->destroy_later(executor, std::shared_ptr<void>(dying, [](void* p) {
                                        delete static_cast<channels*>(p);
                                    }));
            }};
}

channels::channels(const asio::any_io_executor& executor, const client_options& options)
    : executor_(executor),
      core_(runtime::core_of(executor)),
      user_project_(options.user_project()),
      max_message_bytes_(options.max_message_bytes()),
      api_client_(fmt::format("gl-cpp/20 gccl/{} grpc/{}", version, grpc::Version())) {
    limits_.spread = options.channels();
    limits_.streams_per_connection = options.streams_per_connection();
    limits_.max_connections = options.max_connections();
    limits_.stall_timeout = options.retry().stall_timeout();
    throw_if(check_range("channels", limits_.spread, 1, max_channels));
    throw_if(check_range("streams_per_connection", limits_.streams_per_connection, 1, max_streams));
    throw_if(check_range("max_connections", limits_.max_connections, limits_.spread, max_connections));
    throw_if(check_least("rpc_timeout", options.rpc_timeout()));
    throw_if(check_range("max_message_bytes", max_message_bytes_, least_message_bytes, most_message_bytes));
    check_header("user project", user_project_);
    const chosen_endpoint chosen = choose_endpoint(options.endpoint());
    endpoint_ = chosen.where;
    credentials_ = make_credentials(options.auth(), chosen);
    watch_ = std::make_shared<endpoint_watch>(core_, executor_, options.observed_by(), endpoint_.shown());
}

channels::~channels() = default;

grpc::ChannelArguments channels::arguments() const {
    grpc::ChannelArguments arguments;
    arguments.SetUserAgentPrefix(fmt::format("rangeio/{}", version));
    arguments.SetMaxReceiveMessageSize(static_cast<int>(max_message_bytes_));
    // If many ranges are refused at once, the errors exceed gRPC's default limit of 8 KiB.
    arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, static_cast<int>(max_header_bytes));
    // Otherwise all channels to one target would share one connection.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    // A service that is back must be noticed within seconds; gRPC's default is up to two minutes. The minimum is the
    // time limit of an attempt to connect, with its handshakes: a lost packet is sent again after one second and after
    // three. Attempts that are refused at once follow each other after half a second, later after a second and a half.
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 250);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 3000);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1500);
    // For idle connections with open streams, which nothing else asks for a sign of life. Servers end connections on
    // which more than two pings arrive within five minutes of each other while the server sends nothing.
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 330'000);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 0);
    // The proxies of the environment are for connections to other machines.
    if (endpoint_.local()) arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    return arguments;
}

std::shared_ptr<grpc::Channel> channels::connect() const {
    auto made = grpc::CreateCustomChannel(endpoint_.target(), credentials_, arguments());
    grpc::Channel* const channel = made.get();
    return {channel, [core = core_, executor = executor_, held = std::move(made)](grpc::Channel*) mutable {
                core->destroy_later(executor, std::move(held));
            }};
}

std::shared_ptr<grpc::Channel> channels::metadata() {
    const std::lock_guard lock(mutex_);
    if (metadata_ == nullptr) metadata_ = connect();
    return metadata_;
}

void channels::replace_metadata(const grpc::Channel* stalled) noexcept {
    std::shared_ptr<grpc::Channel> dropped;  // destroyed after the lock is released
    const std::lock_guard lock(mutex_);
    if (metadata_.get() == stalled) dropped = std::move(metadata_);
}

void channels::prepare(
    grpc::ClientContext& context, const std::string& bucket, const std::string& routing_token
) const {
    // Verbatim, without percent encoding, as other clients send it.
    std::string params = "bucket=" + bucket_resource(bucket);
    if (!routing_token.empty()) params += "&routing_token=" + routing_token;
    context.AddMetadata("x-goog-request-params", params);
    context.AddMetadata("x-goog-api-client", api_client_);
    if (!user_project_.empty()) context.AddMetadata("x-goog-user-project", user_project_);
}

}  // namespace rangeio::grpc_transport
