#include "emulator/service.hpp"

#include <rangeio/proto/storage.pb.h>
#include <rangeio/proto/storage_control.pb.h>

#include "emulator/protocol/status.hpp"
#include "emulator/store/conditions.hpp"
#include "emulator/store/listing.hpp"
#include "emulator/store/metadata.hpp"
#include "emulator/store/object_names.hpp"

#include <fmt/format.h>

#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <new>
#include <stop_token>
#include <utility>

namespace rangeio::emulator {
namespace {

namespace storage = proto::storage::v2;

constexpr int worker_threads = 2;

template <class Message>
Message parse(std::string_view text, std::string_view name) {
    Message message;
    if (!message.ParseFromArray(text.data(), static_cast<int>(text.size()))) {
        throw call_error(status_code::invalid_argument, fmt::format("malformed {}", name));
    }
    return message;
}

file_identity identity_of(const unique_fd& fd) {
    struct stat st{};
    if (::fstat(fd.get(), &st) != 0) {
        throw call_error(status_code::internal, "cannot read the attributes of a directory");
    }
    return file_identity::of(st);
}

// For folders and buckets that are neither written nor deleted here: their metadata never changes.
template <class Request>
void check_metageneration(const Request& request, std::string_view name) {
    if (request.has_if_metageneration_match() && request.if_metageneration_match() != metageneration) {
        throw call_error(
            status_code::failed_precondition, fmt::format("{}: if_metageneration_match does not hold", name)
        );
    }
    if (request.has_if_metageneration_not_match() &&
        request.if_metageneration_not_match() == metageneration) {
        throw call_error(
            status_code::aborted, fmt::format("{}: if_metageneration_not_match does not hold", name)
        );
    }
}

// The prefix of a token that leads to the same place as another one: a number and that token follow. Empty pages have
// such tokens.
constexpr std::string_view detour = "detour-";

std::string without_detour(std::string token) {
    while (token.starts_with(detour)) token.erase(0, std::min(token.find('.'), token.size() - 1) + 1);
    return token;
}

}  // namespace

// `asked`: the token of the request; `place`: the token without its detours.
void service::spoil(list_page& page, std::uint64_t call, const std::string& asked, const std::string& place) {
    const fault_state::place here{call};
    using testing::fault_kind;
    if (faults_->strike(fault_kind::empty_page, here) != nullptr) {
        page = {};
        page.next_page_token = fmt::format("{}{}.{}", detour, faults_->next_page(), place);
    }
    const bool named = !page.objects.empty() || !page.prefixes.empty();
    if (named && faults_->strike(fault_kind::unordered_page, here) != nullptr) {
        if (!page.objects.empty()) page.objects.push_back(list_page::object(page.objects.front()));
        if (!page.prefixes.empty()) page.prefixes.push_back(std::string(page.prefixes.front()));
    }
    if (!asked.empty() && faults_->strike(fault_kind::repeat_page, here) != nullptr)
        page.next_page_token = asked;
}

service::service(const server_options& options, connection_faults faults)
    : strict_(options.strict()),
      max_chunk_bytes_(static_cast<std::int64_t>(options.max_chunk_bytes())),
      store_(options.root(), options.unfinalized()),
      connection_faults_(std::move(faults)),
      log_(options.log()),
      link_(options.link()),
      workers_(worker_threads) {
    if (!options.faults().faults.empty()) faults_.emplace(options.faults(), options.fault_seed());
}

server_stats service::stats() const {
    server_stats out = counters_.read();
    if (faults_) faults_->count_into(out);
    out.user_projects = user_projects_.read();
    out.missing_buckets = store_.missing_buckets();
    out.missing_unfinalized = store_.missing_unfinalized();
    return out;
}

void service::go_away() noexcept {
    try {
        connection_faults_.go_away();
    } catch (const std::bad_alloc&) {
        // The fault has ended its own call, but not the connections.
    }
}

void service::check(const call_info& call, std::string_view bucket) const {
    if (strict_) {
        call.params().require_bucket(bucket);
    }
}

void service::note(bool authorized, const std::vector<std::string>& user_projects) {
    if (authorized) ++counters_.authorized_calls;
    for (const std::string& project : user_projects) user_projects_.add(project);
}

void service::compute_checksum(const stored_object& object) const {
    const std::stop_token stop = workers_.stop_token();
    object.compute_checksum([&] { return stop.stop_requested(); });
}

void service::request_stop() noexcept {
    workers_.request_stop();
    store_.request_stop();
}

std::string service::get_object(std::string_view text, const call_info& call) {
    const auto request = parse<storage::GetObjectRequest>(text, "GetObjectRequest");
    const std::string bucket = bucket_of(request.bucket());
    call.asks_for(display_name(bucket, request.object()));
    check(call, request.bucket());
    if (request.soft_deleted()) {
        throw call_error(
            status_code::not_found,
            fmt::format("{}: no such soft-deleted object", display_name(bucket, request.object()))
        );
    }
    const object_ptr object = store_.open(bucket, request.object());
    if (object->checksum_is_cheap()) compute_checksum(*object);
    emulator::check(conditions_of(request), *object);
    const object_attributes attributes{
        bucket,
        request.object(),
        object->identity(),
        object->generation(),
        object->finalized(),
        object->checksum(),
    };
    return object_metadata(attributes, request.has_read_mask() ? &request.read_mask() : nullptr)
        .SerializeAsString();
}

std::string service::list_objects(std::string_view text, const call_info& call) {
    const auto request = parse<storage::ListObjectsRequest>(text, "ListObjectsRequest");
    const std::string bucket = bucket_of(request.parent());
    call.asks_for(display_name(bucket, request.prefix()));
    check(call, request.parent());
    if (!request.match_glob().empty() || !request.filter().empty()) {
        throw call_error(
            status_code::unimplemented, "ListObjects: the emulator does not support match_glob and filter"
        );
    }
    if (request.include_folders_as_prefixes() && request.delimiter() != "/") {
        throw call_error(
            status_code::invalid_argument, "include_folders_as_prefixes requires the delimiter '/'"
        );
    }
    directory_walk walk(directories_, store_.open_bucket(bucket), fmt::format("gs://{}", bucket));
    if (request.soft_deleted()) {
        return {};
    }
    std::string token = request.page_token();
    if (faults_) token = without_detour(std::move(token));
    list_page page = list(
        walk,
        {
            bucket,
            request.prefix(),
            request.delimiter(),
            request.include_trailing_delimiter(),
            request.include_folders_as_prefixes(),
            request.lexicographic_start(),
            request.lexicographic_end(),
            request.page_size(),
            token,
        }
    );
    if (faults_) spoil(page, call.metadata_call(), request.page_token(), token);
    storage::ListObjectsResponse response;
    for (const list_page::object& object : page.objects) {
        const object_attributes attributes{
            bucket,
            object.name,
            file_identity::of(object.state),
            store_.generation_of(bucket, object.name, object.state),
            store_.is_finalized(bucket, object.name, object.state),
            {},
        };
        *response.add_objects() =
            object_metadata(attributes, request.has_read_mask() ? &request.read_mask() : nullptr);
    }
    for (std::string& prefix : page.prefixes) {
        *response.add_prefixes() = std::move(prefix);
    }
    response.set_next_page_token(std::move(page.next_page_token));
    return response.SerializeAsString();
}

std::string service::get_bucket(std::string_view text, const call_info& call) {
    const auto request = parse<storage::GetBucketRequest>(text, "GetBucketRequest");
    const std::string bucket = bucket_of(request.name());
    call.asks_for(fmt::format("gs://{}", bucket));
    check(call, request.name());
    const file_identity directory = identity_of(store_.open_bucket(bucket));
    check_metageneration(request, fmt::format("gs://{}", bucket));
    return bucket_metadata(bucket, directory).SerializeAsString();
}

std::string service::get_storage_layout(std::string_view text, const call_info& call) {
    const auto request =
        parse<proto::storage::control::v2::GetStorageLayoutRequest>(text, "GetStorageLayoutRequest");
    constexpr std::string_view suffix = "/storageLayout";
    const std::string_view name = request.name();
    if (!name.ends_with(suffix)) {
        throw call_error(
            status_code::invalid_argument, "the name is not of the form projects/_/buckets/NAME/storageLayout"
        );
    }
    const std::string_view resource = name.substr(0, name.size() - suffix.size());
    const std::string bucket = bucket_of(resource);
    call.asks_for(fmt::format("gs://{}", bucket));
    check(call, resource);
    (void)store_.open_bucket(bucket);
    return storage_layout(bucket).SerializeAsString();
}

std::string service::get_folder(std::string_view text, const call_info& call) {
    const auto request = parse<proto::storage::control::v2::GetFolderRequest>(text, "GetFolderRequest");
    constexpr std::string_view infix = "/folders/";
    const std::string_view name = request.name();
    const std::size_t at = name.find(infix);
    if (at == name.npos) {
        throw call_error(
            status_code::invalid_argument, "the name is not of the form projects/_/buckets/NAME/folders/PATH"
        );
    }
    const std::string_view resource = name.substr(0, at);
    const std::string bucket = bucket_of(resource);
    check(call, resource);
    // A folder's name ends with a slash; clients may omit it.
    std::string_view folder = name.substr(at + infix.size());
    if (folder.ends_with('/')) {
        folder.remove_suffix(1);
    }
    call.asks_for(display_name(bucket, folder));
    const file_identity directory = identity_of(store_.open_folder(bucket, folder));
    check_metageneration(request, display_name(bucket, folder));
    return folder_metadata(bucket, folder, directory).SerializeAsString();
}

}  // namespace rangeio::emulator
