#pragma once

#include <rangeio/multi_range_downloader.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

// What every transport has to hold, whatever it is made of: the contract of multi_range_downloader.hpp as tests.

namespace support {

/// What a transport can do beyond what all have to.
struct transport_traits {
    bool resumes = false;      // what is under way on a call that breaks continues on another
    bool takes_tails = false;  // ranges from the end of the object
};

/// A transport under test, with a service that can be scripted to misbehave. Each case has one of its own.
class transport_bench {
public:
    static constexpr std::uint64_t object_bytes = 64;

    virtual ~transport_bench() = default;

    virtual transport_traits traits() const = 0;
    /// Streams on an object of `object_bytes`, which the service sends in pieces of up to 8 bytes. `faults`: a fault
    /// script.
    virtual std::shared_ptr<rangeio::mrd_factory> streams(const std::string& faults) = 0;
    /// Of the object in the generation that a stream has reported.
    virtual std::byte content(std::int64_t generation, std::uint64_t offset) const = 0;
    /// Calls, or connections, that the service has seen.
    virtual std::uint64_t calls() const = 0;

    /// Lets things happen until `over()` holds. Fails if that cannot be any more.
    virtual void wait(const std::function<bool()>& over) = 0;
    /// Something has happened; from any thread.
    virtual void happened() noexcept {}
};

struct conformance_case {
    const char* name;
    transport_traits needs;
    /// What does not hold; empty: all does.
    std::string (*run)(transport_bench& on);
};

/// Those that a transport with these traits has to pass.
std::vector<conformance_case> conformance_cases(const transport_traits& of);

}  // namespace support
