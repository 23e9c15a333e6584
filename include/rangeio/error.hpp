#pragma once

#include <boost/system/error_category.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>
#include <boost/system/system_error.hpp>

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

/// What is known about a failure besides its code. Immutable, shared by all copies of the failure.
struct error_info {
    /// One line for people: what was asked of which object, and what the service said.
    std::string message;
    /// The gRPC status code as the service sent it; 0 when the failure is not the service's.
    int grpc_status = 0;
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
    failure(error_code code, std::string message, int grpc_status = 0);

    explicit operator bool() const noexcept { return code_.failed(); }
    const error_code& code() const noexcept { return code_; }
    /// The message given, or the code's own.
    std::string message() const;
    /// The gRPC status code as the service sent it; 0 when the failure is not the service's.
    int grpc_status() const noexcept { return info_ ? info_->grpc_status : 0; }
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

template <>
struct boost::system::is_error_code_enum<rangeio::errc> : std::true_type {};
