#include <rangeio/proto/any.hpp>
#include <rangeio/proto/rpc.pb.h>

#include "emulator/faulty.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <thread>

using namespace support;

// Faults that end calls, or keep them from ending.

namespace {

template <class Detail>
Detail detail_of(const call_outcome& outcome) {
    rangeio::proto::rpc::Status status;
    REQUIRE(status.ParseFromString(outcome.details));
    CHECK(status.code() == outcome.code);
    REQUIRE(status.details_size() == 1);
    Detail detail;
    REQUIRE(rangeio::proto::unpack(status.details(0), detail));
    return detail;
}

}  // namespace

TEST_CASE("fault fail-open: a call ends with the status instead of its first response, the next one succeeds"
) {
    faulty_fixture f("fail-open status=PERMISSION_DENIED");
    const seen_stream got(f, {{0, 10, 1}});
    CHECK(got.responses.empty());
    CHECK(got.outcome.code == 7);
    CHECK(got.outcome.details.empty());
    CHECK(seen_stream(f, {{0, 10, 1}}).bytes(1) == f.content.substr(0, 10));
}

TEST_CASE("fault fail-open and reset: the status requests a wait") {
    for (const char* script :
         {"fail-open status=8 retry-after=1500ms", "reset status=8 retry-after=1500ms"}) {
        CAPTURE(script);
        faulty_fixture f(script);
        const seen_stream got(f, {{0, 10, 1}});
        CHECK(got.outcome.code == 8);
        const auto wait = detail_of<rangeio::proto::rpc::RetryInfo>(got.outcome).retry_delay();
        CHECK(wait.seconds() == 1);
        CHECK(wait.nanos() == 500'000'000);
    }
}

TEST_CASE("fault hang-open: no response is sent until the client cancels the call") {
    faulty_fixture f("hang-open call=1");
    raw_call call = f.open_stream();
    call.write(bidi_request("o", {{0, 10, 1}}).SerializeAsString());
    // The emulator counts calls as they reach it, and of two that are under way the later may be the first.
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (f.server.stats().faults_struck.at(0) == 0) {
        REQUIRE(std::chrono::steady_clock::now() < deadline);
        std::this_thread::yield();
    }
    // Another call is served meanwhile.
    CHECK(seen_stream(f, {{0, 10, 1}}).bytes(1) == f.content.substr(0, 10));
    call.cancel();
    seen got;
    CHECK(got.read_all(call).code == code::cancelled);
    CHECK(got.responses.empty());
}

TEST_CASE("fault hang-open: shutdown ends the emulator while a call hangs") {
    faulty_fixture f("hang-open");
    raw_call call = f.open_stream();
    call.write(bidi_request("o", {{0, 10, 1}}).SerializeAsString());
    f.server.shutdown();
    seen got;
    CHECK(got.read_all(call).code != code::ok);
}

TEST_CASE("fault reset: the call breaks at a byte counted over all its ranges") {
    faulty_fixture f("reset byte=150 status=INTERNAL");
    const seen_stream got(f, {{0, 100, 1}, {500, 100, 2}});
    CHECK(got.bytes(1) == f.content.substr(0, 100));
    CHECK(got.bytes(2) == f.content.substr(500, 50));
    CHECK(got.outcome.code == 13);
}

TEST_CASE("fault reset: the call breaks at a byte of one range") {
    faulty_fixture f("reset range=2 byte=30");
    const seen_stream got(f, {{0, 100, 1}, {500, 100, 2}, {700, 100, 3}});
    CHECK(got.bytes(1) == f.content.substr(0, 100));
    CHECK(got.bytes(2) == f.content.substr(500, 30));
    CHECK(got.bytes(3) == f.content.substr(700, 100));
    CHECK(got.outcome.code == code::unavailable);
}

TEST_CASE("fault reset: before the first byte no response is sent, behind the last byte all bytes are") {
    faulty_fixture f("reset call=1; reset call=2 byte=10");
    CHECK(seen_stream(f, {{0, 10, 1}}).responses.empty());
    const seen_stream got(f, {{0, 10, 1}});
    CHECK(got.bytes(1) == f.content.substr(0, 10));
    CHECK(got.chunks.at(0).end);
    CHECK(got.outcome.code == code::unavailable);
}

TEST_CASE("fault redirect: the call ends as ABORTED with a token, and with a handle if the fault names one") {
    faulty_fixture f("redirect call=1 token=t-1 handle=yes; redirect call=2 byte=40 token=t-2");
    const seen_stream first(f, {{0, 100, 1}});
    CHECK(first.responses.empty());
    CHECK(first.outcome.code == code::aborted);
    const auto told = detail_of<storage::BidiReadObjectRedirectedError>(first.outcome);
    CHECK(told.routing_token() == "t-1");
    CHECK(told.read_handle().handle().starts_with("rangeio-emulator:"));

    storage::BidiReadObjectRequest request = bidi_request("o", {{0, 100, 1}});
    request.mutable_read_object_spec()->set_routing_token("t-1");
    *request.mutable_read_object_spec()->mutable_read_handle() = told.read_handle();
    const seen_stream second(f, request, bucket_params + "&routing_token=t-1");
    CHECK(second.bytes(1) == f.content.substr(0, 40));
    CHECK(second.outcome.code == code::aborted);
    const auto again = detail_of<storage::BidiReadObjectRedirectedError>(second.outcome);
    CHECK(again.routing_token() == "t-2");
    CHECK_FALSE(again.has_read_handle());
}

TEST_CASE("fault redirect: with token=no the error carries no token, and the next call requires none") {
    faulty_fixture f("redirect token=no handle=yes; redirect token=no");
    const call_outcome with_handle = seen_stream(f, {{0, 10, 1}}).outcome;
    CHECK(with_handle.code == code::aborted);
    const auto told = detail_of<storage::BidiReadObjectRedirectedError>(with_handle);
    CHECK_FALSE(told.has_routing_token());
    CHECK(told.read_handle().handle().starts_with("rangeio-emulator:"));

    storage::BidiReadObjectRequest request = bidi_request("o", {{0, 10, 1}});
    *request.mutable_read_object_spec()->mutable_read_handle() = told.read_handle();
    const call_outcome with_nothing = seen_stream(f, request).outcome;
    CHECK(with_nothing.code == code::aborted);
    const auto nothing = detail_of<storage::BidiReadObjectRedirectedError>(with_nothing);
    CHECK_FALSE(nothing.has_routing_token());
    CHECK_FALSE(nothing.has_read_handle());
    CHECK(seen_stream(f, request).bytes(1) == f.content.substr(0, 10));
}

TEST_CASE("fault redirect: the next call must carry the token in its header and in its spec") {
    faulty_fixture f("redirect token=t/1 handle=yes");
    f.files.write("b/other", "text");
    raw_call earlier = f.open_stream();
    earlier.write(bidi_request("o", {}).SerializeAsString());
    seen begun;
    // The fault strikes where it is first looked for.
    const call_outcome told = begun.read_all(earlier);
    CHECK(told.code == code::aborted);
    const auto where = detail_of<storage::BidiReadObjectRedirectedError>(told);

    storage::BidiReadObjectRequest request = bidi_request("o", {{0, 10, 1}});
    *request.mutable_read_object_spec()->mutable_read_handle() = where.read_handle();
    const auto run = [&](bool header, bool spec) {
        if (spec) request.mutable_read_object_spec()->set_routing_token("t/1");
        return seen_stream(f, request, bucket_params + (header ? "&routing_token=t/1" : ""));
    };
    SUBCASE("in both") {
        CHECK(run(true, true).bytes(1) == f.content.substr(0, 10));
    }
    SUBCASE("in both, the header percent-encoded") {
        request.mutable_read_object_spec()->set_routing_token("t/1");
        CHECK(seen_stream(f, request, bucket_params + "&routing_token=t%2F1").outcome.code == code::ok);
    }
    SUBCASE("in the header only") {
        const call_outcome outcome = run(true, false).outcome;
        CHECK(outcome.code == code::invalid_argument);
        CHECK(
            outcome.message ==
            "the read_object_spec does not have routing_token=t/1, to which the client was redirected"
        );
    }
    SUBCASE("in the header, and another token in the spec") {
        request.mutable_read_object_spec()->set_routing_token("t/2");
        const std::string params = bucket_params + "&routing_token=t/1&routing_token=t/2";
        const call_outcome outcome = seen_stream(f, request, params).outcome;
        CHECK(outcome.code == code::invalid_argument);
        CHECK(outcome.message.starts_with("the read_object_spec does not have routing_token=t/1"));
    }
    SUBCASE("in the spec only") {
        const call_outcome outcome = run(false, true).outcome;
        CHECK(outcome.code == code::invalid_argument);
        CHECK(outcome.message.starts_with("the header x-goog-request-params does not have routing_token=t/1")
        );
    }
    SUBCASE("in neither, with the handle of the redirect") {
        const call_outcome outcome = run(false, false).outcome;
        CHECK(outcome.code == code::invalid_argument);
        CHECK(outcome.message.starts_with("neither the header x-goog-request-params nor the read_object_spec")
        );
        CHECK(outcome.message.find(" routing_token=t/1, ") != std::string::npos);
        CHECK(run(false, false).outcome.code == code::invalid_argument);
        CHECK(run(true, true).outcome.code == code::ok);
    }
    SUBCASE("other objects, and other streams of the connection, require no token") {
        CHECK(seen_stream(f, bidi_request("other", {{0, 0, 1}})).outcome.code == code::ok);
        CHECK(seen_stream(f, bidi_request("o", {{0, 10, 1}})).bytes(1) == f.content.substr(0, 10));
        CHECK(run(false, false).outcome.code == code::invalid_argument);
    }
}

TEST_CASE("fault redirect: after two redirects the token of either one is accepted") {
    faulty_fixture f("redirect token=t-1 handle=yes; redirect token=t-2");
    const auto redirected = [&f] {
        return detail_of<storage::BidiReadObjectRedirectedError>(seen_stream(f, {{0, 10, 1}}).outcome);
    };
    const auto first = redirected();
    CHECK(redirected().routing_token() == "t-2");
    storage::BidiReadObjectRequest request = bidi_request("o", {{0, 10, 1}});
    *request.mutable_read_object_spec()->mutable_read_handle() = first.read_handle();
    for (const std::string token : {"t-1", "t-2"}) {
        request.mutable_read_object_spec()->set_routing_token(token);
        for (int i = 0; i < 2; ++i) {
            const seen_stream got(f, request, bucket_params + "&routing_token=" + token);
            CHECK(got.bytes(1) == f.content.substr(0, 10));
        }
    }
    request.mutable_read_object_spec()->clear_routing_token();
    CHECK(seen_stream(f, request).outcome.code == code::invalid_argument);
}

TEST_CASE("fault redirect: the last thousand handles that were sent with a token are remembered") {
    faulty_fixture f("redirect token=t handle=yes times=1001");
    const auto redirected = [&f] {
        return detail_of<storage::BidiReadObjectRedirectedError>(seen_stream(f, {{0, 10, 1}}).outcome);
    };
    std::vector<storage::BidiReadHandle> handles;
    for (int i = 0; i < 1001; ++i) handles.push_back(redirected().read_handle());
    const auto come_back_with = [&f](const storage::BidiReadHandle& handle) {
        storage::BidiReadObjectRequest request = bidi_request("o", {{0, 10, 1}});
        *request.mutable_read_object_spec()->mutable_read_handle() = handle;
        return seen_stream(f, request).outcome.code;
    };
    // What is not remembered is not missed.
    CHECK(come_back_with(handles[0]) == code::ok);
    CHECK(come_back_with(handles[1]) == code::invalid_argument);
    CHECK(come_back_with(handles[1000]) == code::invalid_argument);
}

TEST_CASE("fault redirect: a token that no call carries in both places is reported as unused") {
    faulty_fixture f("redirect token=t-1; redirect token=t-2; redirect token=no");
    const auto unused = [&f] { return f.server.stats().unused_tokens; };
    const seen_stream told(f, {{0, 10, 1}});
    CHECK(unused() == std::vector<std::string>{"routing_token=t-1 of gs://b/o"});
    // These calls carry no token, so they look like new clients.
    for (int i = 0; i < 2; ++i) CHECK(seen_stream(f, {{0, 10, 1}}).outcome.code == code::aborted);
    CHECK(seen_stream(f, {{0, 10, 1}}).outcome.code == code::ok);
    CHECK(unused().size() == 2);

    storage::BidiReadObjectRequest request = bidi_request("o", {{0, 10, 1}});
    request.mutable_read_object_spec()->set_routing_token("t-1");
    CHECK(seen_stream(f, request, bucket_params + "&routing_token=t-1").outcome.code == code::ok);
    CHECK(unused() == std::vector<std::string>{"routing_token=t-2 of gs://b/o"});
    request.mutable_read_object_spec()->clear_routing_token();
    CHECK(seen_stream(f, request, bucket_params + "&routing_token=t-2").outcome.code != code::ok);
    CHECK(unused().empty());
}

TEST_CASE("fault redirect: a lenient emulator does not require the token") {
    faulty_fixture f("redirect token=t handle=yes", 1000, rangeio::emulator::server_options().strict(false));
    const call_outcome told = seen_stream(f, {{0, 10, 1}}).outcome;
    CHECK(told.code == code::aborted);
    storage::BidiReadObjectRequest request = bidi_request("o", {{0, 10, 1}});
    *request.mutable_read_object_spec()->mutable_read_handle() =
        detail_of<storage::BidiReadObjectRedirectedError>(told).read_handle();
    CHECK(seen_stream(f, request).outcome.code == code::ok);
    CHECK(f.server.stats().unused_tokens.size() == 1);
    CHECK(seen_stream(f, request, bucket_params + "&routing_token=t").outcome.code == code::ok);
    CHECK(f.server.stats().unused_tokens.empty());
}

TEST_CASE("fault range-error: the call ends with the status and names the range") {
    faulty_fixture f("range-error range=2 byte=5 status=DATA_LOSS");
    const seen_stream got(f, {{0, 10, 7}, {0, 10, 8}});
    CHECK(got.bytes(8) == f.content.substr(0, 5));
    CHECK(got.outcome.code == 15);
    const auto detail = detail_of<storage::BidiReadObjectError>(got.outcome);
    REQUIRE(detail.read_range_errors_size() == 1);
    CHECK(detail.read_range_errors(0).read_id() == 8);
    CHECK(detail.read_range_errors(0).status().code() == 15);
}

TEST_CASE("fault ok-early: the call ends with OK while a range is pending") {
    faulty_fixture f("ok-early byte=5");
    raw_call call = f.open_stream();
    call.write(bidi_request("o", {{0, 10, 1}}).SerializeAsString());
    seen got;
    CHECK(got.read_all(call).code == code::ok);
    CHECK(got.bytes(1) == f.content.substr(0, 5));
    CHECK_FALSE(got.chunks.at(0).end);
}

TEST_CASE("fault mute: one range is never answered and keeps the call open") {
    faulty_fixture f("mute range=1");
    raw_call call = f.open_stream();
    call.write(bidi_request("o", {{0, 10, 1}, {10, 10, 2}}).SerializeAsString());
    call.half_close();
    seen got;
    got.read(call, 1);
    CHECK(got.bytes(2) == f.content.substr(10, 10));
    CHECK(f.server.stats().bidi_read_object.open == 1);
    call.cancel();
    CHECK(got.read_all(call).code == code::cancelled);
    CHECK(got.chunks.size() == 1);
}

TEST_CASE("fault idle-abort: a call on which nothing is pending ends with ABORTED and no detail") {
    faulty_fixture f("idle-abort delay=20ms");
    raw_call call = f.open_stream();
    const auto start = std::chrono::steady_clock::now();
    call.write(bidi_request("o", {{0, 10, 1}}).SerializeAsString());
    seen got;
    const call_outcome outcome = got.read_all(call);
    CHECK(std::chrono::steady_clock::now() - start >= std::chrono::milliseconds(20));
    CHECK(got.bytes(1) == f.content.substr(0, 10));
    CHECK(outcome.code == code::aborted);
    CHECK(outcome.details.empty());
}

TEST_CASE("fault idle-abort: a call that ends before the delay is not affected") {
    faulty_fixture f("idle-abort delay=60s");
    CHECK(seen_stream(f, {{0, 10, 1}}).outcome.code == code::ok);
}
