#include <rangeio/client.hpp>

#include "commands.hpp"
#include "common/event_loop.hpp"
#include "common/printable.hpp"
#include "common/process.hpp"
#include "common/units.hpp"
#include "missing_object.hpp"
#include "object_text.hpp"

#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include <memory>
#include <utility>

namespace rangeio::tool {
namespace {

class stat_arguments {
public:
    stat_arguments() = default;

    object_ref object;
    std::uint64_t generation = 0;
    bool json = false;
    connection how;
};

std::string table(const object_info& info) {
    std::string out = fmt::format("gs://{}/{}\n", info.bucket, printable(info.name));
    const auto line = [&out](std::string_view name, std::string_view value) {
        if (!value.empty()) out += fmt::format("  {:<16} {}\n", name, printable(value));
    };
    const auto time = [&line](std::string_view name, const auto& value) {
        if (value) line(name, time_text(*value));
    };
    const std::string rough = info.size < 1024 ? "" : fmt::format(" ({})", size_text(double(info.size)));
    line("size", fmt::format("{}{}{}", info.size, rough, info.finalized ? "" : ", still being appended to"));
    line("generation", std::to_string(info.generation));
    line("metageneration", std::to_string(info.metageneration));
    line("finalized", info.finalized ? "yes" : "no");
    if (info.finalized && info.crc32c) {
        line("crc32c", fmt::format("{} (0x{:08x})", crc32c_text(*info.crc32c), *info.crc32c));
    }
    line("etag", info.etag);
    line("content type", info.content_type);
    line("encoding", info.content_encoding);
    line("storage class", info.storage_class);
    time("created", info.create_time);
    time("updated", info.update_time);
    time("finalized at", info.finalize_time);
    return out;
}

asio::awaitable<void> stat(asio::io_context& loop, std::shared_ptr<const stat_arguments> args) {
    client service(loop.get_executor(), args->how.client());
    const object_info info = co_await with_advice(
        service, args->object, service.async_stat(args->object, with_message(asio::use_awaitable))
    );
    if (args->json) {
        write_out(json_text(object_json(info)) + '\n');
    } else {
        write_out(table(info));
    }
}

void run_stat(const std::shared_ptr<stat_arguments>& args) {
    args->object.generation(static_cast<std::int64_t>(args->generation));
    asio::io_context loop(1);
    run(loop, stat(loop, args));
}

}  // namespace

void add_stat(CLI::App& app, command& chosen) {
    const auto args = std::make_shared<stat_arguments>();
    CLI::App& stat = *app.add_subcommand("stat", "Shows the metadata of an object.");
    add_object(stat, args->object, "gs://bucket/object");
    add_generation(stat, args->generation);
    stat.add_flag(
        "--json",
        args->json,
        "one JSON object on one line, with the names of the service's JSON API; generations are strings"
    );
    args->how.add_to(stat);
    stat.footer(
        "Examples:\n"
        "  rangeio stat gs://data/table.parquet\n"
        "  rangeio stat --json gs://data/table.parquet | jq .size"
    );
    stat.callback([args, &chosen] { chosen = [args] { run_stat(args); }; });
}

}  // namespace rangeio::tool
