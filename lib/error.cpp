#include <rangeio/completion_token.hpp>
#include <rangeio/error.hpp>

#include "status_numbers.hpp"

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <exception>
#include <string_view>

namespace rangeio {
namespace {

// Boost.System's category base has a protected, non-virtual destructor by design; GCC 12 warns nevertheless.
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

// The 64-bit ids make the categories equal across shared objects that each carry a copy of this file.
class errc_category final : public boost::system::error_category {
public:
    constexpr errc_category() noexcept : error_category(0x9d1f2c3a7be44c01ULL) {}

    const char* name() const noexcept override { return "rangeio"; }
    std::string message(int value) const override {
        switch (static_cast<errc>(value)) {
            case errc::invalid_argument: return "invalid argument";
            case errc::not_found: return "not found";
            case errc::precondition_failed: return "precondition failed";
            case errc::permission_denied: return "permission denied";
            case errc::unauthenticated: return "unauthenticated";
            case errc::range_not_satisfiable: return "range not satisfiable";
            case errc::short_read: return "short read";
            case errc::data_corrupted: return "data corrupted";
            case errc::protocol_error: return "protocol error";
            case errc::timed_out: return "timed out";
            case errc::stalled: return "stalled";
            case errc::pool_closed: return "pool closed";
            case errc::stream_closed: return "stream closed";
            case errc::shut_down: return "shut down";
            case errc::too_many_redirects: return "too many redirects";
            case errc::generation_changed: return "generation changed";
            case errc::buffer_misuse: return "buffer misuse";
        }
        return fmt::format("rangeio error {}", value);
    }
};

class grpc_status_category final : public boost::system::error_category {
public:
    constexpr grpc_status_category() noexcept : error_category(0x9d1f2c3a7be44c02ULL) {}

    const char* name() const noexcept override { return "grpc"; }
    std::string message(int value) const override {
        static constexpr std::array<std::string_view, 17> names{
            "OK",
            "CANCELLED",
            "UNKNOWN",
            "INVALID_ARGUMENT",
            "DEADLINE_EXCEEDED",
            "NOT_FOUND",
            "ALREADY_EXISTS",
            "PERMISSION_DENIED",
            "RESOURCE_EXHAUSTED",
            "FAILED_PRECONDITION",
            "ABORTED",
            "OUT_OF_RANGE",
            "UNIMPLEMENTED",
            "INTERNAL",
            "UNAVAILABLE",
            "DATA_LOSS",
            "UNAUTHENTICATED",
        };
        const auto index = static_cast<std::size_t>(value);
        return value >= 0 && index < names.size() ? std::string(names[index])
                                                  : fmt::format("gRPC status {}", value);
    }
};

constexpr errc_category errc_instance;
constexpr grpc_status_category grpc_instance;

}  // namespace

error_code code_of_status(int status) noexcept {
    using namespace status_number;
    switch (status) {
        case invalid_argument: return errc::invalid_argument;
        case deadline_exceeded: return errc::timed_out;
        case not_found: return errc::not_found;
        case permission_denied: return errc::permission_denied;
        case failed_precondition: return errc::precondition_failed;
        case out_of_range: return errc::range_not_satisfiable;
        case unauthenticated: return errc::unauthenticated;
        default: return {status, grpc_category()};
    }
}

error_class class_of_status(int status) noexcept {
    using namespace status_number;
    switch (status) {
        case ok: return error_class::none;
        case cancelled: return error_class::cancelled;
        case deadline_exceeded:
        case internal:
        case unavailable: return error_class::transient;
        case resource_exhausted: return error_class::throttled;
        case aborted: return error_class::aborted;
        case not_found: return error_class::gone;
        case failed_precondition: return error_class::changed;
        case out_of_range: return error_class::out_of_range;
        case permission_denied:
        case unauthenticated: return error_class::denied;
        case invalid_argument:
        case already_exists:
        case unimplemented: return error_class::refused;
        default: return error_class::unknown;
    }
}

const boost::system::error_category& rangeio_category() noexcept {
    return errc_instance;
}

const boost::system::error_category& grpc_category() noexcept {
    return grpc_instance;
}

error_code make_error_code(errc e) noexcept {
    return {static_cast<int>(e), errc_instance};
}

error_value::error_value(error_code code, std::string message, error_class kind)
    : error_value(code, error_info{std::move(message), kind, {}}) {}

error_value::error_value(error_code code, error_info info)
    : code_(code), info_(std::make_shared<const error_info>(std::move(info))) {}

// A failure without an error_info, but with a code of gRPC, is a status for whose text there was no memory.
error_class error_value::kind() const noexcept {
    if (info_ && info_->kind != error_class::none) return info_->kind;
    return code_.category() == grpc_category() ? class_of_status(code_.value()) : error_class::none;
}

error_value error_value::with_message(std::string message) const {
    return {code_, error_info{std::move(message), kind(), retry_after()}};
}

std::string error_value::message() const {
    return info_ ? info_->message : code_.message();
}

error_value error_value::with_context(const std::string& context) const {
    // Services tend to begin their texts with the resource of the request: do not repeat it after the context.
    std::string text = message();
    const std::size_t colon = text.find(": ");
    if (colon != std::string::npos && context.starts_with(text.substr(0, colon))) text.erase(0, colon + 2);
    return with_message(fmt::format("{}: {}", context, text));
}

error::error(error_value why)
    : system_error(why.code()),
      value_(std::move(why)),
      what_(std::make_shared<const std::string>(value_.message())) {}

std::exception_ptr detail::exception_of(const error_value& why) noexcept {
    if (!why) return nullptr;
    try {
        return std::make_exception_ptr(error(why));
    } catch (...) {
        return std::current_exception();
    }
}

void throw_exception_from_error(const error_value& why, const boost::source_location&) {
    throw error(why);
}

}  // namespace rangeio
