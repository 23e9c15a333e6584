#include "missing_object.hpp"

#include "common/advice.hpp"

#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

namespace rangeio::tool {

asio::awaitable<std::string> advice_on_missing(client& service, object_ref object) {
    std::string advice = advice_on_name(object.bucket(), object.name());
    if (!advice.empty()) co_return advice;
    const std::string prefix = object.name() + (object.name().ends_with('/') ? "" : "/");
    list_options options;
    options.prefix(prefix).page_size(1);
    try {
        const list_page page = co_await service.async_list(object.bucket(), options);
        if (!page.objects.empty()) {
            const std::string uri = fmt::format("gs://{}/{}", object.bucket(), prefix);
            advice = fmt::format("; other objects have this prefix: 'rangeio ls {}' lists them", uri);
        }
    } catch (const error&) {
        // There is no advice; the error that the advice is for is reported in any case.
    }
    co_return advice;
}

asio::awaitable<mrd_pool> open_object(client& service, object_ref object, pool_options options) {
    auto opening = service.async_open(object, std::move(options), with_message(asio::use_awaitable));
    co_return co_await with_advice(service, std::move(object), std::move(opening));
}

}  // namespace rangeio::tool
