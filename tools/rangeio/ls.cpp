#include <rangeio/client.hpp>

#include "commands.hpp"
#include "common/advice.hpp"
#include "common/event_loop.hpp"
#include "common/printable.hpp"
#include "common/process.hpp"
#include "object_text.hpp"

#include <fmt/format.h>

#include <memory>
#include <utility>

namespace rangeio::tool {
namespace {

class ls_arguments {
public:
    ls_arguments() = default;

    std::string bucket;
    std::string prefix;
    bool recursive = false;
    bool details = false;
    bool json = false;
    connection how;
};

void parse_place(const std::string& uri, ls_arguments& args) {
    constexpr std::string_view scheme = "gs://";
    if (!uri.starts_with(scheme)) {
        throw CLI::ValidationError(
            fmt::format(
                "'{}' is not of the form gs://bucket or gs://bucket/prefix{}", uri, advice_on_uri(uri)
            ),
            CLI::ExitCodes::ValidationError
        );
    }
    const std::string place = uri.substr(scheme.size());
    const std::size_t slash = std::min(place.find('/'), place.size());
    args.bucket = place.substr(0, slash);
    args.prefix = slash == place.size() ? "" : place.substr(slash + 1);
    try {
        check_bucket_name(args.bucket);
        // A prefix that no name can begin with is as wrong as an invalid name; '.hidden' begins with a dot.
        const bool dots = args.prefix == "." || args.prefix == "..";
        if (!args.prefix.empty() && !dots) object_ref(args.bucket, args.prefix);
    } catch (const error& wrong) {
        throw CLI::ValidationError(wrong.what(), CLI::ExitCodes::ValidationError);
    }
}

std::string object_line(const object_info& info, const ls_arguments& args) {
    if (args.json) return json_text(object_json(info)) + '\n';
    const std::string uri = fmt::format("gs://{}/{}\n", args.bucket, printable(info.name));
    if (!args.details) return uri;
    const std::string time = info.update_time ? time_text(*info.update_time) : "-";
    // A plus: the object is unfinalized, more bytes may be appended.
    return fmt::format("{:>15}{} {:>20}  {}", info.size, info.finalized ? ' ' : '+', time, uri);
}

std::string prefix_line(const std::string& prefix, const ls_arguments& args) {
    if (args.json) {
        boost::json::object line;
        line["bucket"] = args.bucket;
        line["prefix"] = prefix;
        return json_text(line) + '\n';
    }
    const std::string uri = fmt::format("gs://{}/{}\n", args.bucket, printable(prefix));
    return args.details ? fmt::format("{:>15}  {:>20}  {}", "-", "-", uri) : uri;
}

// Both lists of a page are ordered by name; the output merges them into one.
std::string page_text(const list_page& page, const ls_arguments& args) {
    std::string text;
    auto prefix = page.prefixes.begin();
    for (const object_info& object : page.objects) {
        for (; prefix != page.prefixes.end() && *prefix < object.name; ++prefix) {
            text += prefix_line(*prefix, args);
        }
        text += object_line(object, args);
    }
    for (; prefix != page.prefixes.end(); ++prefix) text += prefix_line(*prefix, args);
    return text;
}

asio::awaitable<void> ls(asio::io_context& loop, std::shared_ptr<const ls_arguments> args) {
    blocking_thread writer;
    client service(loop.get_executor(), args->how.client());
    list_options options;
    options.prefix(args->prefix).delimiter(args->recursive ? "" : "/");
    bool found = false;
    do {
        const list_page page = co_await service.async_list(args->bucket, options);
        found = found || !page.objects.empty() || !page.prefixes.empty();
        const auto write = [&page, &args] { write_out(page_text(page, *args)); };
        co_await writer.run(write);
        options.page_token(page.next_page_token);
    } while (!options.page_token().empty());
    if (!found && !args->prefix.empty()) {
        throw failed(fmt::format(
            "gs://{}/{}: no object name has this prefix{}",
            args->bucket,
            args->prefix,
            advice_on_prefix(args->bucket, args->prefix)
        ));
    }
}

void run_ls(const std::shared_ptr<ls_arguments>& args) {
    asio::io_context loop(1);
    run(loop, ls(loop, args));
}

}  // namespace

void add_ls(CLI::App& app, command& chosen) {
    const auto args = std::make_shared<ls_arguments>();
    CLI::App& ls = *app.add_subcommand("ls", "Lists objects, ordered by name.");
    const auto take_place = [args](const std::string& uri) { parse_place(uri, *args); };
    ls.add_option_function<std::string>(
          "PLACE",
          take_place,
          "gs://bucket or gs://bucket/prefix: the objects whose names begin with that prefix. It is an error "
          "if there are none"
    )
        ->required();
    ls.add_flag(
        "--recursive,-r",
        args->recursive,
        "every object; otherwise names are cut after the next '/' and shown once"
    );
    ls.add_flag(
        "-l", args->details, "also size in bytes ('+': still being appended to) and time of the update"
    );
    ls.add_flag(
        "--json",
        args->json,
        "JSON lines: each object as 'stat --json' shows it, each cut name as its bucket and prefix"
    );
    args->how.add_to(ls);
    ls.footer(
        "Invisible characters (controls, marks that reorder text) are shown as \\xNN in names, and as\n"
        "\\uNNNN with --json.\n\n"
        "Examples:\n"
        "  rangeio ls gs://data\n"
        "  rangeio ls -l gs://data/2024/\n"
        "  rangeio ls --recursive --json gs://data | jq -s 'map(.size) | add'"
    );
    ls.callback([args, &chosen] { chosen = [args] { run_ls(args); }; });
}

}  // namespace rangeio::tool
