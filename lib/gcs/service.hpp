#pragma once

#include <rangeio/client.hpp>
#include <rangeio/multi_range_downloader.hpp>

#include <functional>
#include <memory>
#include <string>

namespace rangeio::gcs {

/// The service as a client uses it: streams, metadata, listings. There is one implementation for each transport.
///
/// Arguments have been checked by the client. The returned operations complete on the client's executor by default, and
/// keep alive the parts of the service that they need.
///
/// Threads: safe on any thread.
class service {
public:
    virtual ~service() = default;

    /// The address, in readable form.
    virtual const std::string& endpoint() const noexcept = 0;
    /// The factory of streams on `object`. The streams share the pinned generation and the newest read handle.
    virtual std::shared_ptr<mrd_factory> streams(object_ref object, const pool_options& options) = 0;

    virtual detail::initiation<object_info> stat(const object_ref& object) = 0;
    virtual detail::initiation<bucket_layout> layout(const std::string& bucket) = 0;
    struct list_request {
        std::string bucket;
        list_options options;
        std::string page_token;  // of the service; empty: the first page
        /// Checks and converts a page from the service; a failure ends the listing.
        std::function<error_value(list_page&)> accept;
    };
    virtual detail::initiation<list_page> list(list_request request) = 0;
};

}  // namespace rangeio::gcs
