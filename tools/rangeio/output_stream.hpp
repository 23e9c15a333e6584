#pragma once

#include "common/file_calls.hpp"
#include "output_target.hpp"

#include <cstddef>
#include <span>
#include <string>

namespace rangeio::tool {

/// Writes to a descriptor, or to a device, which it opens.
///
/// Errors: `failed`, naming the descriptor or device; `interrupted` (SIGPIPE) when the pipe has no reader any more.
class output_stream {
public:
    explicit output_stream(const open_descriptor& target, file_calls& calls = file_calls::real());
    /// May block until a reader opens the pipe.
    explicit output_stream(const device& target, file_calls& calls = file_calls::real());
    output_stream(const output_stream&) = delete;
    output_stream& operator=(const output_stream&) = delete;
    ~output_stream();

    void append(std::span<const std::byte> bytes);
    /// To be called last: reports the errors that are detected only at the end.
    void finish();

private:
    std::string name_;
    file_calls& calls_;
    int fd_;
};

}  // namespace rangeio::tool
