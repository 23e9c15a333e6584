#include "runtime/operation.hpp"

#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/system/system_error.hpp>

#include <array>
#include <cstddef>
#include <new>
#include <span>
#include <utility>

namespace rangeio::runtime {
namespace {

thread_local completion_batch* current_batch = nullptr;

// A larger batch would save little, and would keep the handlers from other threads of the executor.
constexpr std::size_t max_batch = 16;

}  // namespace

// The caller may be suspended already: an exception from here would not reach the caller, but destroy it.
void operation::launch(asio::any_io_executor executor, asio::cancellation_slot slot) noexcept {
    // Another thread may complete the operation while start() runs, so everything else comes first.
    executor_ = std::move(executor);
    slot_ = slot;
    self_ = std::static_pointer_cast<operation>(shared_from_this());
    const auto alive = self_;
    error_value obstacle;
    try {
        work_.emplace(executor_);
        // The guard alone tracks work, so the executors of all callers on one context compare equal.
        executor_ = asio::prefer(executor_, asio::execution::outstanding_work.untracked);
        core_ = core_of(executor_);
        const std::weak_ptr<operation> weak = self_;
        if (slot_.is_connected()) {
            slot_.assign([weak](asio::cancellation_type type) {
                if (const auto op = weak.lock()) op->cancel_by(type);
            });
        }
        if (timeout_ > clock_duration::zero()) {
            timer_ = core_->set_timer(executor_, timeout_, [weak] {
                if (const auto op = weak.lock()) op->cancel(errc::timed_out);
            });
        }
    } catch (const boost::system::system_error& e) {
        obstacle = e.code();
    } catch (...) {
        obstacle = make_error_code(boost::system::errc::not_enough_memory);
    }
    if (timeout_ < clock_duration::zero()) obstacle = errc::timed_out;
    if (!obstacle && !core_->enter(*this)) obstacle = errc::shut_down;
    if (obstacle) {
        reject(obstacle);
        complete();
    } else {
        start();
        if (second_.exchange(true)) stop(cancellation_);
    }
}

void operation::cancel_by(asio::cancellation_type type) noexcept {
    using enum asio::cancellation_type;
    const bool at_any_time = (type & (terminal | partial)) != none;
    if (at_any_time || ((type & total) != none && untouched()))
        cancel(make_error_code(asio::error::operation_aborted));
}

// While start() runs there may be nothing to cancel yet. So the later of start() and the first cancellation stops the
// work.
void operation::cancel(const error_value& why) noexcept {
    if (cancelled_.exchange(true)) return;
    cancellation_ = why;
    if (second_.exchange(true)) stop(cancellation_);
}

// The completion owns the operation: if the context is destroyed with the completion in its queue, the operation, with
// its handler and all that the handler owns, has to be destroyed there, too.
void operation::complete() noexcept {
    completion_batch::add(std::move(self_));
}

void operation::resume(std::shared_ptr<operation> op) {
    if (op->timer_ != nullptr) op->timer_->cancel();
    if (op->slot_.is_connected()) op->slot_.clear();
    // The guard must exist until the handler has returned: the handler may start further work.
    const auto work = std::move(op->work_);
    op->leave_context();
    auto& handler = op->handler;
    handler(std::move(op));
}

// The thread that completed the operation may hold it beyond the lifetime of the handler's context.
void operation::leave_context() noexcept {
    timer_.reset();
    work_.reset();
    executor_ = asio::any_io_executor();
}

void operation::on_shutdown() noexcept {
    cancel(errc::shut_down);
}

completion_batch::completion_batch() noexcept : outer_(std::exchange(current_batch, this)) {}

completion_batch::~completion_batch() {
    current_batch = outer_;
    while (first_ != nullptr) {
        // Consecutive operations on one executor are posted together; in a program with one executor these are all.
        auto run = std::move(first_);
        operation* last = run.get();
        for (std::size_t n = 1; n < max_batch && last->next_ != nullptr; ++n) {
            if (last->next_->executor_ != run->executor_) break;
            last = last->next_.get();
        }
        first_ = std::move(last->next_);
        post(std::move(run));
    }
}

void completion_batch::add(std::shared_ptr<operation> op) noexcept {
    if (current_batch == nullptr) {
        post(std::move(op));
        return;
    }
    operation* const last = op.get();
    auto& link = current_batch->first_ == nullptr ? current_batch->first_ : current_batch->last_->next_;
    link = std::move(op);
    current_batch->last_ = last;
}

void completion_batch::post(std::shared_ptr<operation> first) noexcept {
    // The operations of a run share their executor, hence their core; an operation that could not start may have none.
    std::shared_ptr<context_core> core;
    for (auto* op = first.get(); op != nullptr && core == nullptr; op = op->next_.get()) core = op->core_;
    const context_core::shutdown_hold hold(std::move(core));
    std::array<std::shared_ptr<operation>, max_batch> members;
    std::size_t count = 0;
    for (auto op = first; op != nullptr; op = op->next_) members[count++] = op;
    post_list(std::move(first));
    // The operations leave after the post: a context that shuts down waits for that, and then destroys the completions.
    for (const auto& op : std::span(members).first(count)) {
        if (op->core_ != nullptr) op->core_->leave(*op);
    }
}

// A completion in the queue of an executor. If the queue is destroyed first, the waiting coroutines must be destroyed,
// too: their frames own their operations, and the operations own the frames, as handlers.
class completion_batch::delivery {
public:
    explicit delivery(std::shared_ptr<operation> first) noexcept : first_(std::move(first)) {}
    delivery(delivery&&) noexcept = default;
    ~delivery() {
        if (first_ == nullptr) return;
        if (dropped != nullptr) {
            *dropped = true;
        } else {
            abandon(std::move(first_));
        }
    }

    std::shared_ptr<operation> take() noexcept { return std::move(first_); }

    static inline thread_local bool* dropped =
        nullptr;  // during a post: set to true if the delivery was destroyed instead

private:
    std::shared_ptr<operation> first_;
};

/// Memory for the post of an operation, inside the operation; released before the operation is resumed.
template <class T>
class completion_batch::post_allocator {
public:
    using value_type = T;

    explicit post_allocator(operation& of) noexcept : of_(&of) {}
    template <class U>
    post_allocator(const post_allocator<U>& other) noexcept : of_(other.of_) {}

    T* allocate(std::size_t n) {
        if (n * sizeof(T) > sizeof(of_->post_memory_) || alignof(T) > alignof(std::max_align_t))
            return static_cast<T*>(::operator new(n * sizeof(T)));
        return reinterpret_cast<T*>(of_->post_memory_);
    }
    void deallocate(T* memory, std::size_t) noexcept {
        if (reinterpret_cast<std::byte*>(memory) != of_->post_memory_) ::operator delete(memory);
    }
    template <class U>
    bool operator==(const post_allocator<U>& other) const noexcept {
        return of_ == other.of_;
    }

private:
    template <class>
    friend class post_allocator;

    operation* of_;
};

void completion_batch::abandon(std::shared_ptr<operation> first) noexcept {
    while (first != nullptr) {
        const auto op = std::move(first);
        first = std::move(op->next_);
        op->handler.reset();
        op->leave_context();
    }
}

void completion_batch::post_list(std::shared_ptr<operation> first) noexcept {
    for (;;) {
        bool dropped = false;
        delivery::dropped = &dropped;
        try {
            auto resume = [next = delivery(first)]() mutable { resume_all(next.take()); };
            // A post through any_io_executor allocates twice, and ignores the allocator.
            using io_executor = asio::io_context::executor_type;
            if (const auto* const io = first->executor_.target<io_executor>()) {
                asio::post(*io, asio::bind_allocator(post_allocator<void>(*first), std::move(resume)));
            } else {
                asio::post(first->executor_, std::move(resume));
            }
            delivery::dropped = nullptr;
            // An executor whose queue has been shut down destroys the completion instead of queueing it.
            if (dropped) abandon(std::move(first));
            return;
        } catch (const std::bad_alloc&) {
            // The callers must be woken, and there is no other way: retry.
        }
    }
}

void completion_batch::resume_all(std::shared_ptr<operation> first) {
    while (first != nullptr) {
        auto op = std::move(first);
        first = std::move(op->next_);
        try {
            operation::resume(std::move(op));
        } catch (...) {
            // A handler may throw out of run(); the others must be resumed nevertheless.
            if (first != nullptr) post_list(std::move(first));
            throw;
        }
    }
}

}  // namespace rangeio::runtime
