#pragma once

#include <string>
#include <string_view>

namespace rangeio::grpc_transport {

/// Where a service is: what a caller, an option or a variable wrote, checked, and put into the one form of it.
class endpoint {
public:
    enum class security { by_credentials, plain, tls };

    /// Takes what `client_options::endpoint` lists, with blanks around it.
    /// Throws: errc::invalid_argument that says what is wrong, and what to write.
    static endpoint parse(std::string_view text);

    /// For gRPC, such as `dns:///localhost:9000`, and for people.
    const std::string& target() const noexcept { return target_; }
    const std::string& shown() const noexcept { return shown_; }
    /// On this machine: nobody in between, neither proxies nor those who listen.
    bool local() const noexcept { return local_; }
    /// What `http://` and `https://` ask for.
    security wanted() const noexcept { return security_; }

private:
    std::string target_;
    std::string shown_;
    bool local_ = false;
    security security_ = security::by_credentials;
};

/// The endpoint of an option, or without one that of the environment, or else that of the service.
struct chosen_endpoint {
    endpoint where;
    bool from_environment = false;
};
/// Throws as endpoint::parse(), and names the variable if that is wrong.
chosen_endpoint choose_endpoint(const std::string& option);

}  // namespace rangeio::grpc_transport
