#include <rangeio/client.hpp>

#include "engine/open_operation.hpp"
#include "engine/undivided_read.hpp"
#include "error_text.hpp"
#include "gcs/client_core.hpp"
#include "gcs/grpc_service.hpp"

#include <boost/asio/system_executor.hpp>

#include <mutex>
#include <string>
#include <utility>

namespace rangeio {
namespace gcs {
namespace {

/// The owner of a stream that serves one read: it stores the stream's report of the object.
class single_owner final : public stream_listener {
public:
    void opened(std::shared_ptr<const object_info> info) noexcept override {
        const std::lock_guard lock(mutex_);
        info_ = std::move(info);
    }
    void reconnecting() noexcept override {}
    void reconnected() noexcept override {}
    void ended(const error_value&) noexcept override {}

    /// Null before the first response.
    std::shared_ptr<const object_info> info() const {
        const std::lock_guard lock(mutex_);
        return info_;
    }

private:
    mutable std::mutex mutex_;
    std::shared_ptr<const object_info> info_;
};

class open_object final : public engine::open_operation {
public:
    open_object(std::shared_ptr<client_core> core, object_ref object, pool_options options)
        : core_(std::move(core)), object_(std::move(object)), options_(std::move(options)) {}

private:
    mrd_pool make() override {
        require_client(core_);
        return {core_->executor(), core_->service().streams(object_, options_), options_};
    }

    const std::shared_ptr<client_core> core_;
    const object_ref object_;
    const pool_options options_;
};

/// A read on a stream of its own.
class single_read final : public engine::undivided_read {
public:
    single_read(
        std::shared_ptr<client_core> core,
        object_ref object,
        byte_range range,
        detail::destination destination,
        const read_options& options
    )
        : undivided_read(nullptr, nullptr, range, std::move(destination), options),
          core_(std::move(core)),
          object_(std::move(object)) {}

private:
    void start() noexcept override {
        const error_value why = guarded([this] {
            require_client(core_);
            if (range().empty()) return error_value();
            owner_ = std::make_shared<single_owner>();
            use(core_->service().streams(object_, pool_options())->create(), owner_);
            return error_value();
        });
        if (why || range().empty()) return refuse(why);
        read_operation::start();
    }
    // A range that has completed was in a response, and the first response has reported the object.
    std::shared_ptr<const object_info> reported() const override { return owner_->info(); }
    std::string subject() const override { return object_.to_string(); }

    const std::shared_ptr<client_core> core_;
    const object_ref object_;
    std::shared_ptr<single_owner> owner_;
};

}  // namespace

void require_client(const std::shared_ptr<client_core>& core) {
    if (core == nullptr) throw error(error_value(errc::invalid_argument, "client: none (moved from)"));
}

asio::any_io_executor executor_of(const std::shared_ptr<client_core>& core) {
    return core == nullptr ? asio::any_io_executor(asio::system_executor()) : core->executor();
}

}  // namespace gcs

client::client(asio::any_io_executor executor, client_options options)
    : core_(std::make_shared<gcs::client_core>(
          executor,
          gcs::make_grpc_service(executor, options),
          options.memory() ? *options.memory() : memory_budget()
      )) {}

client::executor_type client::get_executor() const noexcept {
    return core_ == nullptr ? executor_type() : core_->executor();
}

detail::initiation<mrd_pool> client::open(object_ref object, pool_options options) {
    const auto op = std::make_shared<gcs::open_object>(core_, std::move(object), std::move(options));
    return runtime::to_initiate<mrd_pool>(op, gcs::executor_of(core_));
}

mrd_pool client::pool(object_ref object, pool_options options) {
    gcs::require_client(core_);
    return {core_->executor(), core_->service().streams(std::move(object), options), options};
}

memory_budget client::memory() const {
    gcs::require_client(core_);
    return core_->memory();
}

object_reader client::reader(object_ref object, reader_options options, pool_options pool_options) {
    gcs::require_client(core_);
    if (!options.memory()) options.memory(core_->memory());
    return object_reader(pool(std::move(object), std::move(pool_options)), std::move(options));
}

mrd_pool_cache client::pool_cache(pool_cache_options options) {
    gcs::require_client(core_);
    auto maker = [core = core_](const object_ref& object, const pool_options& how) {
        return core->service().streams(object, how);
    };
    return {core_->executor(), std::move(maker), options};
}

detail::initiation<std::size_t> client::fetch(
    object_ref object, byte_range range, detail::destination destination, const read_options& options
) {
    const auto op =
        std::make_shared<gcs::single_read>(core_, std::move(object), range, std::move(destination), options);
    return runtime::to_initiate<std::size_t>(op, gcs::executor_of(core_));
}

const std::string& client::endpoint() const noexcept {
    static const std::string none;
    return core_ == nullptr ? none : core_->service().endpoint();
}

}  // namespace rangeio
