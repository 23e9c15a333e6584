#include <rangeio/proto/any.hpp>
#include <rangeio/proto/rpc.pb.h>
#include <rangeio/proto/storage.pb.h>

#include <doctest/doctest.h>

namespace rpc = rangeio::proto::rpc;
namespace storage = rangeio::proto::storage::v2;
using rangeio::proto::pack;
using rangeio::proto::service_name;
using rangeio::proto::unpack;

namespace {

google::protobuf::Any packed_redirect() {
    storage::BidiReadObjectRedirectedError redirect;
    redirect.set_routing_token("token");
    google::protobuf::Any any;
    pack(redirect, any);
    return any;
}

}  // namespace

TEST_SUITE_BEGIN("proto_any");

TEST_CASE("proto_any: a packed message carries the service's type URL") {
    CHECK(
        packed_redirect().type_url() == "type.googleapis.com/google.storage.v2.BidiReadObjectRedirectedError"
    );
    CHECK(service_name<rpc::RetryInfo>() == "google.rpc.RetryInfo");
}

TEST_CASE("proto_any: a packed message is unpacked, whatever stands before the slash") {
    auto any = packed_redirect();
    storage::BidiReadObjectRedirectedError redirect;
    REQUIRE(unpack(any, redirect));
    CHECK(redirect.routing_token() == "token");
    any.set_type_url("example.com/types/google.storage.v2.BidiReadObjectRedirectedError");
    CHECK(unpack(any, redirect));
}

TEST_CASE("proto_any: another type, no type or malformed bytes are not unpacked") {
    auto any = packed_redirect();
    storage::BidiReadObjectError other;
    CHECK_FALSE(unpack(any, other));

    storage::BidiReadObjectRedirectedError redirect;
    for (const char* url :
         {"", "/", "google.storage.v2.BidiReadObjectRedirectedError", "a/xgoogle.rpc.Status"}) {
        any.set_type_url(url);
        CHECK_FALSE(unpack(any, redirect));
    }
    any = packed_redirect();
    any.mutable_value()->resize(any.value().size() - 1);
    CHECK_FALSE(unpack(any, redirect));
}

TEST_SUITE_END();
