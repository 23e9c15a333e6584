#include <rangeio/mrd_pool.hpp>

#include "engine/pool_core.hpp"
#include "engine/pool_wait.hpp"

#include <utility>

namespace rangeio {

lease& lease::operator=(lease&& other) noexcept {
    if (this == &other) return *this;
    release();
    pool_ = std::move(other.pool_);
    stream_ = std::move(other.stream_);
    stream_id_ = other.stream_id_;
    return *this;
}

lease::executor_type lease::get_executor() const noexcept {
    return pool_ == nullptr ? executor_type() : pool_->executor();
}

void lease::release() noexcept {
    const auto stream = std::move(stream_);
    if (const auto pool = std::move(pool_)) pool->release(stream_id_);
}

mrd_pool::mrd_pool(asio::any_io_executor executor, std::shared_ptr<mrd_factory> factory, pool_options options)
    : core_(std::make_shared<engine::pool_core>(std::move(executor), std::move(factory), options)) {}

mrd_pool::mrd_pool() noexcept = default;

mrd_pool& mrd_pool::operator=(mrd_pool&& other) noexcept {
    if (this == &other) return *this;
    const auto old = std::exchange(core_, std::move(other.core_));
    if (old != nullptr) old->close_now();
    return *this;
}

mrd_pool::~mrd_pool() {
    if (core_ != nullptr) core_->close_now();
}

mrd_pool::executor_type mrd_pool::get_executor() const noexcept {
    return core_ == nullptr ? executor_type() : core_->executor();
}

detail::initiation<void> mrd_pool::initialize() {
    const auto op = std::make_shared<engine::initialize_operation>(core_);
    return runtime::to_initiate<void>(op, engine::executor_of(core_));
}

detail::initiation<lease> mrd_pool::acquire(const acquire_options& options) {
    const auto op = std::make_shared<engine::acquire_operation>(core_, options);
    return runtime::to_initiate<lease>(op, engine::executor_of(core_));
}

detail::initiation<void> mrd_pool::close(const close_options& options) {
    const auto op = std::make_shared<engine::close_operation>(core_, options);
    return runtime::to_initiate<void>(op, engine::executor_of(core_));
}

pool_stats mrd_pool::stats() const {
    return core_ == nullptr ? pool_stats() : core_->stats();
}

std::optional<object_info> mrd_pool::info() const {
    const auto known = core_ == nullptr ? nullptr : core_->info();
    return known == nullptr ? std::nullopt : std::optional(*known);
}

const object_ref& mrd_pool::object() const noexcept {
    static const object_ref none;
    return core_ == nullptr ? none : core_->object();
}

}  // namespace rangeio
