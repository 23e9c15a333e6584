#include <rangeio/client.hpp>
#include <rangeio/proto/storage.pb.h>
#include <rangeio/proto/storage_control.pb.h>

#include "gcs/client_core.hpp"
#include "gcs/page_cursor.hpp"
#include "grpc/grpc_unary_attempt.hpp"
#include "grpc/metadata_decoder.hpp"
#include "grpc/object_decoder.hpp"
#include "grpc/unary_call.hpp"
#include "option_range.hpp"
#include "runtime/operation.hpp"
#include "text.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <new>
#include <string_view>
#include <utility>

namespace rangeio {
namespace {

namespace pb = proto::storage::v2;
namespace control_pb = proto::storage::control::v2;
using core_ptr = std::shared_ptr<gcs::client_core>;
using grpc_transport::bucket_resource;

constexpr int max_page_size = 1000;
constexpr int max_empty_pages = 1'000'000;
constexpr std::size_t max_text_bytes = 1024;  // of what names begin with, or are cut at

void check_text(std::string_view what, std::string_view text) {
    if (text.size() > max_text_bytes) {
        throw error(failure(
            errc::invalid_argument,
            fmt::format("{}: {} bytes are more than {}", what, text.size(), max_text_bytes)
        ));
    }
    if (!is_utf8(text))
        throw error(failure(errc::invalid_argument, fmt::format("{}: it is not UTF-8", what)));
}

/// Calls `method` with `request`. `subject` leads the message of a failure.
asio::awaitable<result<std::string>> call(
    core_ptr core, std::string method, std::string bucket, std::string request, std::string subject
) {
    grpc_transport::unary_call::environment env;
    env.connector = grpc_transport::make_unary_connector(core->channels());
    env.core = core->runtime();
    env.executor = core->executor();
    env.retry = core->retry();
    env.watch = core->channels()->watch();
    env.open_timeout = pool_options().open_timeout();
    grpc_transport::unary_request asked;
    asked.method = std::move(method);
    asked.bucket = std::move(bucket);
    asked.message = std::move(request);
    const auto op = std::make_shared<grpc_transport::unary_call>(std::move(env), std::move(asked));
    co_await runtime::await_operation(op, core->rpc_timeout());
    if (op->why()) co_return op->why().with_context(subject);
    co_return op->response();
}

failure malformed(const std::string& subject, const wire::decode_result& how) {
    if (how.status == wire::decode_status::out_of_memory) throw std::bad_alloc();
    if (how.status == wire::decode_status::above_limit) {
        return {errc::protocol_error, fmt::format("{}: a page has {}", subject, how.what)};
    }
    return {errc::protocol_error, fmt::format("{}: malformed response: {}", subject, how.what)};
}

asio::awaitable<result<object_info>> stat_object(core_ptr core, object_ref object) {
    pb::GetObjectRequest request;
    request.set_bucket(bucket_resource(object.bucket()));
    request.set_object(object.name());
    request.set_generation(object.generation());
    const auto bytes = co_await call(
        core,
        "/google.storage.v2.Storage/GetObject",
        object.bucket(),
        request.SerializeAsString(),
        object.to_string()
    );
    if (!bytes) co_return bytes.error();
    object_info out;
    const auto how = wire::decode_object(*bytes, out);
    if (!how) co_return malformed(object.to_string(), how);
    co_return out;
}

asio::awaitable<object_info> stat_or_throw(core_ptr core, object_ref object) {
    auto out = co_await stat_object(std::move(core), std::move(object));
    co_return std::move(out).value();
}

asio::awaitable<list_page> list_bucket(core_ptr core, std::string bucket, list_options options) {
    check_bucket_name(bucket);
    const std::string subject = "gs://" + bucket;
    throw_if(check_range("page_size", options.page_size(), 1, max_page_size));
    throw_if(check_range("max_empty_pages", options.max_empty_pages(), 1, max_empty_pages));
    check_text("prefix", options.prefix());
    check_text("delimiter", options.delimiter());
    auto cursor = gcs::page_cursor::parse(options.page_token());
    pb::ListObjectsRequest request;
    request.set_parent(bucket_resource(bucket));
    request.set_prefix(options.prefix());
    request.set_delimiter(options.delimiter());
    request.set_page_size(options.page_size());
    request.set_page_token(cursor.service_token());
    const auto bytes = co_await call(
        core, "/google.storage.v2.Storage/ListObjects", bucket, request.SerializeAsString(), subject
    );
    if (!bytes) throw error(bytes.error());
    list_page page;
    const auto how = wire::decode_listing(*bytes, page);
    if (!how) throw error(malformed(subject, how));
    if (const failure why = cursor.take(page, static_cast<unsigned>(options.max_empty_pages()))) {
        throw error(why.with_context(subject));
    }
    co_return page;
}

asio::awaitable<bucket_layout> bucket_layout_of(core_ptr core, std::string bucket) {
    check_bucket_name(bucket);
    const std::string subject = "gs://" + bucket;
    control_pb::GetStorageLayoutRequest request;
    request.set_name(bucket_resource(bucket) + "/storageLayout");
    const auto bytes = co_await call(
        core,
        "/google.storage.control.v2.StorageControl/GetStorageLayout",
        bucket,
        request.SerializeAsString(),
        subject
    );
    if (!bytes) throw error(bytes.error());
    bucket_layout out;
    const auto how = wire::decode_layout(*bytes, out);
    if (!how) throw error(malformed(subject, how));
    co_return out;
}

}  // namespace

asio::awaitable<object_info> client::stat(object_ref object) {
    return stat_or_throw(core_, std::move(object));
}

asio::awaitable<result<object_info>> client::try_stat(object_ref object) {
    return stat_object(core_, std::move(object));
}

asio::awaitable<list_page> client::list(std::string bucket, list_options options) {
    return list_bucket(core_, std::move(bucket), std::move(options));
}

asio::awaitable<bucket_layout> client::layout(std::string bucket) {
    return bucket_layout_of(core_, std::move(bucket));
}

}  // namespace rangeio
