#pragma once

#include <rangeio/client.hpp>
#include <rangeio/error.hpp>
#include <rangeio/object.hpp>

#include <boost/asio/awaitable.hpp>

#include <string>
#include <utility>

namespace rangeio::tool {

namespace asio = boost::asio;

/// Advice on an object that does not exist; lists the bucket for names that begin with this one.
asio::awaitable<std::string> advice_on_missing(client& service, object_ref object);

/// Returns or throws the result of `work` on `object`; if the object does not exist, the error has advice.
template <class T>
asio::awaitable<T> with_advice(client& service, object_ref object, asio::awaitable<T> work) {
    error_value missing;
    try {
        co_return co_await std::move(work);
    } catch (const error& wrong) {
        if (wrong.code() != errc::not_found) throw;
        missing = wrong.why();
    }
    const std::string advice = co_await advice_on_missing(service, std::move(object));
    throw error(missing.with_message(missing.message() + advice));
}

/// Opens a pool, with advice.
asio::awaitable<mrd_pool> open_object(client& service, object_ref object, pool_options options);

}  // namespace rangeio::tool
