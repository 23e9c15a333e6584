#pragma once

#include <string>
#include <string_view>

namespace rangeio::grpc_transport {

/// The address of a service, from a caller, an option or an environment variable, checked and in canonical form.
class endpoint {
public:
    enum class security { by_credentials, plain, tls };

    /// Accepts the forms that `client_options::endpoint` lists, surrounded by blanks.
    ///
    /// Throws: errc::invalid_argument; the text has the fault and the accepted forms.
    static endpoint parse(std::string_view text);

    /// For gRPC, such as `dns:///localhost:9000`.
    const std::string& target() const noexcept { return target_; }
    /// For messages.
    const std::string& shown() const noexcept { return shown_; }
    /// On this machine: there are neither proxies nor eavesdroppers on the path.
    bool local() const noexcept { return local_; }
    /// The security that `http://` or `https://` requests.
    security wanted() const noexcept { return security_; }

private:
    std::string target_;
    std::string shown_;
    bool local_ = false;
    security security_ = security::by_credentials;
};

/// The endpoint of the option; without one, that of the environment; without both, that of the service.
struct chosen_endpoint {
    endpoint where;
    bool from_environment = false;
};
/// Throws: as endpoint::parse(); the text names the environment variable if that is wrong.
chosen_endpoint choose_endpoint(const std::string& option);

}  // namespace rangeio::grpc_transport
