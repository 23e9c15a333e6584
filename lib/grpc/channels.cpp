#include "grpc/channels.hpp"

#include "version.hpp"

#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace rangeio::grpc_transport {
namespace {

constexpr std::size_t max_channels = 64;

[[noreturn]] void reject(std::string message) {
    throw error(failure(errc::invalid_argument, std::move(message)));
}

// gRPC aborts the process for a header value that it cannot send, so nothing else gets that far.
void check_header(std::string_view what, std::string_view value) {
    const bool printable = std::ranges::all_of(value, [](char c) { return c >= 0x20 && c <= 0x7e; });
    if (!printable) reject(fmt::format("the {} has characters that no header can have", what));
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
            if (how.token().empty()) reject("the access token is empty");
            check_header("access token", how.token());
            if (wanted == security::plain) contradicts("no credentials travel over http://");
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
    if (wanted == security::plain) contradicts("no credentials travel over http://");
    auto out = grpc::GoogleDefaultCredentials();
    if (out == nullptr) {
        throw error(failure(
            errc::unauthenticated,
            "there are no Google default credentials here: set GOOGLE_APPLICATION_CREDENTIALS, or log in "
            "with gcloud"
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
    auto core = runtime::core_of(executor);
    return {new channels(core, options), [core, executor](channels* dying) {
                core->dispose(executor, std::shared_ptr<void>(dying, [](void* p) {
                                  delete static_cast<channels*>(p);
                              }));
            }};
}

channels::channels(std::shared_ptr<runtime::context_core> core, const client_options& options)
    : core_(std::move(core)),
      user_project_(options.user_project()),
      api_client_(fmt::format("gl-cpp/20 gccl/{} grpc/{}", version, grpc::Version())) {
    if (options.channels() < 1 || options.channels() > max_channels) {
        reject(fmt::format("{} channels are not between 1 and {}", options.channels(), max_channels));
    }
    if (options.rpc_timeout() < std::chrono::nanoseconds::zero()) reject("the rpc timeout is negative");
    check_header("user project", user_project_);
    const chosen_endpoint chosen = choose_endpoint(options.endpoint());
    endpoint_ = chosen.where;
    credentials_ = make_credentials(options.auth(), chosen);
    channels_.resize(options.channels());
}

channels::~channels() = default;

std::shared_ptr<grpc::Channel> channels::next() {
    const std::lock_guard lock(mutex_);
    return at(turn_++ % channels_.size());
}

std::shared_ptr<grpc::Channel> channels::first() {
    const std::lock_guard lock(mutex_);
    return at(0);
}

std::shared_ptr<grpc::Channel> channels::at(std::size_t index) {
    auto& channel = channels_[index];
    if (channel == nullptr) {
        grpc::ChannelArguments arguments;
        arguments.SetUserAgentPrefix(fmt::format("rangeio/{}", version));
        // A message may hold several chunks of 2 MiB; the default limit is 4 MiB.
        arguments.SetMaxReceiveMessageSize(-1);
        // Else gRPC would give all channels to one target the same connection.
        arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
        // Proxies of the environment are for the way to other machines.
        if (endpoint_.local()) arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
        channel = grpc::CreateCustomChannel(endpoint_.target(), credentials_, arguments);
    }
    return channel;
}

void channels::prepare(
    grpc::ClientContext& context, const std::string& bucket, const std::string& routing_token
) const {
    // Verbatim, as the other clients send it: no percent encoding.
    std::string params = "bucket=" + bucket_resource(bucket);
    if (!routing_token.empty()) params += "&routing_token=" + routing_token;
    context.AddMetadata("x-goog-request-params", params);
    context.AddMetadata("x-goog-api-client", api_client_);
    if (!user_project_.empty()) context.AddMetadata("x-goog-user-project", user_project_);
}

}  // namespace rangeio::grpc_transport
