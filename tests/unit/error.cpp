#include <rangeio/error.hpp>

#include <doctest/doctest.h>

using rangeio::errc;
using rangeio::failure;

TEST_CASE("failure: default constructed, it means success") {
    CHECK_FALSE(failure{});
    CHECK_FALSE(failure{}.code().failed());
}

TEST_CASE("failure: keeps the code, the message and the status of the service") {
    const failure why{errc::not_found, "gs://b/o: no such object", 5};
    CHECK(why);
    CHECK(why.code() == errc::not_found);
    CHECK(why.message() == "gs://b/o: no such object");
    CHECK(why.grpc_status() == 5);
    CHECK(why.with_context("stat").message() == "stat: gs://b/o: no such object");
    CHECK(why.with_context("stat").code() == errc::not_found);
    CHECK(why.with_context("gs://b/o [0, 1)").message() == "gs://b/o [0, 1): no such object");
}

TEST_CASE("failure: without a message, the code speaks") {
    CHECK(failure(errc::short_read).message() == "short read");
    CHECK(failure(rangeio::error_code(14, rangeio::grpc_category())).message() == "UNAVAILABLE");
    CHECK(rangeio::grpc_category().message(99) == "gRPC status 99");
    CHECK(rangeio::grpc_category().message(-1) == "gRPC status -1");
}

TEST_CASE("result: value() throws rangeio::error with the message") {
    const rangeio::result<int> r = failure(errc::pool_closed, "pool of gs://b/o: closed");
    CHECK_THROWS_AS(r.value(), rangeio::error);
    try {
        (void)r.value();
    } catch (const rangeio::error& e) {
        CHECK(e.code() == errc::pool_closed);
        CHECK(std::string(e.what()) == "pool of gs://b/o: closed");
    }
}
