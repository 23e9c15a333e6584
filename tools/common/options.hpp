#pragma once

#include <rangeio/client.hpp>
#include <rangeio/mrd_pool.hpp>
#include <rangeio/object.hpp>
#include <rangeio/object_reader.hpp>

#include "common/event_log.hpp"

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace rangeio::tool {

/// The work of the chosen subcommand, after its arguments have been read.
///
/// Throws: every failure.
using command = std::function<void()>;

/// Adds an option whose value is checked, with its placeholder and its group in the help text.
CLI::Option* add_count(
    CLI::App& app,
    const std::string& name,
    std::uint64_t& value,
    std::uint64_t least,
    std::uint64_t most,
    const std::string& what
);
CLI::Option* add_size(
    CLI::App& app,
    const std::string& name,
    std::uint64_t& value,
    std::uint64_t least,
    std::uint64_t most,
    const std::string& what
);
CLI::Option* add_duration(
    CLI::App& app,
    const std::string& name,
    std::chrono::milliseconds& value,
    std::chrono::milliseconds least,
    std::chrono::milliseconds most,
    const std::string& what
);
/// A required positional argument `gs://bucket/object`.
CLI::Option* add_object(CLI::App& app, object_ref& object, const std::string& what);
/// Parses `gs://bucket/object`.
///
/// Throws: `usage_failed` for any other text.
object_ref parse_object(const std::string& uri);

/// The options of every command that sends requests to a service.
class connection {
public:
    connection() = default;

    void add_to(CLI::App& app);
    /// `channels`: the number of streams that will be opened.
    client_options client(std::uint64_t channels = 1) const;
    std::chrono::milliseconds timeout() const noexcept { return timeout_; }

private:
    std::string endpoint_;
    bool insecure_ = false;
    std::string token_file_;
    std::string user_project_;
    std::chrono::milliseconds timeout_ = std::chrono::minutes(2);
};

/// The options of every command that reads the bytes of an object.
class reading {
public:
    reading() = default;

    void add_to(CLI::App& app);

    client_options client() const {
        client_options out = connection_.client(pool_size_);
        if (log_ != nullptr) out.observe(log_);
        return out;
    }
    /// The log of --verbose; null without it. The command finishes it when the work is over.
    const std::shared_ptr<event_log>& log() const noexcept { return log_; }
    pool_options pool() const;
    fetch_options fetching() const;
    std::chrono::milliseconds timeout() const noexcept { return connection_.timeout(); }
    std::uint64_t pool_size() const noexcept { return pool_size_; }
    std::uint64_t concurrency() const noexcept { return concurrency_; }
    std::int64_t generation() const noexcept { return static_cast<std::int64_t>(generation_); }

private:
    connection connection_;
    std::uint64_t pool_size_ = 4;
    std::uint64_t concurrency_ = 4;
    std::uint64_t generation_ = 0;
    std::shared_ptr<event_log> log_;
};

/// The options of every command that reads through an `object_reader`.
class read_ahead {
public:
    /// `how`: the default of --prefetch. Empty: without the option, the command uses no reader.
    explicit read_ahead(std::optional<prefetching> how = prefetching::adaptive) : how_(how) {}

    void add_to(CLI::App& app);

    const std::optional<prefetching>& how() const noexcept { return how_; }
    /// The option's word for it, such as `linear`; empty if the command uses no reader.
    std::string_view name() const noexcept;
    /// The budget of the command's readers, made anew by each call.
    memory_budget memory() const { return memory_budget(budget_bytes_); }
    reader_options reader(const reading& with, const memory_budget& memory) const;

private:
    std::optional<prefetching> how_;
    std::uint64_t budget_bytes_ = memory_budget::default_limit_bytes;
};

/// Finishes the log of a command when its work is over, after success and failure alike.
class log_scope {
public:
    explicit log_scope(const reading& how) : log_(how.log()) {}
    log_scope(const log_scope&) = delete;
    log_scope& operator=(const log_scope&) = delete;
    ~log_scope() {
        if (log_ != nullptr) log_->finish();
    }

private:
    const std::shared_ptr<event_log> log_;
};

/// The option `--generation` alone.
void add_generation(CLI::App& app, std::uint64_t& generation);

}  // namespace rangeio::tool
