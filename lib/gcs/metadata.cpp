#include <rangeio/client.hpp>

#include "gcs/client_core.hpp"
#include "gcs/page_cursor.hpp"
#include "option_range.hpp"
#include "runtime/operation.hpp"
#include "text.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace rangeio {
namespace {

constexpr int max_page_size = 1000;
constexpr int max_empty_pages = 1'000'000;
constexpr std::size_t max_text_bytes = 1024;  // of a prefix or a delimiter

void check_text(std::string_view what, std::string_view text) {
    if (text.size() > max_text_bytes) {
        throw error(error_value(
            errc::invalid_argument,
            fmt::format("{}: {} bytes are more than {}", what, text.size(), max_text_bytes)
        ));
    }
    if (!is_utf8(text)) throw error(error_value(errc::invalid_argument, fmt::format("{}: not UTF-8", what)));
}

/// A request that was rejected before it was sent.
template <class T>
class refused_operation final : public runtime::operation, public detail::outcome_of<T> {
public:
    explicit refused_operation(error_value why) : why_(std::move(why)) {}

    error_value outcome(T&) noexcept override { return why_; }

private:
    void start() noexcept override { complete(); }
    void stop(const error_value&) noexcept override {}
    void reject(const error_value& why) noexcept override { why_ = why; }

    error_value why_;
};

/// The initiation that `ask(service)` returns, or one that completes with its failure.
template <class T, class Ask>
detail::initiation<T> asked_of(const std::shared_ptr<gcs::client_core>& core, Ask ask) {
    error_value why;
    try {
        gcs::require_client(core);
        return ask(core->service());
    } catch (const error& e) {
        why = e.why();
    }
    const auto op = std::make_shared<refused_operation<T>>(std::move(why));
    return runtime::to_initiate<T>(op, gcs::executor_of(core));
}

}  // namespace

detail::initiation<object_info> client::stat(object_ref object) {
    return asked_of<object_info>(core_, [&](gcs::service& of) { return of.stat(object); });
}

detail::initiation<list_page> client::list(std::string bucket, const list_options& options) {
    return asked_of<list_page>(core_, [&](gcs::service& of) {
        check_bucket_name(bucket);
        throw_if(check_range("page_size", options.page_size(), 1, max_page_size));
        throw_if(check_range("max_empty_pages", options.max_empty_pages(), 1, max_empty_pages));
        check_text("prefix", options.prefix());
        check_text("delimiter", options.delimiter());
        const auto cursor = std::make_shared<gcs::page_cursor>(gcs::page_cursor::parse(options.page_token()));
        gcs::service::list_request request;
        request.bucket = bucket;
        request.options = options;
        request.page_token = cursor->service_token();
        request.accept = [cursor, most = static_cast<unsigned>(options.max_empty_pages())](list_page& page) {
            return cursor->take(page, most);
        };
        return of.list(std::move(request));
    });
}

detail::initiation<bucket_layout> client::layout(std::string bucket) {
    return asked_of<bucket_layout>(core_, [&](gcs::service& of) {
        check_bucket_name(bucket);
        return of.layout(bucket);
    });
}

}  // namespace rangeio
