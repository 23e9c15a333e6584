#include "grpc/status_details.hpp"

#include <rangeio/proto/any.hpp>
#include <rangeio/proto/rpc.pb.h>
#include <rangeio/proto/storage.pb.h>

#include <grpcpp/support/status.h>

#include <doctest/doctest.h>

#include <string>

// What the end of a call says, besides its status: the trailer grpc-status-details-bin.

namespace {

namespace pb = rangeio::proto::storage::v2;
using rangeio::errc;
using rangeio::grpc_transport::call_end;

template <class... Details>
std::string trailer(const Details&... details) {
    rangeio::proto::rpc::Status said;
    said.set_code(grpc::StatusCode::ABORTED);
    (rangeio::proto::pack(details, *said.add_details()), ...);
    return said.SerializeAsString();
}

call_end end_from_status(const grpc::Status& status) {
    return rangeio::grpc_transport::end_of_call(
        status.error_code(), status.error_message(), status.error_details()
    );
}

grpc::Status aborted(const std::string& details) {
    return {grpc::StatusCode::ABORTED, "text", details};
}

}  // namespace

TEST_CASE("status details: a status without details has no redirect and no range errors") {
    CHECK_FALSE(end_from_status(grpc::Status()).why);
    const auto end = end_from_status(aborted(""));
    CHECK(end.why.kind() == rangeio::error_class::aborted);
    CHECK_FALSE(end.redirect);
    CHECK(end.range_errors.empty());
}

TEST_CASE("status details: a redirect carries its token and its handle, if they are present") {
    pb::BidiReadObjectRedirectedError said;
    SUBCASE("neither token nor handle") {
        const auto end = end_from_status(aborted(trailer(said)));
        REQUIRE(end.redirect);
        CHECK(end.redirect->routing_token == "");
        CHECK_FALSE(end.redirect->read_handle);
    }
    SUBCASE("a token, unchanged") {
        said.set_routing_token("a%2Fb=+c");
        const auto end = end_from_status(aborted(trailer(said)));
        REQUIRE(end.redirect);
        CHECK(end.redirect->routing_token == "a%2Fb=+c");
        CHECK_FALSE(end.redirect->read_handle);
    }
    SUBCASE("an empty handle counts as none") {
        said.mutable_read_handle();
        CHECK_FALSE(end_from_status(aborted(trailer(said))).redirect->read_handle);
    }
    SUBCASE("token and handle, among details of other types and under any status") {
        said.set_routing_token("t");
        said.mutable_read_handle()->set_handle(std::string("h\0h", 3));
        const std::string details = trailer(rangeio::proto::rpc::ErrorInfo(), said);
        for (const auto code : {grpc::StatusCode::ABORTED, grpc::StatusCode::UNAVAILABLE}) {
            const auto end = end_from_status(grpc::Status(code, "text", details));
            REQUIRE(end.redirect);
            CHECK(end.redirect->routing_token == "t");
            CHECK(end.redirect->read_handle == std::string("h\0h", 3));
        }
    }
}

TEST_CASE("status details: each range at fault has its own status or none") {
    pb::BidiReadObjectError said;
    auto* one = said.add_read_range_errors();
    one->set_read_id(7);
    one->mutable_status()->set_code(grpc::StatusCode::OUT_OF_RANGE);
    one->mutable_status()->set_message("past the end");
    said.add_read_range_errors()->set_read_id(-1);
    one = said.add_read_range_errors();
    one->set_read_id(8);
    one->mutable_status()->set_code(grpc::StatusCode::ABORTED);
    const auto end = end_from_status(aborted(trailer(said)));
    REQUIRE(end.range_errors.size() == 3);
    CHECK(end.range_errors[0].read_id == 7);
    CHECK(end.range_errors[0].why.code() == errc::range_not_satisfiable);
    CHECK(end.range_errors[0].why.message() == "past the end (OUT_OF_RANGE)");
    CHECK(end.range_errors[1].read_id == -1);
    CHECK_FALSE(end.range_errors[1].why);
    CHECK(end.range_errors[2].why.kind() == rangeio::error_class::aborted);
    CHECK_FALSE(end.redirect);
}

TEST_CASE("status details: malformed details are ignored, and the status is kept") {
    pb::BidiReadObjectRedirectedError redirect;
    redirect.set_routing_token("token");
    const std::string whole = trailer(redirect);
    for (std::size_t size = 1; size < whole.size(); ++size) {
        const auto end = end_from_status(aborted(whole.substr(0, size)));
        CHECK(end.why.kind() == rangeio::error_class::aborted);
        CHECK((!end.redirect || end.redirect->routing_token == "token"));
    }
    CHECK_FALSE(end_from_status(aborted("\xff\xff\xff")).redirect);

    rangeio::proto::rpc::Status broken;
    auto& detail = *broken.add_details();
    rangeio::proto::pack(redirect, detail);
    detail.mutable_value()->resize(3);
    CHECK_FALSE(end_from_status(aborted(broken.SerializeAsString())).redirect);
}
