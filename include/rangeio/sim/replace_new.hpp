#pragma once

// Replaces operator new and delete, in all their forms, and aligned_alloc, for the whole program: the replacements use
// malloc, count, and fail where `rangeio::sim::allocation_failures` requires it. To be included in one source of a
// program, never in a library or a header. The sanitizers see as much as without it, because they intercept malloc.
//
// No new-handler is called.

#include <rangeio/sim/allocation_failures.hpp>

#include <cstddef>
#include <cstdlib>
#include <new>

namespace rangeio::sim::detail {

inline void* new_or_throw(std::size_t size, std::size_t alignment) {
    if (void* const memory = counted_new(size, alignment)) return memory;
    throw std::bad_alloc();
}

}  // namespace rangeio::sim::detail

void* operator new(std::size_t size) {
    return rangeio::sim::detail::new_or_throw(size, 0);
}
void* operator new[](std::size_t size) {
    return rangeio::sim::detail::new_or_throw(size, 0);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    return rangeio::sim::detail::new_or_throw(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
    return rangeio::sim::detail::new_or_throw(size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return rangeio::sim::detail::counted_new(size, 0);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
    return rangeio::sim::detail::counted_new(size, 0);
}
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    return rangeio::sim::detail::counted_new(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    return rangeio::sim::detail::counted_new(size, static_cast<std::size_t>(alignment));
}

void operator delete(void* memory) noexcept {
    rangeio::sim::detail::counted_delete(memory);
}
void operator delete[](void* memory) noexcept {
    rangeio::sim::detail::counted_delete(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    rangeio::sim::detail::counted_delete(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
    rangeio::sim::detail::counted_delete(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
    rangeio::sim::detail::counted_delete(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
    rangeio::sim::detail::counted_delete(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    rangeio::sim::detail::counted_delete(memory);
}
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
    rangeio::sim::detail::counted_delete(memory);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
    rangeio::sim::detail::counted_delete(memory);
}
void operator delete[](void* memory, const std::nothrow_t&) noexcept {
    rangeio::sim::detail::counted_delete(memory);
}
void operator delete(void* memory, std::align_val_t, const std::nothrow_t&) noexcept {
    rangeio::sim::detail::counted_delete(memory);
}
void operator delete[](void* memory, std::align_val_t, const std::nothrow_t&) noexcept {
    rangeio::sim::detail::counted_delete(memory);
}

extern "C" void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
    return rangeio::sim::detail::counted_aligned_alloc(alignment, size);
}
