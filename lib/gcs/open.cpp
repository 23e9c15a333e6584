#include <rangeio/client.hpp>

#include "engine/fetch_block.hpp"
#include "engine/fetch_plan.hpp"
#include "engine/read_operation.hpp"
#include "gcs/client_core.hpp"
#include "grpc/mrd_maker.hpp"

#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace rangeio {
namespace gcs {
namespace {

/// The owner of a stream that serves one read: it remembers what the stream said of the object.
class single_owner final : public stream_listener {
public:
    void opened(std::shared_ptr<const object_info> info) noexcept override {
        const std::lock_guard lock(mutex_);
        info_ = std::move(info);
    }
    void reconnecting() noexcept override {}
    void reconnected() noexcept override {}
    void ended(const failure&) noexcept override {}

    /// Null before the first response.
    std::shared_ptr<const object_info> info() const {
        const std::lock_guard lock(mutex_);
        return info_;
    }

private:
    mutable std::mutex mutex_;
    std::shared_ptr<const object_info> info_;
};

asio::awaitable<mrd_pool> open_pool(
    std::shared_ptr<client_core> core, object_ref object, pool_options options
) {
    auto factory = make_factory(*core, std::move(object), options);
    mrd_pool pool(core->executor(), std::move(factory), options);
    co_await pool.initialize();
    co_return pool;
}

/// A read down a stream of its own.
class single_read final : public engine::read_operation {
public:
    single_read(
        std::shared_ptr<multi_range_downloader> stream,
        std::shared_ptr<single_owner> owner,
        std::string object,
        byte_range range,
        std::span<std::byte> destination,
        bool allow_short
    )
        : read_operation(engine::read_source::on(std::move(stream), nullptr, owner), engine::naming(range)),
          owner_(std::move(owner)),
          object_(std::move(object)),
          range_(1, range),
          destination_(destination),
          allow_short_(allow_short) {}

    std::size_t total() const noexcept { return total_; }

private:
    failure check() override { return engine::check_destination(destination_, range_.front()); }
    failure plan(std::vector<engine::transfer_part>& parts) override {
        parts.emplace_back().range = range_.front();
        parts.back().memory = destination_.data();
        return {};
    }
    // A range that ended well was in a response, and the first response has reported the object.
    failure judge() override {
        const auto got = [this](std::size_t i) { return received(i); };
        const auto total = engine::judge_fetch(range_.front(), range_, got, *owner_->info(), allow_short_);
        if (!total) return total.error();
        total_ = *total;
        return {};
    }
    failure explain(const failure& why) const override { return why.with_context(object_ + doing()); }

    const std::shared_ptr<single_owner> owner_;
    const std::string object_;
    const std::vector<byte_range> range_;
    const std::span<std::byte> destination_;
    const bool allow_short_;
    std::size_t total_ = 0;
};

asio::awaitable<std::size_t> read_once(
    std::shared_ptr<client_core> core,
    object_ref object,
    byte_range range,
    std::span<std::byte> destination,
    fetch_options options
) {
    if (range.empty()) co_return 0;
    const std::string name = object.to_string();
    const auto factory = make_factory(*core, std::move(object), pool_options());
    const auto op = std::make_shared<single_read>(
        factory->create(), std::make_shared<single_owner>(), name, range, destination, options.allow_short()
    );
    co_await engine::run_read_or_throw(op, options.timeout());
    co_return op->total();
}

}  // namespace

std::shared_ptr<mrd_factory> make_factory(
    const client_core& core, object_ref object, const pool_options& options
) {
    const auto& own = options.observed_by();
    grpc_transport::mrd::environment out;
    out.connector = core.connector();
    out.source = std::make_shared<grpc_transport::object_source>(std::move(object));
    out.reports = std::make_shared<grpc_transport::stream_reports>(own != nullptr ? own : core.observed_by());
    out.core = core.runtime();
    out.executor = core.executor();
    out.open_timeout = options.open_timeout();
    out.retry = core.retry();
    out.require_checksums = core.require_checksums();
    return std::make_shared<grpc_transport::mrd_maker>(std::move(out));
}

}  // namespace gcs

client::client(asio::any_io_executor executor, client_options options)
    : core_(std::make_shared<gcs::client_core>(std::move(executor), options)) {}

asio::awaitable<mrd_pool> client::open(object_ref object, pool_options options) {
    return gcs::open_pool(core_, std::move(object), options);
}

mrd_pool client::pool(object_ref object, pool_options options) {
    return {core_->executor(), gcs::make_factory(*core_, std::move(object), options), options};
}

mrd_pool_cache client::pool_cache(pool_cache_options options) {
    auto maker = [core = core_](const object_ref& object, const pool_options& how) {
        return gcs::make_factory(*core, object, how);
    };
    return {core_->executor(), std::move(maker), options};
}

asio::awaitable<std::size_t> client::read(
    object_ref object, byte_range range, std::span<std::byte> destination, fetch_options options
) {
    return gcs::read_once(core_, std::move(object), range, destination, options);
}

const std::string& client::endpoint() const noexcept {
    return core_->channels()->endpoint();
}

}  // namespace rangeio
