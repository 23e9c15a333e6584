#include "simulation/memory_service.hpp"

#include <rangeio/crc32c.hpp>

#include "grpc/mrd_maker.hpp"

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <utility>

namespace support {
namespace {

using namespace rangeio;
using namespace rangeio::grpc_transport;

class memory_call final : public bidi_call,
                          public memory_stream,
                          public std::enable_shared_from_this<memory_call> {
public:
    memory_call(memory_service& service, std::shared_ptr<bidi_call_events> events)
        : service_(service), events_(std::move(events)) {}

    void start(const call_spec&, std::span<const fsm::wire_range> ranges) override {
        service_.add_call(weak_from_this());
        accept(ranges);
    }

    void write(std::span<const fsm::wire_range> ranges) override { accept(ranges); }

    void cancel() noexcept override {
        const std::lock_guard lock(mutex_);
        if (!end_) end_ = error_value(error_code(1, grpc_category()));
        schedule();
    }

    void break_now(int status) override {
        const std::lock_guard lock(mutex_);
        if (end_) return;
        end_ = error_value(error_code(status, grpc_category()), "the stream broke");
        schedule();
    }

private:
    void accept(std::span<const fsm::wire_range> ranges) {
        const std::lock_guard lock(mutex_);
        ranges_.insert(ranges_.end(), ranges.begin(), ranges.end());
        ++confirming_;
        service_.post([self = shared_from_this()] { self->confirm(); });
        schedule();
    }

    // One step of the call at a time: `stepping_` says that one is queued or under way.
    void schedule() {
        if (stepping_ || over_) return;
        stepping_ = true;
        service_.post([self = shared_from_this()] { self->step(); });
    }

    void confirm() {
        std::shared_ptr<bidi_call_events> events;
        {
            const std::lock_guard lock(mutex_);
            if (!end_) events = events_;
        }
        if (events != nullptr) events->on_write_done();
        events.reset();
        const std::lock_guard lock(mutex_);
        --confirming_;
        schedule();
    }

    void step() {
        std::optional<fsm::wire_range> range;
        bool respond_now = false;
        std::shared_ptr<bidi_call_events> ended;
        error_value why;
        {
            const std::lock_guard lock(mutex_);
            if (!end_ && responses_ == 0 && service_.refuses_open()) {
                end_ = error_value(error_code(14, grpc_category()), "the open was refused");
            }
            const std::size_t limit = service_.break_after();
            if (!end_ && limit != 0 && responses_ >= limit) {
                end_ = error_value(error_code(14, grpc_category()), "the stream broke");
            }
            if (end_) {
                // The end is reported last, after the writes have been confirmed.
                if (confirming_ == 0) {
                    over_ = true;
                    ended = std::move(events_);
                    why = *end_;
                }
                stepping_ = false;
            } else if (!ranges_.empty()) {
                range = ranges_.front();
                ranges_.pop_front();
                respond_now = true;
            } else {
                respond_now = responses_ == 0;
                stepping_ = respond_now;
            }
        }
        if (ended != nullptr) ended->on_done(why);
        if (!respond_now) return;
        respond(range);
        const std::lock_guard lock(mutex_);
        stepping_ = false;
        if (!ranges_.empty() || end_) schedule();
    }

    void respond(const std::optional<fsm::wire_range>& asked) {
        const auto everything = std::as_bytes(std::span(service_.content()));
        object_info info;
        info.generation = 7;
        const auto unfinalized = service_.unfinalized();
        info.size = unfinalized.value_or(everything.size());
        info.finalized = !unfinalized;
        incoming out;
        if (responses_ == 0) {
            out.metadata = &info;
            size_ = service_.remembers_sizes() ? static_cast<std::size_t>(info.size) : everything.size();
        }
        wire::data_chunk chunk;
        std::vector<wire::slice> message;
        if (asked) {
            const auto wanted = static_cast<std::size_t>(asked->length);
            const std::size_t offset =
                asked->offset < 0 ? size_ - std::min(wanted, size_) : static_cast<std::size_t>(asked->offset);
            const std::size_t length = std::min(wanted, size_ - std::min(offset, size_));
            const std::size_t size = std::min(length, service_.chunk_bytes());
            const auto payload = everything.subspan(std::min(offset, everything.size()), size);
            message = {payload.first(size / 2), payload.subspan(size / 2)};
            chunk.has_read_range = true;
            chunk.read_id = asked->read_id;
            chunk.read_offset = static_cast<std::int64_t>(offset);
            chunk.read_length = static_cast<std::int64_t>(size);
            chunk.range_end = size == length;
            chunk.has_data = true;
            chunk.payload = {0, 0, size};
            chunk.crc32c = crc32c(payload);
            out.message = message;
            out.chunks = {&chunk, 1};
            if (size < length) {
                const auto next = static_cast<std::int64_t>(offset + size);
                const std::lock_guard lock(mutex_);
                ranges_.push_back({asked->read_id, next, static_cast<std::int64_t>(length - size)});
            }
        }
        ++responses_;
        events_->on_response(out);
    }

    memory_service& service_;
    std::shared_ptr<bidi_call_events> events_;
    std::mutex mutex_;
    std::deque<fsm::wire_range> ranges_;
    std::optional<error_value> end_;  // what the call is to end with
    std::size_t responses_ = 0;       // of the steps, which come one at a time
    std::size_t size_ = 0;            // of the object, as far as this call knows
    std::size_t confirming_ = 0;
    bool stepping_ = false;
    bool over_ = false;
};

class memory_connector final : public bidi_connector {
public:
    explicit memory_connector(memory_service& service) : service_(service) {}
    std::shared_ptr<bidi_call> create(std::shared_ptr<bidi_call_events> events) override {
        return std::make_shared<memory_call>(service_, std::move(events));
    }

private:
    memory_service& service_;
};

}  // namespace

std::string random_content(std::size_t size) {
    std::string out(size, '\0');
    std::mt19937 random(1);
    for (char& c : out) c = static_cast<char>(random());
    return out;
}

memory_service::memory_service(std::string content, std::size_t threads, std::size_t chunk_bytes)
    : content_(std::move(content)), chunk_bytes_(chunk_bytes) {
    for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

memory_service::~memory_service() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    for (auto& thread : threads_) thread.join();
}

std::shared_ptr<mrd_factory> memory_service::factory(
    const boost::asio::any_io_executor& executor,
    bool multi_request,
    const retry_policy& retry,
    std::shared_ptr<observer> observer
) {
    mrd::environment out;
    out.connector = std::make_shared<memory_connector>(*this);
    out.source = std::make_shared<object_source>(object_ref("b-1", "o"));
    out.reports = std::make_shared<transport::stream_reports>(std::move(observer));
    out.core = runtime::core_of(executor);
    out.executor = executor;
    out.open_timeout = std::chrono::seconds(30);
    out.retry = retry;
    return std::make_shared<mrd_maker>(std::move(out), multi_request);
}

bool memory_service::idle() const {
    const std::lock_guard lock(mutex_);
    return tasks_.empty() && busy_ == 0;
}

void memory_service::pause() {
    const std::lock_guard lock(mutex_);
    paused_ = true;
}

void memory_service::resume() {
    {
        const std::lock_guard lock(mutex_);
        paused_ = false;
    }
    wake_.notify_all();
}

void memory_service::refuse_opens(std::size_t count) {
    const std::lock_guard lock(mutex_);
    refusals_ = count;
}

bool memory_service::refuses_open() {
    const std::lock_guard lock(mutex_);
    if (refusals_ == 0) return false;
    --refusals_;
    return true;
}

void memory_service::break_after(std::size_t responses) {
    const std::lock_guard lock(mutex_);
    break_after_ = responses;
}

std::size_t memory_service::break_after() const {
    const std::lock_guard lock(mutex_);
    return break_after_;
}

void memory_service::unfinalized(std::size_t size) {
    const std::lock_guard lock(mutex_);
    unfinalized_ = size;
}

std::optional<std::size_t> memory_service::unfinalized() const {
    const std::lock_guard lock(mutex_);
    return unfinalized_;
}

void memory_service::remember_sizes() {
    const std::lock_guard lock(mutex_);
    remember_sizes_ = true;
}

bool memory_service::remembers_sizes() const {
    const std::lock_guard lock(mutex_);
    return remember_sizes_;
}

void memory_service::break_all(int status) {
    std::vector<std::weak_ptr<memory_stream>> calls;
    {
        const std::lock_guard lock(mutex_);
        calls = calls_;
    }
    for (const auto& weak : calls) {
        if (const auto call = weak.lock()) call->break_now(status);
    }
}

void memory_service::add_call(std::weak_ptr<memory_stream> call) {
    const std::lock_guard lock(mutex_);
    calls_.push_back(std::move(call));
}

std::size_t memory_service::calls() const {
    const std::lock_guard lock(mutex_);
    return calls_.size();
}

void memory_service::post(std::function<void()> task) {
    {
        const std::lock_guard lock(mutex_);
        tasks_.push_back(std::move(task));
    }
    wake_.notify_one();
}

void memory_service::work() {
    for (;;) {
        std::function<void()> task;
        {
            std::unique_lock lock(mutex_);
            wake_.wait(lock, [this] { return stopping_ || (!paused_ && !tasks_.empty()); });
            if (tasks_.empty()) return;
            task = std::move(tasks_.front());
            tasks_.pop_front();
            ++busy_;
        }
        task();
        task = nullptr;
        const std::lock_guard lock(mutex_);
        --busy_;
    }
}

}  // namespace support
