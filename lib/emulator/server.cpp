#include <rangeio/emulator.hpp>
#include <rangeio/error.hpp>

#include "emulator/background.hpp"
#include "emulator/listen_address.hpp"
#include "emulator/listener.hpp"
#include "emulator/service.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <mutex>
#include <utility>

namespace rangeio::emulator {
namespace {

constexpr std::size_t max_max_chunk_bytes = std::size_t{2} << 20;

// What the script may ask for of memory.
constexpr std::uint64_t max_grow_bytes = std::uint64_t{1} << 30;
constexpr std::uint64_t max_surplus_bytes = std::uint64_t{1} << 20;

void check(const testing::fault_script& script, const std::string& address) {
    for (const testing::fault& f : script.faults) {
        std::string wrong;
        if (f.kind == testing::fault_kind::grow && f.bytes > max_grow_bytes) {
            wrong = fmt::format("bytes is {}, more than {}", f.bytes, max_grow_bytes);
        }
        if (f.kind == testing::fault_kind::surplus && f.bytes > max_surplus_bytes) {
            wrong = fmt::format("bytes is {}, more than {}", f.bytes, max_surplus_bytes);
        }
        if (f.kind == testing::fault_kind::goaway && address.starts_with("unix:")) {
            wrong = fmt::format("it needs a port, and {} is none", address);
        }
        if (!wrong.empty()) {
            throw error(failure(
                errc::invalid_argument, fmt::format("fault {}: {}", testing::to_string(f.kind), wrong)
            ));
        }
    }
}

const server_options& checked(const server_options& options) {
    if (options.max_chunk_bytes() == 0 || options.max_chunk_bytes() > max_max_chunk_bytes) {
        throw error(failure(
            errc::invalid_argument,
            fmt::format(
                "max_chunk_bytes is {}, it must be 1 to {}", options.max_chunk_bytes(), max_max_chunk_bytes
            )
        ));
    }
    for (const std::string& object : options.unfinalized()) {
        if (object.find('/') == std::string::npos) {
            throw error(failure(
                errc::invalid_argument,
                fmt::format("unfinalized object '{}' is not of the form bucket/object", object)
            ));
        }
    }
    check(options.faults(), options.listen());
    return options;
}

bool has(const testing::fault_script& script, testing::fault_kind kind) {
    return std::ranges::any_of(script.faults, [kind](const testing::fault& f) { return f.kind == kind; });
}

// Whether listeners will follow one another on the port. Throws if somebody else has it.
bool free_if_shared(const server_options& options) {
    if (!has(options.faults(), testing::fault_kind::goaway)) return false;
    if (const error_code taken = why_not_listening(options.listen())) {
        throw error(failure(taken, fmt::format("cannot listen on {}: {}", options.listen(), taken.message()))
        );
    }
    return true;
}

}  // namespace

class server::impl {
public:
    explicit impl(const server_options& options)
        : service_(checked(options), [this] { restarts_.run([this] { restart(); }); }), restarts_(1) {
        const std::lock_guard lock(mutex_);
        // The port is only lent to the listeners that follow one another, so it has to be free.
        const bool shared_port = free_if_shared(options);
        listener_ = std::make_unique<listener>(service_, options.listen(), shared_port);
        address_ = with_port(options.listen(), listener_->port());
    }

    ~impl() { shutdown(); }

    void shutdown() {
        // The second of two callers waits for the first.
        const std::lock_guard lock(mutex_);
        service_.workers().request_stop();
        listener_.reset();
    }

    const std::string& address() const noexcept { return address_; }
    server_stats stats() const { return service_.stats(); }

private:
    // The connections end as with a server that is shut down. Another one is there already, so that clients which come back
    // at once find it.
    void restart() {
        const std::lock_guard lock(mutex_);
        if (!listener_) return;
        try {
            std::unique_ptr<listener> old = std::make_unique<listener>(service_, address_, true);
            std::swap(old, listener_);
            old->go_away();
        } catch (const std::exception&) {
            // No room for another one. Better the old one with its connections than none.
        }
    }

    service service_;
    std::mutex mutex_;
    std::unique_ptr<listener> listener_;
    std::string address_;
    background restarts_;  // ends before what it uses
};

server::server(server_options options) : impl_(std::make_unique<impl>(options)) {}

server::~server() = default;

std::string server::address() const {
    return impl_->address();
}

void server::shutdown() {
    impl_->shutdown();
}

server_stats server::stats() const {
    return impl_->stats();
}

}  // namespace rangeio::emulator
