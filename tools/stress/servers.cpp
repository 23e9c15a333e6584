#include <rangeio/crc32c.hpp>
#include <rangeio/emulator.hpp>
#include <rangeio/testing/threaded_service.hpp>

#include "common/event_loop.hpp"
#include "common/process.hpp"
#include "common/units.hpp"
#include "stress/target.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

namespace rangeio::tool {
namespace {

constexpr std::uint64_t max_remote_bytes = std::uint64_t{1} << 30;

/// Targets that are reached through gRPC.
class on_server : public stress_target {
public:
    void attach(const std::vector<asio::any_io_executor>& contexts) override {
        options_.observe(resumptions_);
        for (const auto& executor : contexts) clients_.emplace_back(executor, options_);
    }
    void detach() override { clients_.clear(); }

    mrd_pool pool(std::size_t context, std::size_t object, pool_options options, bool) const override {
        return clients_[context].pool(objects_[object].ref, options);
    }
    mrd_pool_cache cache(std::size_t context, pool_cache_options options) const override {
        return clients_[context].pool_cache(options);
    }
    client* reader(std::size_t context) const override { return &clients_[context]; }

protected:
    client_options options_;

private:
    mutable std::vector<client> clients_;  // all members of a client may be called concurrently
};

std::vector<std::byte> content_of(std::int64_t number, std::uint64_t size) {
    std::vector<std::byte> out(size);
    for (std::uint64_t i = 0; i < size; ++i) out[i] = testing::threaded_service::content(number, i);
    return out;
}

/// A directory of its own, which its destructor removes with all of its contents.
class temporary_directory {
public:
    temporary_directory() {
        std::string name = (std::filesystem::temp_directory_path() / "rangeio-stress-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) throw file_failed(name, errno);
        path_ = name;
    }
    ~temporary_directory() { remove(); }
    temporary_directory(const temporary_directory&) = delete;
    temporary_directory& operator=(const temporary_directory&) = delete;

    void remove() noexcept {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    const std::filesystem::path& path() const noexcept { return path_; }

private:
    std::filesystem::path path_;
};

class on_emulator final : public on_server {
public:
    on_emulator(const testing::fault_script& faults, std::uint64_t seed) : faults_(faults) {
        add("object", std::uint64_t{4} << 20);
        add("growing", std::uint64_t{1} << 20);
        emulator::server_options how;
        how.root(directory_.path()).unfinalized("bucket/growing").max_chunk_bytes(std::size_t{32} << 10);
        how.faults(faults).fault_seed(seed);
        server_ = std::make_unique<emulator::server>(how);
        options_.endpoint(server_->address()).retry(impatient_retry());
    }

    std::string name() const override { return "emulator"; }

    bool holds(
        std::size_t object,
        std::optional<std::int64_t>,
        std::uint64_t offset,
        std::span<const std::byte> bytes
    ) const override {
        return std::ranges::equal(bytes, std::span(contents_[object]).subspan(offset, bytes.size()));
    }

    testing::possible_faults faults() const override { return testing::possible_faults(faults_); }

    std::optional<stress_service> service() const override {
        const emulator::server_stats stats = server_->stats();
        stress_service out;
        out.calls = stats.bidi_read_object.calls;
        out.calls_open = stats.bidi_read_object.open;
        return out;
    }

    void abandon() noexcept override { directory_.remove(); }

private:
    void add(const std::string& name, std::uint64_t size) {
        objects_.emplace_back(object_ref("bucket", name), size);
        contents_.push_back(content_of(static_cast<std::int64_t>(objects_.size()), size));
        const auto path = directory_.path() / "bucket" / name;
        std::filesystem::create_directories(path.parent_path());
        std::ofstream file(path, std::ios::binary);
        file.write(
            reinterpret_cast<const char*>(contents_.back().data()), static_cast<std::streamsize>(size)
        );
        if (!file.flush()) throw file_failed(path.string(), errno);
    }

    const testing::fault_script faults_;
    temporary_directory directory_;
    std::vector<std::vector<std::byte>> contents_;
    std::unique_ptr<emulator::server> server_;
};

class on_remote final : public on_server {
public:
    on_remote(const object_ref& object, const client_options& options) {
        options_ = options;
        asio::io_context loop(1);
        const int signal = run_interruptible(loop, learn(loop, object));
        if (signal != 0) throw interrupted(signal);
        objects_.emplace_back(object, content_.size());
    }

    std::string name() const override { return objects_.front().ref.to_string(); }

    bool holds(
        std::size_t, std::optional<std::int64_t>, std::uint64_t offset, std::span<const std::byte> bytes
    ) const override {
        return std::ranges::equal(bytes, std::span(content_).subspan(offset, bytes.size()));
    }

    testing::possible_faults faults() const override { return testing::possible_faults::of_any_service(); }

private:
    asio::awaitable<void> learn(asio::io_context& loop, object_ref object) {
        client service(loop.get_executor(), options_);
        mrd_pool pool = co_await service.async_open(object);
        const object_info known = *pool.info();
        if (known.size == 0 || known.size > max_remote_bytes) {
            throw failed(fmt::format(
                "{}: {} bytes; an object with 1 to {} bytes is required",
                object.to_string(),
                known.size,
                size_text(static_cast<double>(max_remote_bytes))
            ));
        }
        content_.resize(known.size);
        const byte_range all(0, known.size);
        co_await pool.async_fetch(all, content_);
        if (known.crc32c && crc32c(content_) != *known.crc32c) {
            throw failed(fmt::format(
                "{}: its bytes have CRC32C {:08x}, the service reports {:08x}",
                object.to_string(),
                crc32c(content_),
                *known.crc32c
            ));
        }
        co_await pool.async_close();
    }

    std::vector<std::byte> content_;
};

}  // namespace

std::unique_ptr<stress_target> emulated_target(const testing::fault_script& faults, std::uint64_t seed) {
    return std::make_unique<on_emulator>(faults, seed);
}

std::unique_ptr<stress_target> remote_target(const object_ref& object, const client_options& options) {
    return std::make_unique<on_remote>(object, options);
}

}  // namespace rangeio::tool
