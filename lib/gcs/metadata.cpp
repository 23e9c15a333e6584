#include <rangeio/client.hpp>
#include <rangeio/proto/storage.pb.h>
#include <rangeio/proto/storage_control.pb.h>

#include "described.hpp"
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
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace rangeio {
namespace {

namespace pb = proto::storage::v2;
namespace control_pb = proto::storage::control::v2;
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

grpc_transport::unary_call::environment environment_of(const gcs::client_core& core) {
    grpc_transport::unary_call::environment env;
    env.connector = grpc_transport::make_unary_connector(core.channels());
    env.core = core.runtime();
    env.executor = core.executor();
    env.retry = core.retry();
    env.watch = core.channels()->watch();
    env.open_timeout = pool_options().open_timeout();
    return env;
}

/// What is asked, of whom; and what leads the message of a failure.
struct question {
    std::string method;
    std::string bucket;
    std::string message;
    std::string subject;

    grpc_transport::unary_request request() const {
        grpc_transport::unary_request out;
        out.method = method;
        out.bucket = bucket;
        out.message = message;
        return out;
    }
};

failure malformed(const std::string& subject, const wire::decode_result& how) {
    if (how.status == wire::decode_status::out_of_memory) throw std::bad_alloc();
    if (how.status == wire::decode_status::above_limit) {
        return {errc::protocol_error, fmt::format("{}: a page has {}", subject, how.what)};
    }
    return {errc::protocol_error, fmt::format("{}: malformed response: {}", subject, how.what)};
}

/// A question, and how its answer is read: `read(bytes, out)`, which may throw.
template <class T, class Read>
class metadata_operation final : public grpc_transport::unary_call, public detail::outcome_of<T> {
public:
    metadata_operation(const gcs::client_core& core, question asked, Read read)
        : unary_call(environment_of(core), asked.request()),
          subject_(std::move(asked.subject)),
          read_(std::move(read)) {
        limit(core.rpc_timeout());
    }

    failure outcome(T& out) noexcept override {
        const failure how =
            guarded([&] { return why() ? why().with_context(subject_) : read_(response(), out); });
        if (how) out = T();
        return how;
    }

private:
    const std::string subject_;
    Read read_;
};

/// What could not be asked.
template <class T>
class refused_operation final : public runtime::operation, public detail::outcome_of<T> {
public:
    explicit refused_operation(failure why) : why_(std::move(why)) {}

    failure outcome(T&) noexcept override { return why_; }

private:
    void start() noexcept override { complete(); }
    void stop(const failure&) noexcept override {}
    void reject(const failure& why) noexcept override { why_ = why; }

    failure why_;
};

/// `prepare()` checks the arguments, returns the question, and throws what is wrong with them.
template <class T, class Prepare, class Read>
detail::initiation<T> ask(const std::shared_ptr<gcs::client_core>& core, Prepare prepare, Read read) {
    std::optional<question> asked;
    failure why;
    try {
        gcs::require_client(core);
        asked = prepare();
    } catch (const error& e) {
        why = e.why();
    }
    if (why) {
        const auto op = std::make_shared<refused_operation<T>>(std::move(why));
        return runtime::to_initiate<T>(op, gcs::executor_of(core));
    }
    const auto op = std::make_shared<metadata_operation<T, Read>>(*core, std::move(*asked), std::move(read));
    return runtime::to_initiate<T>(op, core->executor());
}

}  // namespace

detail::initiation<object_info> client::stat(object_ref object) {
    const auto prepare = [&] {
        pb::GetObjectRequest request;
        request.set_bucket(bucket_resource(object.bucket()));
        request.set_object(object.name());
        request.set_generation(object.generation());
        return question{
            "/google.storage.v2.Storage/GetObject",
            object.bucket(),
            request.SerializeAsString(),
            object.to_string()
        };
    };
    const auto read = [subject = object.to_string()](const std::string& bytes, object_info& out) {
        const auto how = wire::decode_object(bytes, out);
        return how ? failure() : malformed(subject, how);
    };
    return ask<object_info>(core_, prepare, read);
}

detail::initiation<list_page> client::list(std::string bucket, const list_options& options) {
    const std::string subject = "gs://" + bucket;
    const auto cursor = std::make_shared<gcs::page_cursor>();
    const auto prepare = [&] {
        check_bucket_name(bucket);
        throw_if(check_range("page_size", options.page_size(), 1, max_page_size));
        throw_if(check_range("max_empty_pages", options.max_empty_pages(), 1, max_empty_pages));
        check_text("prefix", options.prefix());
        check_text("delimiter", options.delimiter());
        *cursor = gcs::page_cursor::parse(options.page_token());
        pb::ListObjectsRequest request;
        request.set_parent(bucket_resource(bucket));
        request.set_prefix(options.prefix());
        request.set_delimiter(options.delimiter());
        request.set_page_size(options.page_size());
        request.set_page_token(cursor->service_token());
        return question{
            "/google.storage.v2.Storage/ListObjects", bucket, request.SerializeAsString(), subject
        };
    };
    const auto read = [cursor, subject, most = static_cast<unsigned>(options.max_empty_pages())](
                          const std::string& bytes, list_page& out
                      ) {
        const auto how = wire::decode_listing(bytes, out);
        if (!how) return malformed(subject, how);
        const failure why = cursor->take(out, most);
        return why ? why.with_context(subject) : failure();
    };
    return ask<list_page>(core_, prepare, read);
}

detail::initiation<bucket_layout> client::layout(std::string bucket) {
    const std::string subject = "gs://" + bucket;
    const auto prepare = [&] {
        check_bucket_name(bucket);
        control_pb::GetStorageLayoutRequest request;
        request.set_name(bucket_resource(bucket) + "/storageLayout");
        return question{
            "/google.storage.control.v2.StorageControl/GetStorageLayout",
            bucket,
            request.SerializeAsString(),
            subject
        };
    };
    const auto read = [subject](const std::string& bytes, bucket_layout& out) {
        const auto how = wire::decode_layout(bytes, out);
        return how ? failure() : malformed(subject, how);
    };
    return ask<bucket_layout>(core_, prepare, read);
}

}  // namespace rangeio
