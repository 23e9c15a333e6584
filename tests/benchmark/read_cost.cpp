#include <rangeio/client.hpp>
#include <rangeio/crc32c.hpp>
#include <rangeio/emulator.hpp>
#include <rangeio/mrd_pool.hpp>

#include "emulator/fixture.hpp"
#include "grpc/response_decoder.hpp"

#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <exception>
#include <filesystem>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What one read of 4 KiB costs in mutex acquisitions and in heap allocations, beside the leanest client of the same
// service that is written by hand: gRPC's callback API, one post for what a message completes, one message for the
// ranges that gather. The service is another process. Both are counted where they are called from: by gRPC and what it
// stands on, by Asio, by the library, or by the program itself.

namespace {

enum class by : std::size_t { library, asio, grpc, program, count };
constexpr std::array<const char*, 4> callers{"the library", "Asio", "gRPC", "the program"};

/// The functions of this program, from its symbol table: the dynamic one has no hidden symbols.
class own_functions {
public:
    own_functions() {
        const std::string command =
            "nm --defined-only " + std::filesystem::read_symlink("/proc/self/exe").string();
        FILE* const listed = ::popen(command.c_str(), "r");
        REQUIRE(listed != nullptr);
        unsigned long at = 0;
        char kind = 0;
        std::array<char, 4096> name{};
        std::array<char, 65536> line{};
        while (std::fgets(line.data(), line.size(), listed) != nullptr) {
            if (std::sscanf(line.data(), "%lx %c %4095s", &at, &kind, name.data()) == 3)
                names_[at] = name.data();
        }
        REQUIRE(::pclose(listed) == 0);
        REQUIRE_FALSE(names_.empty());
    }
    /// The mangled name of the function that has this address.
    std::string_view at(std::uintptr_t offset) const {
        const auto next = names_.upper_bound(offset);
        return next == names_.begin() ? std::string_view() : std::string_view(std::prev(next)->second);
    }

private:
    std::map<std::uintptr_t, std::string> names_;
};

/// Counts calls by their return addresses.
class site_counts {
public:
    void add(void* site) noexcept {
        if (!counting.load(std::memory_order_relaxed)) return;
        auto at = reinterpret_cast<std::uintptr_t>(site) * 0x9e3779b97f4a7c15ULL >> 50;
        for (std::size_t probe = 0; probe < slots.size(); ++probe, at = (at + 1) % slots.size()) {
            void* there = slots[at].site.load(std::memory_order_relaxed);
            if (there == nullptr && slots[at].site.compare_exchange_strong(there, site)) there = site;
            if (there == site) {
                slots[at].calls.fetch_add(1, std::memory_order_relaxed);
                return;
            }
        }
    }

    void start() noexcept {
        for (slot& s : slots) s.calls = 0;
        counting = true;
    }
    void stop() noexcept { counting = false; }

    std::array<std::uint64_t, 4> sums() const {
        std::array<std::uint64_t, 4> out{};
        for (const slot& s : slots) {
            if (s.calls != 0) out[static_cast<std::size_t>(caller(s.site))] += s.calls;
        }
        return out;
    }

private:
    struct slot {
        std::atomic<void*> site{nullptr};
        std::atomic<std::uint64_t> calls{0};
    };

    static by caller(void* site) {
        Dl_info where{};
        if (::dladdr(site, &where) == 0 || where.dli_fname == nullptr) return by::grpc;
        if (std::string_view(where.dli_fname).find("read_cost") == std::string_view::npos) return by::grpc;
        static const own_functions functions;
        const auto base = reinterpret_cast<std::uintptr_t>(where.dli_fbase);
        const auto name = functions.at(reinterpret_cast<std::uintptr_t>(site) - base);
        // Asio's functions are templates and inline: each program has its own.
        if (name.find("5boost4asio") != name.npos) return by::asio;
        return name.find("7rangeio") != name.npos ? by::library : by::program;
    }

    std::array<slot, 1 << 14> slots;
    std::atomic<bool> counting = false;
};

site_counts locks;
site_counts allocations;

}  // namespace

extern "C" {

void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t size) noexcept {
    allocations.add(__builtin_return_address(0));
    return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) noexcept {
    allocations.add(__builtin_return_address(0));
    return __libc_calloc(count, size);
}
void* realloc(void* old, std::size_t size) noexcept {
    allocations.add(__builtin_return_address(0));
    return __libc_realloc(old, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
    allocations.add(__builtin_return_address(0));
    return __libc_memalign(alignment, size);
}

int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
    using function = int (*)(pthread_mutex_t*);
    static std::atomic<function> real{nullptr};
    function call = real.load(std::memory_order_relaxed);
    if (call == nullptr) {
        call = reinterpret_cast<function>(::dlsym(RTLD_NEXT, "pthread_mutex_lock"));
        real = call;
    }
    locks.add(__builtin_return_address(0));
    return call(mutex);
}

}  // extern "C"

// operator new of libstdc++ would hide the caller.
void* operator new(std::size_t size) {
    allocations.add(__builtin_return_address(0));
    if (void* const memory = __libc_malloc(size)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
    ::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    ::free(memory);
}

namespace {

namespace asio = boost::asio;
using rangeio::byte_range;

constexpr std::uint64_t object_bytes = std::uint64_t{64} << 20;
constexpr std::size_t read_bytes = 4096;

/// An emulator in a process of its own, with one object.
class remote_service {
public:
    remote_service() {
        std::array<int, 2> up{};
        std::array<int, 2> down{};
        REQUIRE(::pipe(up.data()) == 0);
        REQUIRE(::pipe(down.data()) == 0);
        child_ = ::fork();
        REQUIRE(child_ >= 0);
        if (child_ == 0) {
            ::close(up[0]);
            ::close(down[1]);
            {
                const support::scratch files;
                files.write("b-1/o", std::string(object_bytes, 'x'));
                rangeio::emulator::server server(rangeio::emulator::server_options().root(files.path()));
                const std::string address = server.address();
                if (::write(up[1], address.data(), address.size()) < 0) ::_exit(1);
                ::close(up[1]);
                char end = 0;
                (void)!::read(down[0], &end, 1);
            }
            ::_exit(0);
        }
        ::close(up[1]);
        ::close(down[0]);
        stop_ = down[1];
        std::array<char, 100> text{};
        const auto n = ::read(up[0], text.data(), text.size());
        ::close(up[0]);
        REQUIRE(n > 0);
        address_.assign(text.data(), static_cast<std::size_t>(n));
    }
    ~remote_service() {
        ::close(stop_);
        ::waitpid(child_, nullptr, 0);
    }
    remote_service(const remote_service&) = delete;
    remote_service& operator=(const remote_service&) = delete;

    const std::string& address() const noexcept { return address_; }

private:
    pid_t child_ = 0;
    int stop_ = -1;
    std::string address_;
};

/// Somewhere else each time.
class random_offsets {
public:
    std::uint64_t next() noexcept {
        state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
        return (state_ >> 33) % (object_bytes / read_bytes) * read_bytes;
    }

private:
    std::uint64_t state_ = 1;
};

struct cost {
    std::array<double, 4> locks{};
    std::array<double, 4> allocations{};

    double of(const std::array<double, 4>& what) const { return what[0] + what[1] + what[2] + what[3]; }
};

/// `reader(reads)` reads so many times; `depth` of them run at once.
template <class Reader>
cost count(asio::io_context& context, std::size_t depth, Reader reader) {
    constexpr std::size_t all = 4096;
    const auto run = [&](std::size_t reads) {
        for (std::size_t i = 0; i < depth; ++i) {
            asio::co_spawn(context, reader(reads / depth), [](std::exception_ptr thrown) {
                if (thrown) std::rethrow_exception(thrown);
            });
        }
        context.restart();
        context.run();
    };
    run(all);  // what is kept is made
    locks.start();
    allocations.start();
    run(all);
    locks.stop();
    allocations.stop();
    cost out;
    for (std::size_t i = 0; i < 4; ++i) {
        out.locks[i] = static_cast<double>(locks.sums()[i]) / all;
        out.allocations[i] = static_cast<double>(allocations.sums()[i]) / all;
    }
    return out;
}

cost of_the_library(const std::string& address, std::size_t depth) {
    asio::io_context context;
    rangeio::client client(
        context, rangeio::client_options().endpoint(address).auth(rangeio::credentials::insecure())
    );
    rangeio::mrd_pool pool = client.pool({"b-1", "o"}, rangeio::pool_options().size(1));
    random_offsets offsets;
    const auto reader = [&](std::size_t reads) -> asio::awaitable<void> {
        std::vector<std::byte> memory(read_bytes);
        for (std::size_t i = 0; i < reads; ++i) {
            const byte_range range(offsets.next(), read_bytes);
            co_await pool.async_fetch(range, memory);
        }
    };
    const cost out = count(context, depth, reader);
    pool = rangeio::mrd_pool();
    context.restart();
    context.run();
    return out;
}

/// The client that is written by hand: one call, as few locks and allocations as its coroutines, the batching and
/// gRPC's callbacks leave.
class lean_client final : private grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
public:
    lean_client(asio::io_context& context, const std::string& address) : context_(context) {
        auto channel = grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
        stub_.emplace(channel);
        call_.AddMetadata("x-goog-request-params", "bucket=projects/_/buckets/b-1");
        stub_->PrepareBidiStreamingCall(&call_, "/google.storage.v2.Storage/BidiReadObject", {}, this);
        AddHold();
        StartRead(&response_);
        StartCall();
    }
    ~lean_client() override {
        call_.TryCancel();
        RemoveHold();
        std::unique_lock lock(mutex_);
        ended_.wait(lock, [this] { return over_; });
    }

    asio::awaitable<void> read(byte_range range, std::span<std::byte> memory) {
        return asio::async_initiate<const asio::use_awaitable_t<>&, void()>(
            [this, range, memory](auto handler) {
                const std::lock_guard lock(mutex_);
                const std::size_t id = free_.empty() ? waiting_.size() : free_.back();
                if (free_.empty()) {
                    waiting_.emplace_back();
                } else {
                    free_.pop_back();
                }
                waiting& w = waiting_[id];
                w.range = range;
                w.memory = memory;
                w.handler.template emplace<decltype(handler)>(std::move(handler));
                gathered_.push_back(id);
                send();
            },
            asio::use_awaitable
        );
    }

private:
    /// A handler in place.
    class slot {
    public:
        template <class Handler>
        void emplace(Handler handler) {
            static_assert(sizeof(Handler) <= sizeof(memory_));
            new (&memory_) Handler(std::move(handler));
            call_ = [](void* memory) {
                auto* const held = static_cast<Handler*>(memory);
                Handler out(std::move(*held));
                std::destroy_at(held);
                std::move(out)();
            };
        }
        void operator()() { call_(&memory_); }

    private:
        alignas(std::max_align_t) std::array<std::byte, 64> memory_{};
        void (*call_)(void*) = nullptr;
    };
    struct waiting {
        byte_range range;
        std::span<std::byte> memory;
        slot handler;
    };

    static void varint(std::string& out, std::uint64_t value) {
        for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
        out.push_back(static_cast<char>(value));
    }
    static void text(std::string& out, char tag, std::string_view value) {
        out.push_back(tag);
        varint(out, value.size());
        out += value;
    }

    // Requires: the lock.
    void send() {
        if (writing_ || plugged_ || gathered_.empty()) return;
        writing_ = true;
        message_.clear();
        if (!std::exchange(opened_, true)) {
            std::string spec;
            text(spec, 0x0a, "projects/_/buckets/b-1");
            text(spec, 0x12, "o");
            text(message_, 0x0a, spec);
        }
        for (const std::size_t id : gathered_) {
            range_.clear();
            range_.push_back(0x08);
            varint(range_, waiting_[id].range.offset());
            range_.push_back(0x10);
            varint(range_, waiting_[id].range.length());
            range_.push_back(0x18);
            varint(range_, id + 1);
            text(message_, 0x42, range_);
        }
        gathered_.clear();
        const grpc::Slice slice(message_.data(), message_.size());
        request_ = grpc::ByteBuffer(&slice, 1);
        StartWrite(&request_);
    }

    void OnWriteDone(bool ok) override {
        const std::lock_guard lock(mutex_);
        writing_ = false;
        if (ok) send();
    }

    void OnReadDone(bool ok) override {
        if (!ok) return;
        take();
        response_.Clear();
        StartRead(&response_);
    }

    void take() {
        slices_.clear();
        pieces_.clear();
        (void)response_.Dump(&slices_);
        for (const grpc::Slice& s : slices_) {
            pieces_.emplace_back(reinterpret_cast<const std::byte*>(s.begin()), s.size());
        }
        if (!rangeio::wire::decode_read_response(pieces_, decoded_)) std::abort();
        bool first = false;
        {
            const std::lock_guard lock(mutex_);
            for (const auto& chunk : decoded_.chunks) {
                const auto id = static_cast<std::size_t>(chunk.read_id - 1);
                waiting& w = waiting_[id];
                auto at = static_cast<std::size_t>(chunk.read_offset) - w.range.offset();
                std::uint32_t crc = 0;
                rangeio::wire::for_each_run(pieces_, chunk.payload, [&](rangeio::wire::slice run) {
                    crc = rangeio::crc32c_copy(w.memory.subspan(at, run.size()), run, crc);
                    at += run.size();
                });
                if (chunk.crc32c && *chunk.crc32c != crc) std::abort();
                if (chunk.range_end) ready_.push_back(id);
            }
            first = !ready_.empty() && !std::exchange(posted_, true);
        }
        if (first) asio::post(context_, [this] { resume(); });
    }

    void resume() {
        {
            const std::lock_guard lock(mutex_);
            posted_ = false;
            resumed_.swap(ready_);
            plugged_ = true;  // what is asked for meanwhile gathers
        }
        for (const std::size_t id : resumed_) {
            {
                const std::lock_guard lock(mutex_);
                free_.push_back(id);
            }
            waiting_[id].handler();
        }
        resumed_.clear();
        const std::lock_guard lock(mutex_);
        plugged_ = false;
        send();
    }

    void OnDone(const grpc::Status&) override {
        const std::lock_guard lock(mutex_);
        over_ = true;
        ended_.notify_all();
    }

    asio::io_context& context_;
    std::optional<grpc::GenericStub> stub_;
    grpc::ClientContext call_;
    grpc::ByteBuffer request_;
    grpc::ByteBuffer response_;
    std::vector<grpc::Slice> slices_;
    std::vector<rangeio::wire::slice> pieces_;
    rangeio::wire::read_response decoded_;

    std::mutex mutex_;
    std::condition_variable ended_;
    bool over_ = false;
    bool opened_ = false;
    bool writing_ = false;
    bool plugged_ = false;
    bool posted_ = false;
    std::deque<waiting> waiting_;
    std::vector<std::size_t> free_;
    std::vector<std::size_t> gathered_;
    std::vector<std::size_t> ready_;
    std::vector<std::size_t> resumed_;
    std::string message_;
    std::string range_;
};

cost of_the_lean_client(const std::string& address, std::size_t depth) {
    asio::io_context context;
    lean_client client(context, address);
    random_offsets offsets;
    return count(context, depth, [&](std::size_t reads) -> asio::awaitable<void> {
        std::vector<std::byte> memory(read_bytes);
        for (std::size_t i = 0; i < reads; ++i) {
            const byte_range range(offsets.next(), read_bytes);
            co_await client.read(range, memory);
        }
    });
}

void print(const char* who, std::size_t depth, const char* what, const std::array<double, 4>& counts) {
    double all = 0;
    std::string parts;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        all += counts[i];
        parts += fmt::format("{}{} {:.1f}", i == 0 ? "" : ", ", callers[i], counts[i]);
    }
    fmt::print("{:<12} {:>2} at once: {:>5.1f} {} a read ({})\n", who, depth, all, what, parts);
}

}  // namespace

TEST_CASE("read_cost: a read of 4 KiB takes as few locks and allocations as a hand-written client") {
    const remote_service service;
    for (const std::size_t depth : {std::size_t{1}, std::size_t{64}}) {
        const cost lean = of_the_lean_client(service.address(), depth);
        const cost ours = of_the_library(service.address(), depth);
        print("by hand", depth, "locks", lean.locks);
        print("rangeio", depth, "locks", ours.locks);
        print("by hand", depth, "allocations", lean.allocations);
        print("rangeio", depth, "allocations", ours.allocations);
        // Ceilings: what is there now, and room for chance.
        CHECK(ours.of(ours.locks) - lean.of(lean.locks) < (depth == 1 ? 30 : 23));
        CHECK(ours.of(ours.allocations) - lean.of(lean.allocations) < 5);
        fmt::print(
            "{:>15} at once: {:+.1f} locks, {:+.1f} allocations\n",
            depth,
            ours.of(ours.locks) - lean.of(lean.locks),
            ours.of(ours.allocations) - lean.of(lean.allocations)
        );
    }
}
