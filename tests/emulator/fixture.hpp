#pragma once

#include <rangeio/emulator.hpp>
#include <rangeio/proto/storage.pb.h>

#include "emulator/raw_client.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace support {

namespace storage = rangeio::proto::storage::v2;

inline const std::string bidi_read_object = "/google.storage.v2.Storage/BidiReadObject";
inline const std::string read_object = "/google.storage.v2.Storage/ReadObject";
inline const std::string get_object = "/google.storage.v2.Storage/GetObject";
inline const std::string list_objects = "/google.storage.v2.Storage/ListObjects";
inline const std::string get_bucket = "/google.storage.v2.Storage/GetBucket";
inline const std::string get_storage_layout = "/google.storage.control.v2.StorageControl/GetStorageLayout";
inline const std::string get_folder = "/google.storage.control.v2.StorageControl/GetFolder";

inline const std::string bucket_name = "projects/_/buckets/b";
inline const std::string bucket_params = "bucket=projects/_/buckets/b";

/// A directory of a test's own, gone at its end.
class scratch {
public:
    scratch();
    ~scratch();
    scratch(const scratch&) = delete;
    scratch& operator=(const scratch&) = delete;

    const std::filesystem::path& path() const noexcept { return path_; }
    /// Creates or replaces (by rename) a file.
    void write(const std::string& name, std::string_view content) const;

private:
    std::filesystem::path path_;
};

/// `size` bytes that differ from those at any other offset nearby.
std::string pattern(std::size_t size, unsigned seed = 1);

/// An emulator on a scratch directory with an empty bucket `b`, and a client of it.
struct fixture {
    fixture() : fixture(rangeio::emulator::server_options()) {}
    /// `options` without a root.
    explicit fixture(rangeio::emulator::server_options options);

    scratch files;
    rangeio::emulator::server server;
    raw_client client;

    raw_call open_stream(const std::string& params = bucket_params) {
        return client.start(bidi_read_object, params);
    }
    template <class Response, class Request>
    Response ask(
        const std::string& method, const Request& request, const std::string& params = bucket_params
    );
    template <class Request>
    call_outcome refused(
        const std::string& method, const Request& request, const std::string& params = bucket_params
    ) {
        return client.unary(method, request.SerializeAsString(), params);
    }
    storage::Object stat(const std::string& object);
};

/// A request for ranges on stream; `object` empty: a later message, without a spec.
struct asked {
    std::int64_t offset = 0;
    std::int64_t length = 0;
    std::int64_t id = 0;
};
storage::BidiReadObjectRequest bidi_request(const std::string& object, const std::vector<asked>& ranges);

/// What came back on a stream, put together by id. Every chunk is checked as it arrives: checksum present and
/// right, absolute offset without gaps, at most 2 MiB, nothing after range_end.
struct received {
    std::map<std::int64_t, std::string> bytes;
    std::map<std::int64_t, std::int64_t> first_offset;
    std::map<std::int64_t, bool> ended;
    std::vector<std::int64_t> order;  // the id of each chunk
    std::vector<storage::BidiReadObjectResponse> responses;

    void take(const std::string& message);
    /// Reads until these many ranges have ended, or the stream has.
    void read(raw_call& call, std::size_t ranges);
    /// Reads to the end of the stream.
    call_outcome read_all(raw_call& call);
};

/// Opens a stream with these ranges in the first message, half-closes, and reads everything.
struct stream_result {
    received got;
    call_outcome outcome;
};
stream_result read_ranges(
    fixture& server, const storage::BidiReadObjectRequest& request, const std::string& params = bucket_params
);

template <class Response, class Request>
Response fixture::ask(const std::string& method, const Request& request, const std::string& params) {
    const call_outcome outcome = client.unary(method, request.SerializeAsString(), params);
    Response response;
    if (outcome.code != code::ok || !response.ParseFromString(outcome.response)) {
        throw std::runtime_error(method + ": " + std::to_string(outcome.code) + " " + outcome.message);
    }
    return response;
}

}  // namespace support
