#pragma once

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

/// Why an operation of this library failed.
///
/// A cancelled operation reports `boost::asio::error::operation_aborted`, as every Asio operation does. A
/// status of the service for which there is no name here is reported with `grpc_category()` and its own
/// number. Memory that is not there is std::bad_alloc where the caller asks for it, and
/// `boost::system::errc::not_enough_memory` where a stream, a timer or a large block would have had it.
enum class errc {
    /// An argument or an option is unusable; nothing was sent.
    invalid_argument = 1,
    /// The bucket or the object does not exist, or not in the generation asked for.
    not_found,
    /// A precondition of the request does not hold.
    precondition_failed,
    /// The credentials are valid but do not allow this.
    permission_denied,
    /// The credentials are missing or were refused.
    unauthenticated,
    /// The range begins or ends where the object has no bytes.
    range_not_satisfiable,
    /// The service sent fewer bytes than asked for, and the end of the object does not explain it.
    short_read,
    /// Bytes arrived whose CRC32C is not the one that was sent with them.
    data_corrupted,
    /// The peer broke the protocol: a malformed message, a wrong offset, surplus bytes.
    protocol_error,
    /// The time given to the operation is over.
    timed_out,
    /// No byte arrived for the stall timeout.
    stalled,
    /// The pool is closed, or was closed while the operation waited.
    pool_closed,
    /// The stream was closed under the operation.
    stream_closed,
    /// The client, or the execution context that it runs on, is shutting down.
    shut_down,
    /// Too many redirects in a row.
    too_many_redirects,
    /// The object was replaced, or deleted, while it was being read: the generation that the first response told of
    /// is not there any more.
    generation_changed,
    /// A `direct_buffer` was used against its contract: overlap, overfill, underfill, use after close.
    buffer_misuse,
};

/// The category of `errc`. One instance; equality holds across shared objects.
const boost::system::error_category& rangeio_category() noexcept;

/// The category of gRPC status codes (`grpc::StatusCode`, 1 to 16).
const boost::system::error_category& grpc_category() noexcept;

error_code make_error_code(errc e) noexcept;

/// The kind of error that a service reported, as far as it decides whether to try again. Each transport translates its own
/// statuses, so that nothing above it has to know them.
enum class error_class : std::uint8_t {
    /// Not reported by a service: success, or a failure that was found on this side.
    none,
    /// The call was cancelled: by the peer, for a call that this side cancels is not asked about.
    cancelled,
    /// The service, or the way to it, does not work at the moment.
    transient,
    /// Too many requests. `failure::retry_after()` is how long to wait, if the service said so.
    throttled,
    /// The service gave the call up because of something else that happens to the stream or the object.
    aborted,
    /// There is no such bucket, object or generation.
    gone,
    /// A precondition does not hold: the object is another one than expected.
    changed,
    /// The range begins or ends where the object has no bytes.
    out_of_range,
    /// The credentials are missing, or do not allow this.
    denied,
    /// The request is malformed, or not supported.
    refused,
    /// The service does not say what happened, or has lost data.
    unknown,
};

/// What is known about a failure besides its code. Immutable, shared by all copies of the failure.
struct error_info {
    /// One line for people: what was asked of which object, and what the service said.
    std::string message;
    error_class kind = error_class::none;
    /// How long the service asks to wait before the next attempt; zero: it does not say.
    std::chrono::nanoseconds retry_after{0};
};

/// A failure as a value: a code, and the story behind it. Default constructed it means success.
///
/// Copying never throws. Used by `result<T>` and wherever a failure reaches several operations.
class failure {
public:
    failure() noexcept = default;
    /// Implicit, so that a bare code is a failure wherever one is expected.
    failure(error_code code) noexcept : code_(code) {}
    failure(errc code) noexcept : code_(make_error_code(code)) {}
    failure(error_code code, std::string message, error_class kind = error_class::none);
    failure(error_code code, error_info info);

    explicit operator bool() const noexcept { return code_.failed(); }
    const error_code& code() const noexcept { return code_; }
    /// The message given, or the code's own.
    std::string message() const;
    /// What the service reported; `error_class::none` if the failure was found on this side.
    error_class kind() const noexcept;
    /// How long the service asks to wait before the next attempt; zero: it does not say.
    std::chrono::nanoseconds retry_after() const noexcept {
        return info_ ? info_->retry_after : std::chrono::nanoseconds(0);
    }
    /// The same failure with another message.
    failure with_message(std::string message) const;
    /// The same failure, its message led by `context` and a colon, in place of a shorter form of `context` there.
    failure with_context(const std::string& context) const;

private:
    error_code code_;
    std::shared_ptr<const error_info> info_;
};

/// What `co_await` of an operation throws. `what()` names the object, the range and what the service said.
class error : public boost::system::system_error {
public:
    explicit error(failure why);

    const char* what() const noexcept override { return what_->c_str(); }
    const failure& why() const noexcept { return failure_; }

private:
    failure failure_;
    std::shared_ptr<const std::string> what_;  // shared: copying an exception must not throw
};

/// Found by `boost::system::result` when `value()` is called on a failure.
[[noreturn]] void throw_exception_from_error(const failure& why, const boost::source_location& where);

/// A T, or why there is none: then `value()` throws `rangeio::error`.
template <class T>
using result = boost::system::result<T, failure>;

}  // namespace rangeio

/// @cond
template <>
struct boost::system::is_error_code_enum<rangeio::errc> : std::true_type {};
/// @endcond
