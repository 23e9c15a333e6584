#include "grpc/channels.hpp"

#include "version.hpp"

#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace rangeio::grpc_transport {
namespace {

constexpr std::size_t max_channels = 64;
constexpr const char* service_endpoint = "storage.googleapis.com:443";
constexpr const char* emulator_variable = "STORAGE_EMULATOR_HOST_GRPC";

[[noreturn]] void reject(std::string message) {
    throw error(failure(errc::invalid_argument, std::move(message)));
}

// gRPC aborts the process for a header value that it cannot send, so nothing else gets that far.
void check_header(std::string_view what, std::string_view value) {
    const bool printable = std::ranges::all_of(value, [](char c) { return c >= 0x20 && c <= 0x7e; });
    if (!printable) reject(fmt::format("the {} has characters that no header can have", what));
}

bool on_this_machine(std::string_view endpoint) {
    if (endpoint.starts_with("unix:")) return true;
    if (endpoint.starts_with("[::1]")) return true;
    const std::string_view host = endpoint.substr(0, endpoint.rfind(':'));
    if (host == "localhost") return true;
    // An address, not a name that merely begins like one.
    return host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string_view::npos;
}

std::string endpoint_from_environment() {
    const char* const value = std::getenv(emulator_variable);
    if (value == nullptr) return {};
    std::string_view target = value;
    // Other tools' variables of this kind hold a URL; take that too.
    if (target.starts_with("http://")) target.remove_prefix(std::string_view("http://").size());
    while (target.ends_with('/')) target.remove_suffix(1);
    return std::string(target);
}

std::shared_ptr<grpc::ChannelCredentials> make_credentials(const credentials& how, bool local) {
    switch (how.type()) {
        case credentials::kind::insecure: return grpc::InsecureChannelCredentials();
        case credentials::kind::google_default: break;
        case credentials::kind::access_token:
            if (how.token().empty()) reject("the access token is empty");
            check_header("access token", how.token());
            return grpc::CompositeChannelCredentials(
                grpc::SslCredentials({}), grpc::AccessTokenCredentials(how.token())
            );
        case credentials::kind::automatic:
            if (local) return grpc::InsecureChannelCredentials();
            break;
    }
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
      endpoint_(options.endpoint()),
      user_project_(options.user_project()),
      api_client_(fmt::format("gl-cpp/20 gccl/{} grpc/{}", version, grpc::Version())) {
    if (options.channels() < 1 || options.channels() > max_channels) {
        reject(fmt::format("{} channels are not between 1 and {}", options.channels(), max_channels));
    }
    if (options.rpc_timeout() < std::chrono::nanoseconds::zero()) reject("the rpc timeout is negative");
    check_header("user project", user_project_);
    const std::string from_environment = endpoint_.empty() ? endpoint_from_environment() : "";
    if (endpoint_.empty()) endpoint_ = from_environment.empty() ? service_endpoint : from_environment;
    check_header("endpoint", endpoint_);
    credentials_ = make_credentials(options.auth(), !from_environment.empty() || on_this_machine(endpoint_));
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
        channel = grpc::CreateCustomChannel(endpoint_, credentials_, arguments);
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
