// Random messages, whole and damaged, in random slices: protobuf's own parser says what they mean.

#include <rangeio/proto/storage.pb.h>

#include "unit/wire_message.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <iterator>
#include <random>
#include <string>
#include <vector>

using namespace rangeio::test;

namespace {

class generator {
public:
    explicit generator(std::uint64_t seed) : random_(seed) {}

    std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
    bool one_in(std::uint64_t n) { return below(n) == 0; }

    std::string response() {
        std::vector<std::string> fields;
        some(fields, 3, [&] { return bytes_field(6, range()); });
        some(fields, 1, [&] { return bytes_field(4, object()); });
        some(fields, 1, [&] { return bytes_field(7, joined({bytes_field(1, text(20))})); });
        return joined(std::move(fields));
    }

    std::string damaged(std::string message) {
        for (int n = one_in(4) ? 2 : 1; n != 0 && !message.empty(); --n) {
            const std::size_t at = below(message.size());
            switch (below(6)) {
                case 0: message[at] = static_cast<char>(message[at] ^ (1 << below(8))); break;
                case 1: message[at] = static_cast<char>(below(256)); break;
                case 2: message.resize(at); break;
                case 3: message.erase(at, 1 + below(4)); break;
                case 4: message.insert(at, message.substr(below(message.size()), 1 + below(16))); break;
                case 5: message.insert(at, 1 + below(10), one_in(2) ? '\x80' : '\xff'); break;
            }
        }
        return message;
    }

    sliced cut(std::string_view message) {
        const std::uint64_t most = std::vector<std::uint64_t>{2, 3, 17, 200}[below(4)];
        return sliced(message, [&, most] { return below(most); });
    }

private:
    std::string range() {
        std::vector<std::string> fields;
        some(fields, 1, [&] { return bytes_field(1, checksummed_data()); });
        some(fields, 1, [&] { return bytes_field(2, read_range()); });
        some(fields, 1, [&] { return varint_field(3, below(3)); });
        return joined(std::move(fields));
    }

    std::string checksummed_data() {
        std::vector<std::string> fields;
        some(fields, 1, [&] { return bytes_field(1, text(300)); });
        some(fields, 1, [&] { return fixed32_field(2, static_cast<std::uint32_t>(random_())); });
        return joined(std::move(fields));
    }

    std::string read_range() {
        std::vector<std::string> fields;
        for (const std::uint32_t number : {1U, 2U, 3U}) {
            some(fields, 1, [&] { return varint_field(number, number_value()); });
        }
        return joined(std::move(fields));
    }

    std::string object() {
        rangeio::proto::storage::v2::Object object;
        object.set_name("name");
        object.set_generation(static_cast<std::int64_t>(number_value()));
        object.mutable_finalize_time()->set_seconds(1);
        (*object.mutable_metadata())["key" + std::to_string(below(3))] = "value";
        object.mutable_checksums()->set_crc32c(1);
        return joined({object.SerializeAsString()});
    }

    // A number of any kind, sometimes one of ours with a wire type that is not its own.
    std::string unknown(int levels = 3) {
        const auto number =
            static_cast<std::uint32_t>(one_in(2) ? 1 + below(8) : 1 + below(one_in(2) ? 200 : (1 << 29) - 1));
        switch (below(5)) {
            case 0: return varint_field(number, number_value());
            case 1: return fixed64_field(number, random_());
            case 2: return bytes_field(number + 100, text(20));
            case 3: return group_field(number, levels == 0 || one_in(2) ? "" : unknown(levels - 1));
            default: return fixed32_field(number, static_cast<std::uint32_t>(random_()));
        }
    }

    template <class Make>
    void some(std::vector<std::string>& fields, std::uint64_t usual, Make make) {
        for (std::uint64_t n = below(usual + 1) + (one_in(4) ? 1 : 0); n != 0; --n) {
            fields.push_back(make());
        }
    }

    std::string joined(std::vector<std::string> fields) {
        for (; one_in(3);) {
            fields.push_back(unknown());
        }
        std::shuffle(fields.begin(), fields.end(), random_);
        std::string out;
        for (const std::string& field : fields) {
            out += field;
        }
        return out;
    }

    std::string text(std::uint64_t most) {
        std::string out(below(most), '\0');
        std::generate(out.begin(), out.end(), [&] { return static_cast<char>(random_()); });
        return out;
    }

    // Of every length from one byte to ten.
    std::uint64_t number_value() { return random_() >> below(64); }

    std::mt19937_64 random_;
};

struct tally {
    int accepted = 0;
    int rejected = 0;

    void judge(const std::string& message, const sliced& as_slices) {
        bool good = false;
        REQUIRE(disagreement(message, as_slices, &good) == "");
        good ? ++accepted : ++rejected;
    }
};

}  // namespace

TEST_SUITE_BEGIN("response_decoder");

TEST_CASE("response_decoder: random messages in random slices decode as by protobuf") {
    tally count;
    for (std::uint64_t seed = 0; seed < 5000; ++seed) {
        CAPTURE(seed);
        generator make(seed);
        const std::string message = make.response();
        count.judge(message, make.cut(message));
        count.judge(message, sliced(message, 1));
        count.judge(message, sliced(message));
    }
    // The generator writes well-formed messages; an unknown field may hit a string of the object, which has
    // to be UTF-8.
    CHECK(count.accepted > 14000);
}

TEST_CASE("response_decoder: damaged messages are accepted and rejected as by protobuf") {
    tally count;
    for (std::uint64_t seed = 0; seed < 20000; ++seed) {
        CAPTURE(seed);
        generator make(seed);
        const std::string message = make.damaged(make.response());
        count.judge(message, make.cut(message));
    }
    // Neither side of the comparison may be an empty one.
    CHECK(count.accepted > 4000);
    CHECK(count.rejected > 4000);
}

TEST_SUITE_END();
