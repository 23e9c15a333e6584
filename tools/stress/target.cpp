#include "stress/target.hpp"

#include <rangeio/testing/threaded_service.hpp>

#include <utility>

namespace rangeio::tool {
namespace {

/// One object, whose generation may change.
class on_script final : public stress_target {
public:
    on_script(const testing::fault_script& script, std::uint64_t seed)
        : faults_(script),
          service_(testing::threaded_service_options()
                       .object_bytes(object_bytes)
                       .max_chunk_bytes(chunk_bytes)
                       .faults(script)
                       .seed(seed)
                       .observe(resumptions_)) {
        objects_.emplace_back(object_ref("bucket", "object"), object_bytes);
    }

    std::string name() const override { return "scripted service"; }

    void attach(const std::vector<asio::any_io_executor>& contexts) override { contexts_ = contexts; }
    void detach() override { contexts_.clear(); }

    mrd_pool pool(std::size_t context, std::size_t, pool_options options, bool shared) const override {
        const auto& executor = contexts_[context];
        return {executor, service_.transport(executor, options.open_timeout(), retry(), shared), options};
    }

    mrd_pool_cache cache(std::size_t context, pool_cache_options options) const override {
        const auto& executor = contexts_[context];
        return {
            executor,
            [this, executor](const object_ref&, const pool_options& how) {
                return service_.transport(executor, how.open_timeout(), retry());
            },
            options
        };
    }

    bool holds(
        std::size_t,
        std::optional<std::int64_t> generation,
        std::uint64_t offset,
        std::span<const std::byte> bytes
    ) const override {
        const auto of = [&](std::int64_t number) {
            for (std::size_t i = 0; i < bytes.size(); ++i) {
                if (bytes[i] != testing::threaded_service::content(number, offset + i)) return false;
            }
            return true;
        };
        if (generation) return of(*generation);
        const auto [first, last] = service_.generations();
        for (std::int64_t number = last; number >= first; --number) {
            if (of(number)) return true;
        }
        return false;
    }

    testing::possible_faults faults() const override { return testing::possible_faults(faults_); }

    std::optional<stress_service> service() const override {
        stress_service out;
        out.calls = service_.calls();
        out.calls_open = service_.calls_open();
        out.complaint = service_.complaint();
        return out;
    }

private:
    static constexpr std::uint64_t object_bytes = std::uint64_t{1} << 20;
    static constexpr std::uint64_t chunk_bytes = std::uint64_t{8} << 10;

    // Impatient, so that unanswered calls are retried soon, and many events happen in little time.
    static retry_policy retry() { return impatient_retry(); }

    const testing::fault_script faults_;
    std::vector<asio::any_io_executor> contexts_;
    testing::threaded_service service_;
};

}  // namespace

retry_policy impatient_retry() {
    using namespace std::chrono_literals;
    return retry_policy().initial_backoff(2ms).max_backoff(100ms).stall_timeout(1s).max_orphan_bytes(200'000);
}

testing::fault_script all_faults() {
    // A chance is taken for each response or chunk, or for each call. A new generation is not included, because a pool
    // has to be opened anew after it.
    return testing::fault_script::parse(
        "latency chance=3% delay=1ms\n"
        "bandwidth chance=5% bytes=20000000\n"
        "slow-open chance=5% delay=5ms times=0\n"
        "fail-open chance=3% times=0\n"
        "fail-open chance=1% status=INTERNAL times=0\n"
        "hang-open chance=1% times=0\n"
        "reset chance=1% times=0\n"
        "reset chance=1% status=INTERNAL times=0\n"
        "redirect chance=1% token=there handle=yes times=0\n"
        "redirect chance=1% token=elsewhere times=0\n"
        "range-error chance=1% times=0\n"
        "bad-checksum chance=1% times=0\n"
        "wrong-offset chance=1% times=0\n"
        "surplus chance=1% times=0\n"
        "short-end chance=1% times=0\n"
        "unknown-id chance=1% times=0\n"
        "repeat chance=1% times=0\n"
        "late-id chance=2% times=0\n"
        "no-range-end chance=5% times=0\n"
        "double-range-end chance=2% times=0\n"
        "empty-range-end chance=5% times=0\n"
        "no-metadata chance=5% times=0\n"
        "new-handle chance=2% times=0\n"
        "batch chance=20% bytes=3\n"
        "chunk chance=5% bytes=1000\n"
        "idle-abort chance=20% delay=5ms times=0\n"
        "ok-early chance=1% times=0\n"
        "mute chance=1% times=0\n"
        "goaway chance=1% times=0\n"
        "grow bytes=1000 chance=1% times=100\n"
        "old-size bytes=1000 chance=2% times=0\n"
        "no-generation chance=1% times=0\n"
        "no-checksum chance=1% times=0\n"
        "wild-timestamp chance=5% times=0\n"
        "long-details bytes=1000\n"
        "empty-pieces bytes=1000 chance=1% times=0\n"
    );
}

std::unique_ptr<stress_target> scripted_target(const testing::fault_script& faults, std::uint64_t seed) {
    return std::make_unique<on_script>(faults, seed);
}

}  // namespace rangeio::tool
