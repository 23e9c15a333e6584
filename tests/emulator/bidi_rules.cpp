#include <rangeio/proto/any.hpp>
#include <rangeio/proto/rpc.pb.h>

#include "emulator/fixture.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace support;

namespace {

const std::string content = pattern(1000);

struct one_object : fixture {
    using fixture::fixture;
    one_object() { files.write("b/o", content); }
};

// The ids that a BidiReadObjectError in the trailer names.
std::vector<std::int64_t> named_ids(const call_outcome& outcome) {
    rangeio::proto::rpc::Status status;
    REQUIRE(status.ParseFromString(outcome.details));
    CHECK(status.code() == outcome.code);
    CHECK(status.message() == outcome.message);
    REQUIRE(status.details_size() == 1);
    CHECK(status.details(0).type_url() == "type.googleapis.com/google.storage.v2.BidiReadObjectError");
    storage::BidiReadObjectError detail;
    REQUIRE(rangeio::proto::unpack(status.details(0), detail));
    std::vector<std::int64_t> ids;
    for (const auto& range : detail.read_range_errors()) {
        CHECK(range.status().code() == outcome.code);
        ids.push_back(range.read_id());
    }
    return ids;
}

}  // namespace

TEST_CASE("BidiReadObject: an opening message without ranges is answered at once, without data") {
    one_object f;
    raw_call call = f.open_stream();
    REQUIRE(call.write(bidi_request("o", {}).SerializeAsString()));
    received got;
    got.take(call.read().value());
    const storage::BidiReadObjectResponse& first = got.responses.front();
    CHECK(first.object_data_ranges_size() == 0);
    CHECK(first.metadata().name() == "o");
    CHECK(first.metadata().bucket() == bucket_name);
    CHECK(first.metadata().size() == 1000);
    CHECK(first.metadata().generation() > 0);
    CHECK_FALSE(first.read_handle().handle().empty());

    SUBCASE("ranges may follow in any number of messages") {
        REQUIRE(call.write(bidi_request("", {{0, 10, 1}, {500, 0, 2}}).SerializeAsString()));
        got.read(call, 2);
        REQUIRE(call.write(bidi_request("", {{-1, 0, 1}}).SerializeAsString()));
        got.ended[1] = false;  // the id is free again
        got.bytes[1].clear();
        got.first_offset.erase(1);
        got.read(call, 2);
        CHECK(got.bytes[1] == content.substr(999));
        CHECK(got.bytes[2] == content.substr(500));
        CHECK_FALSE(got.responses.back().has_metadata());
        CHECK_FALSE(got.responses.back().has_read_handle());
        call.half_close();
        CHECK(got.read_all(call).code == code::ok);
    }
    SUBCASE("a message without ranges is not answered") {
        REQUIRE(call.write(bidi_request("", {}).SerializeAsString()));
        call.half_close();
        CHECK(got.read_all(call).code == code::ok);
        CHECK(got.responses.size() == 1);
    }
}

TEST_CASE("BidiReadObject: metadata and handle are sent once, with the first data") {
    one_object f;
    const auto [got, outcome] = read_ranges(f, bidi_request("o", {{0, 1, 1}, {1, 1, 2}}));
    CHECK(outcome.code == code::ok);
    REQUIRE(got.responses.size() == 2);
    CHECK(got.responses[0].metadata().size() == 1000);
    CHECK(got.responses[0].has_read_handle());
    CHECK_FALSE(got.responses[1].has_metadata());
    CHECK_FALSE(got.responses[1].has_read_handle());
}

TEST_CASE("BidiReadObject: ranges requested before the half-close are served after it") {
    one_object f;
    raw_call call = f.open_stream();
    call.write(bidi_request("o", {}).SerializeAsString());
    for (int id = 0; id < 50; ++id) {
        call.write(bidi_request("", {{id, 1, id}}).SerializeAsString());
    }
    call.half_close();
    received got;
    CHECK(got.read_all(call).code == code::ok);
    CHECK(std::count_if(got.ended.begin(), got.ended.end(), [](const auto& e) { return e.second; }) == 50);
}

TEST_CASE("BidiReadObject: one bad range ends the stream and is the only one that the error names") {
    one_object f;
    SUBCASE("in the opening message: nothing else is sent") {
        const auto [got, outcome] = read_ranges(f, bidi_request("o", {{0, 1, 4}, {1001, 1, 5}, {0, -1, 6}}));
        CHECK(outcome.code == code::out_of_range);
        CHECK(outcome.message.find("gs://b/o") != std::string::npos);
        CHECK(outcome.message.find("read_id=5") != std::string::npos);
        CHECK(named_ids(outcome) == std::vector<std::int64_t>{5, 6});
        CHECK(got.responses.empty());
    }
    SUBCASE("in a later message") {
        raw_call call = f.open_stream();
        call.write(bidi_request("o", {}).SerializeAsString());
        received got;
        got.take(call.read().value());
        call.write(bidi_request("", {{2000, 0, 9}}).SerializeAsString());
        const call_outcome outcome = got.read_all(call);
        CHECK(outcome.code == code::out_of_range);
        CHECK(named_ids(outcome) == std::vector<std::int64_t>{9});
    }
}

TEST_CASE("BidiReadObject: errors of a hundred bad ranges of a long object name fit into the trailers") {
    fixture f;
    std::string name;
    for (int i = 0; i < 4; ++i) {
        name += (i == 0 ? "" : "/") + std::string(80, 'x');
        for (int k = 0; k < 80; ++k) {
            name += "\xc3\xa4";
        }
    }
    f.files.write("b/" + name, content);
    std::vector<asked> bad(100);
    std::vector<std::int64_t> ids;
    for (std::size_t i = 0; i < bad.size(); ++i) {
        ids.push_back((std::int64_t{1} << 62) + static_cast<std::int64_t>(i));
        bad[i] = {1001, 1, ids.back()};
    }
    const call_outcome outcome = read_ranges(f, bidi_request(name, bad)).outcome;
    CHECK(outcome.code == code::out_of_range);
    CHECK(named_ids(outcome) == ids);
}

TEST_CASE("BidiReadObject: a client that requests faster than it reads is slowed down and loses no byte") {
    one_object f;
    raw_call call = f.open_stream();
    call.write(bidi_request("o", {}).SerializeAsString());
    // More than the server queues, but not more than the flow-control window holds besides.
    constexpr std::int64_t count = 52'000;
    for (std::int64_t id = 0; id < count;) {
        std::vector<asked> some;
        for (int i = 0; i < 100; ++i, ++id) {
            some.push_back({id % 1000, 1, id});
        }
        REQUIRE(call.write(bidi_request("", some).SerializeAsString()));
    }
    call.half_close();
    std::int64_t served = 0;
    storage::BidiReadObjectResponse response;
    bool right = true;
    while (const auto message = call.read()) {
        right = right && response.ParseFromString(*message);
        for (const auto& data : response.object_data_ranges()) {
            const auto at = static_cast<std::size_t>(data.read_range().read_id() % 1000);
            right = right && data.checksummed_data().content() == content.substr(at, 1) && data.range_end();
            ++served;
        }
    }
    CHECK(call.finish().code == code::ok);
    CHECK(right);
    CHECK(served == count);
}

TEST_CASE("BidiReadObject: a message that violates the protocol is rejected") {
    one_object f;
    received got;
    const auto refused = [&](std::vector<std::string> messages, const std::string& params = bucket_params) {
        raw_call call = f.open_stream(params);
        for (const std::string& message : messages) {
            call.write(message);
        }
        call.half_close();
        return got.read_all(call);
    };
    const std::string opening = bidi_request("o", {}).SerializeAsString();
    const auto check = [](const call_outcome& outcome, std::string_view words) {
        CHECK(outcome.code == code::invalid_argument);
        CAPTURE(outcome.message);
        CHECK(outcome.message.find(words) != std::string::npos);
    };
    SUBCASE("no message") {
        check(refused({}), "read_object_spec");
    }
    SUBCASE("no spec in the first message") {
        check(refused({bidi_request("", {{0, 1, 1}}).SerializeAsString()}), "first message");
    }
    SUBCASE("a second spec") {
        check(refused({opening, opening}), "only the first message");
    }
    SUBCASE("garbage in the first message") {
        check(refused({"\xff\xff\xff"}), "malformed");
    }
    SUBCASE("garbage in a later message") {
        check(refused({opening, "\x0a\x05x"}), "malformed");
    }
    SUBCASE("an id twice in one message") {
        check(refused({bidi_request("o", {{0, 1, 3}, {5, 1, 3}}).SerializeAsString()}), "read_id 3");
    }
    SUBCASE("more than 100 ranges in a message") {
        std::vector<asked> many(101);
        for (std::size_t i = 0; i < many.size(); ++i) {
            many[i] = {0, 1, static_cast<std::int64_t>(i)};
        }
        check(refused({bidi_request("o", many).SerializeAsString()}), "101");
        many.pop_back();
        CHECK(refused({bidi_request("o", many).SerializeAsString()}).code == code::ok);
    }
    SUBCASE("no routing header") {
        check(refused({opening}, ""), "x-goog-request-params");
    }
    SUBCASE("another bucket in the header") {
        check(refused({opening}, "bucket=projects/_/buckets/c"), "x-goog-request-params");
    }
    SUBCASE("a header that contains the bucket at another place only") {
        check(refused({opening}, "xbucket=projects/_/buckets/b"), "x-goog-request-params");
        check(refused({opening}, "bucket=projects/_/buckets/bb"), "x-goog-request-params");
    }
}

TEST_CASE("BidiReadObject: an id of a range that is still being served cannot be reused") {
    fixture f;
    // More than the flow-control windows hold, so that it is certainly not done.
    f.files.write("b/o", pattern(std::size_t{64} << 20));
    raw_call call = f.open_stream();
    call.write(bidi_request("o", {{0, 0, 1}}).SerializeAsString());
    REQUIRE(call.read());
    call.write(bidi_request("", {{0, 1, 1}}).SerializeAsString());
    received got;
    got.first_offset[1] = 0;
    while (call.read()) {
    }
    const call_outcome outcome = call.finish();
    CHECK(outcome.code == code::invalid_argument);
    CHECK(outcome.message.find("read_id 1") != std::string::npos);
}

TEST_CASE("BidiReadObject: every encoding of the routing header is accepted") {
    one_object f;
    for (const std::string params :
         {"bucket=projects/_/buckets/b",
          "bucket=projects%2F_%2Fbuckets%2Fb",
          "bucket=projects%2f%5F%2fbuckets%2fb",
          "routing_token=a%+b&bucket=projects/_/buckets/b",
          "bucket=projects%2F_%2Fbuckets%2Fb&force_direct_connectivity=ENFORCED",
          "&&bucket=projects/_/buckets/b&"}) {
        CAPTURE(params);
        CHECK(read_ranges(f, bidi_request("o", {{0, 1, 1}}), params).outcome.code == code::ok);
    }
    storage::BidiReadObjectRequest request = bidi_request("o", {});
    request.mutable_read_object_spec()->set_routing_token("a%2Fb+");
    CHECK(read_ranges(f, request, "routing_token=a%2Fb+&" + bucket_params).outcome.code == code::ok);
    CHECK(read_ranges(f, request, "routing_token=a%252Fb+&" + bucket_params).outcome.code == code::ok);
    CHECK(read_ranges(f, request, "routing_token=c&" + bucket_params).outcome.code == code::invalid_argument);
}

TEST_CASE("BidiReadObject: without strict mode, any message that the service's testbench accepts is accepted"
) {
    fixture f(rangeio::emulator::server_options().strict(false));
    f.files.write("b/o", content);
    std::vector<asked> many(150, asked{0, 1, 3});
    raw_call call = f.open_stream("");
    call.write(bidi_request("o", {}).SerializeAsString());
    call.write(bidi_request("o", many).SerializeAsString());
    call.half_close();
    int chunks = 0;
    while (call.read()) {
        ++chunks;
    }
    CHECK(chunks == 151);
    CHECK(call.finish().code == code::ok);
}
