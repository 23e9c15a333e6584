#pragma once

#include <rangeio/proto/storage.pb.h>

#include "emulator/protocol/messages.hpp"
#include "emulator/protocol/request_params.hpp"
#include "emulator/store/object_store.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace rangeio::emulator {

/// The serving side of one ReadObject call: one range, chunk after chunk.
///
/// Threads: none; the caller serializes.
class object_read {
public:
    struct settings {
        bool strict = true;
        std::int64_t max_chunk_bytes = std::int64_t{2} << 20;
    };

    /// Takes a serialized ReadObjectRequest.
    ///
    /// Throws: call_error.
    object_read(
        object_store& store, const settings& how, const request_params& params, std::string_view request
    );

    /// The object that is read. Its checksum, if it is known, is sent in the first chunk.
    const object_ptr& object() const noexcept { return object_; }

    /// Whether all chunks were taken; an empty range has one chunk, too.
    bool done() const noexcept { return done_; }

    /// Requires: not done.
    /// Throws:   call_error.
    framed_message next();

private:
    std::int64_t max_chunk_bytes_;
    object_ptr object_;
    std::string bucket_;
    proto::storage::v2::ReadObjectRequest request_;
    bool first_ = true;
    bool done_ = false;
    std::int64_t begin_ = 0;
    std::int64_t offset_ = 0;
    std::int64_t end_ = 0;
};

}  // namespace rangeio::emulator
