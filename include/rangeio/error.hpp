#pragma once

#include <rangeio/detail/visibility.hpp>

#include <boost/system/error_category.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>
#include <boost/system/system_error.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace rangeio {

using boost::system::error_code;

/// The reason of a failed operation of this library.
///
/// A cancelled operation reports `boost::asio::error::operation_aborted`, as every Asio operation does. A status of the
/// service without an equivalent here is reported with `grpc_category()` and its own number. Missing memory is
/// std::bad_alloc where the caller requests it, and `boost::system::errc::not_enough_memory` where a stream, a timer or
/// a large block would have used it.
enum class errc {
    /// An argument or an option is invalid; nothing was sent.
    invalid_argument = 1,
    /// The bucket or the object does not exist, or not in the requested generation.
    not_found,
    /// A precondition of the request does not hold.
    precondition_failed,
    /// The credentials are valid but do not permit the request.
    permission_denied,
    /// The credentials are missing or were rejected.
    unauthenticated,
    /// The range begins or ends past the end of the object.
    range_not_satisfiable,
    /// The service sent fewer bytes than requested, and the end of the object does not explain it.
    short_read,
    /// The CRC32C of received bytes differs from the one that was sent with them.
    data_corrupted,
    /// The peer violated the protocol: a malformed message, a wrong offset, surplus bytes.
    protocol_error,
    /// The time limit of the operation has expired.
    timed_out,
    /// No byte arrived within the stall timeout.
    stalled,
    /// The pool is closed, or was closed while the operation waited.
    pool_closed,
    /// The stream was closed during the operation.
    stream_closed,
    /// The client, or the execution context that it runs on, is shutting down.
    shut_down,
    /// Too many redirects in a row.
    too_many_redirects,
    /// The object was replaced or deleted while it was being read: the generation that the first response reported does
    /// not exist any more.
    generation_changed,
    /// A `direct_buffer` was used against its contract: overlap, overfill, underfill, use after close.
    buffer_misuse,
};

/// The category of `errc`. It has one instance; equality holds across shared objects.
RANGEIO_API const boost::system::error_category& rangeio_category() noexcept;

/// The category of gRPC status codes (`grpc::StatusCode`, 1 to 16).
RANGEIO_API const boost::system::error_category& grpc_category() noexcept;

RANGEIO_API error_code make_error_code(errc e) noexcept;

/// The class of an error that a service reported, which decides whether to retry. Each transport translates its own
/// statuses, so that no other layer depends on them.
enum class error_class : std::uint8_t {
    /// Not reported by a service: success, or a failure on this side.
    none,
    /// The peer cancelled the call. A call that this side cancels is not classified.
    cancelled,
    /// The service, or the path to it, does not work at the moment.
    transient,
    /// Too many requests. `error_value::retry_after()` has the time to wait, if the service reported one.
    throttled,
    /// The service aborted the call because of another event on the stream or the object.
    aborted,
    /// The bucket, object or generation does not exist.
    gone,
    /// A precondition does not hold: the object is not the expected one.
    changed,
    /// The range begins or ends past the end of the object.
    out_of_range,
    /// The credentials are missing, or do not permit the request.
    denied,
    /// The request is malformed, or not supported.
    refused,
    /// The service does not report the cause, or has lost data.
    unknown,
};

/// The details of a failure besides its code. Immutable, shared by all copies of the failure.
struct error_info {
    /// One line for people: the operation, the object, and the report of the service.
    std::string message;
    error_class kind = error_class::none;
    /// The wait that the service requests before the next attempt; zero: none was reported.
    std::chrono::nanoseconds retry_after{0};
};

/// An error as a value: a code with its text and details. Like an `error_code` it may be empty: no error.
///
/// Copying never throws. Used by `result<T>` and wherever one error reaches several operations.
class RANGEIO_API error_value {
public:
    error_value() noexcept = default;
    /// Implicit, so that a bare code converts.
    error_value(error_code code) noexcept : code_(code) {}
    error_value(errc code) noexcept : code_(make_error_code(code)) {}
    error_value(error_code code, std::string message, error_class kind = error_class::none);
    error_value(error_code code, error_info info);

    explicit operator bool() const noexcept { return code_.failed(); }
    const error_code& code() const noexcept { return code_; }
    /// The message of the error; without one, the message of the code.
    std::string message() const;
    /// The class that the service reported; `error_class::none` if the failure occurred on this side.
    error_class kind() const noexcept;
    /// The wait that the service requests before the next attempt; zero: none was reported.
    std::chrono::nanoseconds retry_after() const noexcept {
        return info_ ? info_->retry_after : std::chrono::nanoseconds(0);
    }
    /// The same failure with another message.
    error_value with_message(std::string message) const;
    /// The same failure with `context` and a colon before its message. They replace a shorter form of `context` at the
    /// start of it.
    error_value with_context(const std::string& context) const;

private:
    error_code code_;
    std::shared_ptr<const error_info> info_;
};

/// The exception that `co_await` of an operation throws. `what()` has the object, the range and the report of the
/// service.
class RANGEIO_API error : public boost::system::system_error {
public:
    explicit error(error_value why);

    const char* what() const noexcept override { return what_->c_str(); }
    const error_value& why() const noexcept { return value_; }

private:
    error_value value_;
    std::shared_ptr<const std::string> what_;  // shared: copying an exception must not throw
};

/// Called by `boost::system::result` when `value()` is called on a failure.
[[noreturn]] RANGEIO_API void throw_exception_from_error(
    const error_value& why, const boost::source_location& where
);

/// A T or a failure; `value()` throws `rangeio::error` for a failure.
template <class T>
using result = boost::system::result<T, error_value>;

}  // namespace rangeio

/// @cond
template <>
struct boost::system::is_error_code_enum<rangeio::errc> : std::true_type {};
/// @endcond
