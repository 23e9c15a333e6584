#include <rangeio/mrd_pool_cache.hpp>

#include "engine/cache_wait.hpp"
#include "engine/open_operation.hpp"
#include "engine/pool_cache_core.hpp"
#include "error_text.hpp"

#include <boost/asio/system_executor.hpp>

#include <utility>

namespace rangeio {
namespace engine {
namespace {

/// Opens the known live generation, if there is one; if it does not exist any more, opens the object by name, so that
/// the service determines the live generation.
class open_cached final : public open_operation {
public:
    open_cached(std::shared_ptr<pool_cache_core> cache, object_ref object, pool_options options)
        : cache_(std::move(cache)), object_(std::move(object)), options_(std::move(options)) {}

private:
    mrd_pool make() override {
        if (cache_ == nullptr) throw error(no_cache());
        if (again_) return cache_->make_pool(object_, options_);
        named_ = object_.generation() == 0 ? cache_->with_known_generation(object_) : object_;
        return cache_->make_pool(named_, options_);
    }
    bool has_another(const error_value& why) noexcept override {
        const bool gone = why.code() == errc::not_found || why.code() == errc::generation_changed;
        if (again_ || named_ == object_ || !gone) return false;
        cache_->forget_generation(named_);
        return again_ = true;
    }

    const std::shared_ptr<pool_cache_core> cache_;
    const object_ref object_;
    const pool_options options_;
    object_ref named_;
    bool again_ = false;
};

}  // namespace

asio::any_io_executor executor_of(const std::shared_ptr<pool_cache_core>& cache) {
    return cache == nullptr ? asio::any_io_executor(asio::system_executor()) : cache->executor();
}

error_value no_cache() noexcept {
    return described(errc::invalid_argument, "cache: none (default-constructed or moved from)");
}

}  // namespace engine

using engine::pool_cache_core;

mrd_pool_cache::mrd_pool_cache(
    asio::any_io_executor executor, mrd_factory_maker make_factory, pool_cache_options options
)
    : core_(pool_cache_core::make(std::move(executor), std::move(make_factory), options)) {}

mrd_pool_cache::mrd_pool_cache() noexcept = default;

mrd_pool_cache& mrd_pool_cache::operator=(mrd_pool_cache&& other) noexcept {
    if (this == &other) return *this;
    const auto old = std::exchange(core_, std::move(other.core_));
    if (old != nullptr) old->close_now();
    return *this;
}

mrd_pool_cache::~mrd_pool_cache() {
    if (core_ != nullptr) core_->close_now();
}

mrd_pool_cache::executor_type mrd_pool_cache::get_executor() const noexcept {
    return core_ == nullptr ? executor_type() : core_->executor();
}

detail::initiation<mrd_pool> mrd_pool_cache::open(object_ref object, pool_options options) {
    const auto op = std::make_shared<engine::open_cached>(core_, std::move(object), std::move(options));
    return runtime::to_initiate<mrd_pool>(op, engine::executor_of(core_));
}

detail::initiation<void> mrd_pool_cache::close(const close_options& options) {
    const auto op = std::make_shared<engine::cache_wait>(core_, options);
    return runtime::to_initiate<void>(op, engine::executor_of(core_));
}

pool_cache_stats mrd_pool_cache::stats() const {
    return core_ == nullptr ? pool_cache_stats() : core_->stats();
}

}  // namespace rangeio
