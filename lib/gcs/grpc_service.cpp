#include "gcs/grpc_service.hpp"

#include <rangeio/proto/storage.pb.h>
#include <rangeio/proto/storage_control.pb.h>

#include "checked_policy.hpp"
#include "error_text.hpp"
#include "grpc/channels.hpp"
#include "grpc/connections.hpp"
#include "grpc/grpc_connections.hpp"
#include "grpc/grpc_unary_attempt.hpp"
#include "grpc/metadata_decoder.hpp"
#include "grpc/mrd_maker.hpp"
#include "grpc/object_decoder.hpp"
#include "grpc/unary_call.hpp"
#include "runtime/context_service.hpp"
#include "runtime/operation.hpp"

#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <new>
#include <string>
#include <utility>

namespace rangeio::gcs {
namespace {

namespace pb = proto::storage::v2;
namespace control_pb = proto::storage::control::v2;
using grpc_transport::bucket_resource;
using grpc_transport::unary_request;

error_value malformed(const std::string& subject, const wire::decode_result& how) {
    if (how.status == wire::decode_status::out_of_memory) throw std::bad_alloc();
    if (how.status == wire::decode_status::above_limit) {
        return {errc::protocol_error, fmt::format("{}: a page has {}", subject, how.what)};
    }
    return {errc::protocol_error, fmt::format("{}: malformed response: {}", subject, how.what)};
}

/// A request for metadata; `read(bytes, out)` decodes the answer and may throw.
template <class T, class Read>
class metadata_operation final : public grpc_transport::unary_call, public detail::outcome_of<T> {
public:
    metadata_operation(environment env, unary_request request, std::string subject, Read read)
        : unary_call(std::move(env), std::move(request)),
          subject_(std::move(subject)),
          read_(std::move(read)) {}

    error_value outcome(T& out) noexcept override {
        const error_value how =
            guarded([&] { return why() ? why().with_context(subject_) : read_(response(), out); });
        if (how) out = T();
        return how;
    }

private:
    const std::string subject_;  // the beginning of the message of a failure
    Read read_;
};

class grpc_service final : public service {
public:
    grpc_service(const asio::any_io_executor& executor, const client_options& options)
        : executor_(executor),
          runtime_(runtime::core_of(executor)),
          rpc_timeout_(options.rpc_timeout()),
          retry_(checked(options.retry())),
          require_checksums_(options.require_checksums()),
          observer_(options.observed_by()),
          channels_(grpc_transport::channels::make(executor, options)) {
        grpc_transport::connections::environment env;
        env.maker = grpc_transport::make_grpc_connections(channels_);
        env.core = runtime_;
        env.limits = channels_->limits();
        env.watch = channels_->watch();
        connector_ = std::make_shared<grpc_transport::connections>(std::move(env));
    }

    const std::string& endpoint() const noexcept override { return channels_->endpoint(); }

    std::shared_ptr<mrd_factory> streams(object_ref object, const pool_options& options) override {
        const auto& own = options.observed_by();
        grpc_transport::mrd::environment out;
        out.connector = connector_;
        out.source = std::make_shared<grpc_transport::object_source>(std::move(object));
        out.reports = std::make_shared<transport::stream_reports>(own != nullptr ? own : observer_);
        out.core = runtime_;
        out.executor = executor_;
        out.open_timeout = options.open_timeout();
        out.retry = retry_;
        out.require_checksums = require_checksums_;
        return std::make_shared<grpc_transport::mrd_maker>(std::move(out));
    }

    detail::initiation<object_info> stat(const object_ref& object) override {
        pb::GetObjectRequest request;
        request.set_bucket(bucket_resource(object.bucket()));
        request.set_object(object.name());
        request.set_generation(object.generation());
        const std::string subject = object.to_string();
        const auto read = [subject](const std::string& bytes, object_info& out) {
            const auto how = wire::decode_object(bytes, out);
            return how ? error_value() : malformed(subject, how);
        };
        return ask<object_info>(
            {"/google.storage.v2.Storage/GetObject", object.bucket(), request.SerializeAsString()},
            subject,
            read
        );
    }

    detail::initiation<list_page> list(list_request asked) override {
        pb::ListObjectsRequest request;
        request.set_parent(bucket_resource(asked.bucket));
        request.set_prefix(asked.options.prefix());
        request.set_delimiter(asked.options.delimiter());
        request.set_page_size(asked.options.page_size());
        request.set_page_token(asked.page_token);
        const std::string subject = "gs://" + asked.bucket;
        const auto read = [subject,
                           accept = std::move(asked.accept)](const std::string& bytes, list_page& out) {
            const auto how = wire::decode_listing(bytes, out);
            if (!how) return malformed(subject, how);
            const error_value why = accept(out);
            return why ? why.with_context(subject) : error_value();
        };
        return ask<list_page>(
            {"/google.storage.v2.Storage/ListObjects", asked.bucket, request.SerializeAsString()},
            subject,
            read
        );
    }

    detail::initiation<bucket_layout> layout(const std::string& bucket) override {
        control_pb::GetStorageLayoutRequest request;
        request.set_name(bucket_resource(bucket) + "/storageLayout");
        const std::string subject = "gs://" + bucket;
        const auto read = [subject](const std::string& bytes, bucket_layout& out) {
            const auto how = wire::decode_layout(bytes, out);
            return how ? error_value() : malformed(subject, how);
        };
        return ask<bucket_layout>(
            {"/google.storage.control.v2.StorageControl/GetStorageLayout", bucket, request.SerializeAsString()
            },
            subject,
            read
        );
    }

private:
    template <class T, class Read>
    detail::initiation<T> ask(unary_request request, const std::string& subject, Read read) {
        grpc_transport::unary_call::environment env;
        env.connector = grpc_transport::make_unary_connector(channels_);
        env.core = runtime_;
        env.executor = executor_;
        env.retry = retry_;
        env.watch = channels_->watch();
        env.open_timeout = pool_options().open_timeout();
        const auto op = std::make_shared<metadata_operation<T, Read>>(
            std::move(env), std::move(request), subject, std::move(read)
        );
        op->limit(rpc_timeout_);
        return runtime::to_initiate<T>(op, executor_);
    }

    const asio::any_io_executor executor_;
    const std::shared_ptr<runtime::context_core> runtime_;
    const std::chrono::nanoseconds rpc_timeout_;
    const retry_policy retry_;
    const bool require_checksums_;
    const std::shared_ptr<observer> observer_;
    const std::shared_ptr<grpc_transport::channels> channels_;
    std::shared_ptr<grpc_transport::bidi_connector> connector_;
};

}  // namespace

std::shared_ptr<service> make_grpc_service(
    const asio::any_io_executor& executor, const client_options& options
) {
    return std::make_shared<grpc_service>(executor, options);
}

}  // namespace rangeio::gcs
