#include <rangeio/client.hpp>
#include <rangeio/crc32c.hpp>

#include "block_reader.hpp"
#include "commands.hpp"
#include "common/event_loop.hpp"
#include "common/process.hpp"
#include "missing_object.hpp"
#include "output_file.hpp"
#include "output_stream.hpp"
#include "output_target.hpp"
#include "progress.hpp"

#include <fmt/format.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

namespace rangeio::tool {
namespace {

class cp_arguments {
public:
    cp_arguments() = default;

    object_ref object;
    std::string target;
    reading how;
    read_ahead ahead;
};

// A stream may open before the service knows the checksum of the whole object; then the metadata is requested again.
asio::awaitable<std::optional<std::uint32_t>> checksum_of(client& service, const object_info& info) {
    // An object that is being appended to has no checksum of the bytes that were read; each message had one.
    if (!info.finalized) co_return std::nullopt;
    if (info.crc32c) co_return info.crc32c;
    const object_ref read(info.bucket, info.name, info.generation);
    error_value why;
    const object_info known = co_await service.async_stat(read, redirect_error_value(why));
    if (!why) co_return known.crc32c;
    // All bytes have arrived, and each chunk was checked: a failure of this request is a warning, not a failure of the
    // copy.
    complain(fmt::format("warning: the checksum of the whole object is unknown: {}", why.message()));
    co_return std::nullopt;
}

void check_whole(const object_info& info, std::optional<std::uint32_t> expected, std::uint32_t crc) {
    if (!expected || *expected == crc) return;
    throw error(error_value(
        errc::data_corrupted,
        fmt::format(
            "gs://{}/{}: the object's CRC32C is {:08x}, that of the bytes read is {:08x}",
            info.bucket,
            info.name,
            *expected,
            crc
        )
    ));
}

asio::awaitable<void> read_whole(
    client& service, const mrd_pool& pool, const cp_arguments& args, blocking_thread& writer, block_sink sink
) {
    const object_info info = opened_object(pool);
    std::vector<byte_range> all;
    all.emplace_back(0, info.size);
    object_reader reader(pool, args.ahead.reader(args.how, args.ahead.memory()));
    std::uint32_t crc = 0;
    progress bar(pool.object().to_string(), info.size);
    const block_sink checked = [&](std::span<const std::byte> bytes) {
        crc = crc32c_extend(crc, bytes);
        sink(bytes);
        bar.advance(bytes.size());
    };
    co_await read_in_order(reader, all, writer, checked);
    const std::optional<std::uint32_t> expected = co_await checksum_of(service, info);
    check_whole(info, expected, crc);
    bar.finish();
}

// `stream_target` is a descriptor or a device.
template <class stream_target>
asio::awaitable<void> cp_to_stream(
    asio::io_context& loop, std::shared_ptr<const cp_arguments> args, stream_target target
) {
    blocking_thread writer;
    client service(loop.get_executor(), args->how.client());
    mrd_pool pool = co_await open_object(service, args->object, args->how.pool());
    std::optional<output_stream> out;
    const auto open = [&out, &target] { out.emplace(target); };
    co_await writer.run(open);
    const block_sink sink = [&out](std::span<const std::byte> bytes) { out->append(bytes); };
    co_await read_whole(service, pool, *args, writer, sink);
    const auto finish = [&out] { out->finish(); };
    co_await writer.run(finish);
}

// Blocks are written in order from the memory they were read into, which stays in the cache. Reading into a mapping of
// the file instead would fault in each of its pages, and report a full disk by a signal.
asio::awaitable<void> cp_to_file(
    asio::io_context& loop,
    std::shared_ptr<const cp_arguments> args,
    std::filesystem::path path,
    bool* published
) {
    blocking_thread writer;
    client service(loop.get_executor(), args->how.client());
    mrd_pool pool = co_await open_object(service, args->object, args->how.pool());
    const std::uint64_t size = opened_object(pool).size;
    std::optional<output_file> file;
    const auto create = [&file, &path, size] { file.emplace(path, size); };
    co_await writer.run(create);
    const block_sink sink = [&file](std::span<const std::byte> bytes) { file->append(bytes); };
    co_await read_whole(service, pool, *args, writer, sink);
    const auto publish = [&file] { file->publish(); };
    co_await writer.run(publish);
    *published = true;
}

void run_cp(const std::shared_ptr<cp_arguments>& args) {
    if (args->how.generation() != 0) args->object.generation(args->how.generation());
    const log_scope log(args->how);
    // Before the event loop exists, because its descriptors could be those that /dev/fd/N names.
    const output_target target = find_target(args->target, args->object.name());
    asio::io_context loop(1);
    // Streams are written as by cat: there is nothing to clean up.
    if (const auto* descriptor = std::get_if<open_descriptor>(&target)) {
        return run(loop, cp_to_stream(loop, args, *descriptor));
    }
    if (const auto* special = std::get_if<device>(&target)) {
        return run(loop, cp_to_stream(loop, args, *special));
    }
    bool published = false;
    const auto& path = std::get<plain_file>(target).path;
    const int signal = run_interruptible(loop, cp_to_file(loop, args, path, &published));
    if (signal == 0 || published) return;
    throw interrupted(
        signal, fmt::format("{}: {}: interrupted", args->object.to_string(), ::strsignal(signal))
    );
}

}  // namespace

void add_cp(CLI::App& app, command& chosen) {
    const auto args = std::make_shared<cp_arguments>();
    CLI::App& cp = *app.add_subcommand("cp", "Copies an object to a file, completely or not at all.");
    add_object(cp, args->object, "gs://bucket/object");
    const auto take_target = [args](const std::string& target) {
        if (target.empty()) throw CLI::ValidationError("TARGET", "it is empty");
        if (target.starts_with("gs://")) {
            throw CLI::ValidationError(
                "TARGET", fmt::format("'{}' is an object; the target must be a file", target)
            );
        }
        args->target = target;
    };
    cp.add_option_function<std::string>(
          "TARGET",
          take_target,
          "the file to write, which is replaced if it exists; a directory: the file in it is named as the "
          "last part of the object's name; a pipe or a device to write to; -: standard output"
    )
        ->required();
    args->how.add_to(cp);
    args->ahead.add_to(cp);
    cp.footer(
        "The file has a temporary name, .rangeio-*, in the same directory until all bytes are written,\n"
        "their CRC32C is that of the object, and they are on disk. After a failure or a signal no file\n"
        "remains; the file of a copy that was killed (SIGKILL, a crash) is removed by the next copy to\n"
        "the same name.\n\n"
        "The new file keeps the permissions of the one that it replaces, with the ACL, and for root its\n"
        "owner and group; otherwise the group where that is allowed. Set-ID bits and other attributes are\n"
        "not kept. Other names of the old file (hard links) keep the old bytes. A symbolic link stays, and\n"
        "its target is replaced.\n\n"
        "Examples:\n"
        "  rangeio cp gs://data/table.parquet .\n"
        "  rangeio cp gs://backup/home.tar.zst - | zstd -d | tar x"
    );
    cp.callback([args, &chosen] { chosen = [args] { run_cp(args); }; });
}

}  // namespace rangeio::tool
