#include "transport/conformance.hpp"

#include <rangeio/sim/context.hpp>
#include <rangeio/sim/explore.hpp>
#include <rangeio/testing/scripted_service.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

// The contract of transports, held against the scripted ones in many orders of events.

namespace {

using rangeio::testing::fault_script;
using rangeio::testing::scripted_service;
using rangeio::testing::scripted_service_options;
namespace sim = rangeio::sim;

enum class kind { shared, exclusive, transport };

support::transport_traits traits_of(kind what) {
    support::transport_traits out;
    out.resumes = what == kind::transport;
    out.takes_tails = what == kind::transport;
    return out;
}

class simulated_bench final : public support::transport_bench {
public:
    simulated_bench(sim::world& in, kind what) : world_(in), io_(in, "io"), kind_(what) {}

    support::transport_traits traits() const override { return traits_of(kind_); }
    std::shared_ptr<rangeio::mrd_factory> streams(const std::string& faults) override {
        service_.emplace(
            world_, scripted_service_options().object_bytes(object_bytes).faults(fault_script::parse(faults))
        );
        if (kind_ == kind::transport) return service_->transport(io_.get_executor());
        return service_->streams(kind_ == kind::shared);
    }
    std::byte content(std::int64_t generation, std::uint64_t offset) const override {
        return scripted_service::content(generation, offset);
    }
    std::uint64_t calls() const override { return service_->calls(); }
    void wait(const std::function<bool()>& over) override {
        while (!over() && world_.step()) {
        }
        world_.check(over(), "what the test waits for never happens");
    }

private:
    sim::world& world_;
    sim::context io_;
    const kind kind_;
    std::optional<scripted_service> service_;
};

}  // namespace

TEST_CASE("conformance: scripted streams and streams over scripted calls pass all cases") {
    for (const kind what : {kind::shared, kind::exclusive, kind::transport}) {
        for (const auto& one : support::conformance_cases(traits_of(what))) {
            const auto result = sim::explore(
                [&](sim::world& w) {
                    simulated_bench on(w, what);
                    const std::string wrong = one.run(on);
                    w.check(wrong.empty(), wrong);
                },
                sim::explore_options().schedules(100)
            );
            const std::string found = result.found ? result.found->text() : "";
            CHECK_MESSAGE(found == "", std::string(one.name), ", streams ", static_cast<int>(what));
        }
    }
}
