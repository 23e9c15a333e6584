#include <rangeio/error.hpp>

#include "grpc/service_status.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <utility>

using rangeio::errc;
using rangeio::error_class;
using rangeio::error_value;

TEST_CASE("failure: the default means success") {
    CHECK_FALSE(error_value{});
    CHECK_FALSE(error_value{}.code().failed());
}

TEST_CASE("failure: code, message and status of the service are kept") {
    const error_value why{errc::not_found, "gs://b/o: no such object", error_class::gone};
    CHECK(why);
    CHECK(why.code() == errc::not_found);
    CHECK(why.message() == "gs://b/o: no such object");
    CHECK(why.kind() == error_class::gone);
    CHECK(why.with_context("stat").message() == "stat: gs://b/o: no such object");
    CHECK(why.with_context("stat").code() == errc::not_found);
    CHECK(why.with_context("gs://b/o [0, 1)").message() == "gs://b/o [0, 1): no such object");
}

TEST_CASE("failure: without a message, the text of the code is used") {
    CHECK(error_value(errc::short_read).message() == "short read");
    CHECK(error_value(rangeio::error_code(14, rangeio::grpc_category())).message() == "UNAVAILABLE");
    CHECK(rangeio::grpc_category().message(99) == "gRPC status 99");
    CHECK(rangeio::grpc_category().message(-1) == "gRPC status -1");
}

TEST_CASE("result: value() throws rangeio::error with the message") {
    const rangeio::result<int> r = error_value(errc::pool_closed, "pool of gs://b/o: closed");
    CHECK_THROWS_AS(r.value(), rangeio::error);
    try {
        (void)r.value();
    } catch (const rangeio::error& e) {
        CHECK(e.code() == errc::pool_closed);
        CHECK(std::string(e.what()) == "pool of gs://b/o: closed");
    }
}

TEST_CASE("failure: each status of gRPC has a class, with the service's text and without") {
    const std::pair<int, error_class> rows[] = {
        {0, error_class::none},
        {1, error_class::cancelled},
        {2, error_class::unknown},
        {3, error_class::refused},
        {4, error_class::transient},
        {5, error_class::gone},
        {6, error_class::refused},
        {7, error_class::denied},
        {8, error_class::throttled},
        {9, error_class::changed},
        {10, error_class::aborted},
        {11, error_class::out_of_range},
        {12, error_class::refused},
        {13, error_class::transient},
        {14, error_class::transient},
        {15, error_class::unknown},
        {16, error_class::denied},
    };
    for (const auto& [status, kind] : rows) {
        CHECK(rangeio::grpc_transport::from_status(status, "text").kind() == kind);
        CHECK(error_value(rangeio::error_code(status, rangeio::grpc_category())).kind() == kind);
    }
    CHECK(rangeio::grpc_transport::from_status(99, "text").kind() == error_class::unknown);
    CHECK(error_value(errc::not_found).kind() == error_class::none);
    CHECK(error_value().kind() == error_class::none);
}

TEST_CASE("failure: another message leaves the other fields unchanged") {
    const error_value why(
        errc::timed_out, rangeio::error_info{"one", error_class::throttled, std::chrono::seconds(3)}
    );
    const error_value other = why.with_message("two");
    CHECK(other.code() == errc::timed_out);
    CHECK(other.message() == "two");
    CHECK(other.kind() == error_class::throttled);
    CHECK(other.retry_after() == std::chrono::seconds(3));
    CHECK(
        error_value(rangeio::error_code(14, rangeio::grpc_category())).with_message("gone").kind() ==
        error_class::transient
    );
}
