#pragma once

#include "engine/transfer.hpp"
#include "runtime/operation.hpp"

#include <memory>
#include <utility>

namespace support {

/// A transfer that a coroutine awaits directly.
class awaited_transfer final : public rangeio::runtime::operation, public rangeio::engine::transfer {
public:
    template <class... From>
    explicit awaited_transfer(From&&... from) {
        prepare(std::forward<From>(from)...);
    }

private:
    void start() noexcept override { run(); }
    void stop(const rangeio::error_value& why) noexcept override { abort(why); }
    void reject(const rangeio::error_value& why) noexcept override { abort(why); }
    void transferred() noexcept override { complete(); }
    std::shared_ptr<transfer> self() noexcept override {
        return std::static_pointer_cast<awaited_transfer>(shared_from_this());
    }
};

}  // namespace support
