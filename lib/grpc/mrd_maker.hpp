#pragma once

#include <rangeio/multi_range_downloader.hpp>

#include "grpc/mrd.hpp"

#include <memory>
#include <utility>

namespace rangeio::grpc_transport {

/// Makes the streams of one object, all with the same environment.
class mrd_maker : public mrd_factory {
public:
    explicit mrd_maker(mrd::environment environment, bool multi_request = true)
        : environment_(std::move(environment)), multi_request_(multi_request) {}

    std::shared_ptr<multi_range_downloader> create() override { return std::make_shared<mrd>(environment_); }
    bool supports_multi_request() const noexcept override { return multi_request_; }
    const object_ref& object() const noexcept override { return environment_.source->object(); }
    stream_stats stats() const noexcept override { return environment_.reports->counted(); }
    std::shared_ptr<observer> observed_by() const noexcept override { return environment_.reports->to(); }

protected:
    const mrd::environment& environment() const noexcept { return environment_; }

private:
    const mrd::environment environment_;
    const bool multi_request_;
};

}  // namespace rangeio::grpc_transport
