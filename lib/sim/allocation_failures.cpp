#include <rangeio/sim/allocation_failures.hpp>

#include <fmt/format.h>

#include <dlfcn.h>
#include <execinfo.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace rangeio::sim {
namespace {

thread_local allocation_failures* armed = nullptr;
thread_local unsigned everything_exempt = 0;
thread_local unsigned asio_exempt = 0;
thread_local std::uint64_t calls_of_new = 0;

std::atomic<std::int64_t> live{0};

bool is_replaced() {
    const allocation_exemption own;
    const std::uint64_t before = calls_of_new;
    ::operator delete(::operator new(1));
    return calls_of_new != before;
}

void* aligned(std::size_t alignment, std::size_t size) noexcept {
    void* out = nullptr;
    return ::posix_memalign(&out, std::max(alignment, sizeof(void*)), size) == 0 ? out : nullptr;
}

}  // namespace

allocation_failures::allocation_failures(std::uint64_t nth, std::uint64_t times)
    : nth_(nth), times_(times), outer_(armed) {
    if (!is_replaced()) {
        throw std::logic_error(
            "operator new is not replaced: one source of the program has to include "
            "rangeio/sim/replace_new.hpp"
        );
    }
    armed = this;
}

allocation_failures::~allocation_failures() {
    armed = outer_;
}

bool allocation_failures::any_injected() noexcept {
    return armed != nullptr && armed->injected_ != 0;
}

bool allocation_failures::admit() noexcept {
    return armed == nullptr || everything_exempt != 0 || armed->next();
}

bool allocation_failures::admit_aligned() noexcept {
    return asio_exempt != 0 || admit();
}

bool allocation_failures::next() noexcept {
    ++counted_;
    if (nth_ == 0 || counted_ < nth_ || counted_ - nth_ >= times_) return true;
    if (injected_++ == 0) {
        const allocation_exemption for_the_unwinder;
        depth_ = ::backtrace(stack_.data(), static_cast<int>(stack_.size()));
    }
    return false;
}

std::string allocation_failures::where() const {
    const allocation_exemption own;
    std::string out;
    std::string_view module;
    for (int i = 0; i < depth_; ++i) {
        const auto address = reinterpret_cast<std::uintptr_t>(stack_[static_cast<std::size_t>(i)]);
        Dl_info info{};
        if (::dladdr(stack_[static_cast<std::size_t>(i)], &info) == 0 || info.dli_fname == nullptr) continue;
        if (module != info.dli_fname) {
            module = info.dli_fname;
            if (!out.empty()) out += "; ";
            out += fmt::format("addr2line -Cpfe {}", module);
        }
        // The call, not its return address.
        out += fmt::format(" {:#x}", address - reinterpret_cast<std::uintptr_t>(info.dli_fbase) - 1);
    }
    return out;
}

allocation_exemption::allocation_exemption(of what) noexcept : what_(what) {
    ++(what_ == of::everything ? everything_exempt : asio_exempt);
}

allocation_exemption::~allocation_exemption() {
    --(what_ == of::everything ? everything_exempt : asio_exempt);
}

bool allocation_exemption::active() noexcept {
    return everything_exempt != 0;
}

allocation_exemption::lift::lift() noexcept
    : everything_(std::exchange(everything_exempt, 0)), asio_(std::exchange(asio_exempt, 0)) {}

allocation_exemption::lift::~lift() {
    everything_exempt = everything_;
    asio_exempt = asio_;
}

void allocation_point() {
    if (!allocation_failures::admit()) throw std::bad_alloc();
}

std::int64_t live_allocations() noexcept {
    return live.load(std::memory_order_relaxed);
}

namespace detail {

void* counted_new(std::size_t size, std::size_t alignment) noexcept {
    ++calls_of_new;
    if (!allocation_failures::admit()) return nullptr;
    void* const out = alignment == 0 ? std::malloc(std::max<std::size_t>(size, 1)) : aligned(alignment, size);
    if (out != nullptr) live.fetch_add(1, std::memory_order_relaxed);
    return out;
}

void counted_delete(void* memory) noexcept {
    if (memory == nullptr) return;
    live.fetch_sub(1, std::memory_order_relaxed);
    std::free(memory);
}

void* counted_aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
    void* const out = allocation_failures::admit_aligned() ? aligned(alignment, size) : nullptr;
    if (out == nullptr) errno = ENOMEM;
    return out;
}

void exempt_from_here(bool exempt) noexcept {
    everything_exempt = exempt ? 1 : 0;
}

}  // namespace detail

}  // namespace rangeio::sim
