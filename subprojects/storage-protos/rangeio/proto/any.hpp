#pragma once

#include <google/protobuf/any.pb.h>

#include <string>
#include <string_view>

namespace rangeio::proto {

/// The name under which the service knows `Message`: "google.storage.v2.Object" for our
/// rangeio.proto.storage.v2.Object.
template <class Message>
std::string service_name() {
    constexpr std::string_view ours = "rangeio.proto.";
    return "google." + Message().GetTypeName().substr(ours.size());
}

/// Fills `any` with `message` under the service's type URL. Any::PackFrom() would write our own package's
/// name.
template <class Message>
void pack(const Message& message, google::protobuf::Any& any) {
    any.set_type_url("type.googleapis.com/" + service_name<Message>());
    message.SerializeToString(any.mutable_value());
}

/// Reads a `Message` out of `any`. False, and `message` unspecified, if `any` holds another type or is
/// malformed. Only what follows the last slash of the URL counts, as everywhere with Any.
template <class Message>
bool unpack(const google::protobuf::Any& any, Message& message) {
    const std::string_view url = any.type_url();
    const auto slash = url.rfind('/');
    return slash != url.npos && url.substr(slash + 1) == service_name<Message>() &&
           message.ParseFromString(any.value());
}

}  // namespace rangeio::proto
