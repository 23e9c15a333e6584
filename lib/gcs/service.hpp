#pragma once

#include <rangeio/client.hpp>
#include <rangeio/multi_range_downloader.hpp>

#include <functional>
#include <memory>
#include <string>

namespace rangeio::gcs {

/// What a client asks of the service: streams, metadata, listings. There is one implementation for each transport.
///
/// Arguments have been checked. Safe to use from any thread. What it returns runs on the client's executor by default, and
/// keeps what it needs of the service.
class service {
public:
    virtual ~service() = default;

    /// The address, for people.
    virtual const std::string& endpoint() const noexcept = 0;
    /// Streams on `object`. They share what the first of them learns: generation, read handle.
    virtual std::shared_ptr<mrd_factory> streams(object_ref object, const pool_options& options) = 0;

    virtual detail::initiation<object_info> stat(const object_ref& object) = 0;
    virtual detail::initiation<bucket_layout> layout(const std::string& bucket) = 0;
    struct list_request {
        std::string bucket;
        list_options options;
        std::string page_token;  // the service's own; empty: the first page
        /// Takes the page as the service sent it, and says what is wrong with it.
        std::function<failure(list_page&)> accept;
    };
    virtual detail::initiation<list_page> list(list_request request) = 0;
};

}  // namespace rangeio::gcs
