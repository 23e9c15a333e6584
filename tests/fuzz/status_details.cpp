#include "grpc/status_details.hpp"

#include <rangeio/proto/rpc.pb.h>

#include "fuzz/targets.hpp"
#include "grpc/limits.hpp"
#include "status_numbers.hpp"
#include "text.hpp"

#include <google/protobuf/stubs/common.h>

#include <algorithm>
#include <string>

namespace rangeio::fuzz {
namespace {

bool is_one_line(std::string_view text) {
    return is_utf8(text) && std::ranges::none_of(text, [](char c) {
               return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
           });
}

// How many of the details may be of this type, by the end of their names.
std::ptrdiff_t count(const proto::rpc::Status& said, std::string_view type) {
    return std::ranges::count_if(said.details(), [type](const auto& detail) {
        return std::string_view(detail.type_url()).ends_with(type);
    });
}

}  // namespace

void status_details(std::string_view input) {
#if GOOGLE_PROTOBUF_VERSION < 4022000  // later ones log through Abseil
    const google::protobuf::LogSilencer no_complaints_about_utf8;
#endif
    const int code = take_byte(input) % 17;
    const std::size_t wanted = take_byte(input);
    const std::size_t text_bytes = std::min(wanted, input.size());
    const std::string text(input.substr(0, text_bytes));
    const std::string details(input.substr(text_bytes));

    const auto end = grpc_transport::end_of_call(code, text, details);
    check(static_cast<bool>(end.why) == (code != 0), "a status is an error if it is not OK, and only then");
    check(end.why.kind() == class_of_status(code), "the class of the status is lost");
    check(end.why.retry_after().count() >= 0, "a wait is negative");
    check(is_one_line(end.why.message()), "the service's text is not one line");
    for (const auto& one : end.range_errors) {
        check(is_one_line(one.why.message()), "the text of a range's error is not one line");
    }

    check(
        end.range_errors.size() <= grpc_transport::max_range_errors, "more errors of ranges than are taken"
    );

    // What protobuf rejects we may take, for a text that is not UTF-8 has its uses still.
    proto::rpc::Status said;
    if (!said.ParseFromString(details)) return;
    check(
        !end.redirect || count(said, "/google.storage.v2.BidiReadObjectRedirectedError") > 0,
        "a made-up redirect"
    );
    check(
        end.range_errors.empty() || count(said, "/google.storage.v2.BidiReadObjectError") > 0,
        "made-up errors of ranges"
    );
}

}  // namespace rangeio::fuzz
