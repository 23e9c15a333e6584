#include "grpc/mrd_maker.hpp"
#include "testing/service/scripted_message.hpp"
#include "testing/service/threaded_service.hpp"
#include "text.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <fmt/format.h>

#include <optional>
#include <set>
#include <span>
#include <utility>

namespace rangeio::testing {
namespace {

using namespace rangeio::grpc_transport;

/// The routing tokens that the streams of one factory, which share them, may carry. Guarded by the service's lock.
struct token_book {
    std::set<std::string, std::less<>> given;
    bool learnt = false;  // the client has received one of them
};

/// One call. Its steps run one at a time, as tasks of the service's threads; confirmations of writes run separately.
class threaded_call final : public bidi_call,
                            public std::enable_shared_from_this<threaded_call>,
                            private connection_user {
public:
    threaded_call(
        std::shared_ptr<threaded_service::shared> service,
        std::shared_ptr<scripted_connection> connection,
        std::shared_ptr<token_book> tokens,
        std::shared_ptr<runtime::context_core> core,
        std::shared_ptr<bidi_call_events> events,
        bool resumed
    )
        : service_(std::move(service)),
          connection_(std::move(connection)),
          tokens_(std::move(tokens)),
          core_(std::move(core)),
          events_(std::move(events)),
          resumed_(resumed),
          timer_(service_->threads) {
        // The client fixes its token after this, and before start(): it may receive another one in between.
        const std::lock_guard lock(service_->mutex);
        token_due_ = tokens_->learnt;
    }

    ~threaded_call() override {
        if (!begun_ || over_) return;
        const std::lock_guard lock(service_->mutex);
        connection_->forget(*this);
    }

    void start(const call_spec& spec, std::span<const fsm::wire_range> ranges) override {
        const std::lock_guard lock(service_->mutex);
        const std::string& token = spec.routing_token;
        if (token.empty() ? token_due_ : !tokens_->given.contains(token)) {
            service_->complain(fmt::format("a call carries the wrong routing token \"{}\"", token));
        }
        begun_ = true;
        has_handle_ = !spec.read_handle.empty();
        generation_ = spec.object.generation();
        ++service_->calls_open;
        if (resumed_) ++service_->calls_resumed;
        connection_->enter(*this, std::chrono::steady_clock::now());
        accept(ranges);
    }

    void write(std::span<const fsm::wire_range> ranges) override {
        const std::lock_guard lock(service_->mutex);
        if (over_) return;
        if (confirming_ != 0) service_->complain("a message is written while one is pending");
        accept(ranges);
    }

    void cancel() noexcept override {
        const std::lock_guard lock(service_->mutex);
        if (!ending_) ending_ = call_script::ending{1, "the call was cancelled", {}, {}};
        wake();
    }

private:
    // The following members require the lock, unless stated otherwise.

    void admitted() override {
        script_.emplace(service_->state, ++service_->calls, has_handle_, generation_);
        ask(std::exchange(asked_early_, {}));
        wake();
    }

    void lost(const call_script::ending& how) override {
        if (!ending_) ending_ = how;
        wake();
    }

    void ask(std::span<const fsm::wire_range> ranges) {
        for (const fsm::wire_range& r : ranges) {
            script_->ask(
                r.read_id, static_cast<std::uint64_t>(r.offset), static_cast<std::uint64_t>(r.length)
            );
        }
        if (!script_->complaint().empty()) service_->complain(script_->complaint());
    }

    void accept(std::span<const fsm::wire_range> ranges) {
        if (ranges.size() > fsm::max_ranges_per_message) {
            service_->complain("a message contains more than 100 ranges");
        }
        if (!script_) {
            asked_early_.insert(asked_early_.end(), ranges.begin(), ranges.end());
        } else if (!connection_->silent()) {
            ask(ranges);
        }
        ++confirming_;
        asio::post(service_->threads, [self = shared_from_this()] { self->confirm(); });
        wake();
    }

    // Without the lock.
    void confirm() {
        std::shared_ptr<bidi_call_events> events;
        {
            const std::lock_guard lock(service_->mutex);
            --confirming_;
            if (ending_) {  // the write has failed
                wake();
                return;
            }
            ++holds_;
            events = events_;
        }
        events->on_write_done();
        events.reset();
        const std::lock_guard lock(service_->mutex);
        --holds_;
        wake();
    }

    void wake() {
        if (over_ || !begun_) return;
        if (doing_ == doing::waiting) {
            // A delayed response is sent when it is due, whatever is requested meanwhile.
            if (due_ && !ending_) return;
            ++wait_;
            timer_.cancel();
            doing_ = doing::nothing;
        }
        if (doing_ != doing::nothing) return;
        doing_ = doing::queued;
        asio::post(service_->threads, [self = shared_from_this()] { self->serve(); });
    }

    // Without the lock. One step; other calls have their turns before the next one.
    void serve() {
        std::unique_lock lock(service_->mutex);
        doing_ = doing::serving;
        if (!ending_) {
            call_script::step next;
            if (!script_ || connection_->silent()) {
                due_.reset();
            } else if (due_) {
                next = std::move(*due_);
                due_.reset();
            } else {
                next = script_->next();
                if (next.send) next.delay += pass_link(*next.send);
            }
            if (next.connection != nullptr) {
                connection_->strike(*next.connection, std::chrono::steady_clock::now());
            }
            if (next.delay.count() > 0) {
                wait_for(std::move(next));
                return;
            }
            if (!next.send && !next.end && !next.connection) {
                doing_ = doing::nothing;
                return;
            }
            if (next.end) ending_ = std::move(next.end);
            if (next.send) deliver(*next.send, lock);
        }
        doing_ = doing::nothing;
        if (!ending_) {
            wake();
        } else if (confirming_ == 0 && holds_ == 0) {
            finish(lock);
        }
    }

    std::chrono::nanoseconds pass_link(const call_script::response& response) {
        std::uint64_t bytes = 0;
        for (const call_script::chunk& c : response.chunks) bytes += c.size;
        return service_->pass_link(bytes);
    }

    void deliver(const call_script::response& response, std::unique_lock<std::mutex>& lock) {
        const object_info object = script_->info();
        const std::uint64_t handles = service_->state.handles;
        lock.unlock();
        {
            const scripted_message message(response, object, object.generation, handles);
            events_->on_response(message.view());
        }
        lock.lock();
    }

    void wait_for(call_script::step next) {
        doing_ = doing::waiting;
        timer_.expires_after(std::exchange(next.delay, {}));
        if (next.send || next.end) due_ = std::move(next);
        timer_.async_wait([self = shared_from_this(), number = ++wait_](const error_code&) {
            self->waited(number);
        });
    }

    // Without the lock.
    void waited(std::uint64_t number) {
        {
            const std::lock_guard lock(service_->mutex);
            if (number != wait_ || doing_ != doing::waiting) return;
            if (!due_) script_->waited();
            doing_ = doing::queued;
        }
        serve();
    }

    void finish(std::unique_lock<std::mutex>& lock) {
        // This may drop the last reference to a pool, whose destruction needs its context.
        const runtime::context_core::shutdown_hold hold(core_);
        over_ = true;
        connection_->leave(*this);
        --service_->calls_open;
        const bool told =
            ending_->redirect && !ending_->redirect->token.empty() && fits_header(ending_->redirect->token);
        if (told) tokens_->given.insert(ending_->redirect->token);
        service_->call_ended.notify_all();
        auto events = std::move(events_);
        lock.unlock();
        events->on_done(to_call_end(*ending_));
        events.reset();
        lock.lock();
        if (told) tokens_->learnt = true;
    }

    enum class doing { nothing, queued, waiting, serving };

    const std::shared_ptr<threaded_service::shared> service_;
    const std::shared_ptr<scripted_connection> connection_;
    const std::shared_ptr<token_book> tokens_;
    const std::shared_ptr<runtime::context_core> core_;
    std::shared_ptr<bidi_call_events> events_;
    const bool resumed_;
    bool token_due_ = false;
    bool begun_ = false;
    bool has_handle_ = false;
    std::int64_t generation_ = 0;
    std::vector<fsm::wire_range> asked_early_;  // before the call has reached the service
    std::optional<call_script> script_;
    std::optional<call_script::step> due_;
    std::optional<call_script::ending> ending_;
    asio::steady_timer timer_;
    std::uint64_t wait_ = 0;  // the number of waits so far; distinguishes an old timer from the current one
    doing doing_ = doing::nothing;
    std::size_t confirming_ = 0;  // writes that are not confirmed
    std::size_t holds_ = 0;       // confirmations in flight
    bool over_ = false;
};

/// Makes the calls of one stream.
class threaded_connector final : public bidi_connector {
public:
    threaded_connector(
        std::shared_ptr<threaded_service::shared> service,
        std::shared_ptr<scripted_connection> connection,
        std::shared_ptr<token_book> tokens,
        std::shared_ptr<runtime::context_core> core
    )
        : service_(std::move(service)),
          connection_(std::move(connection)),
          tokens_(std::move(tokens)),
          core_(std::move(core)) {}

    // A stream has one call after another, never two at once.
    std::shared_ptr<bidi_call> create(std::shared_ptr<bidi_call_events> events) override {
        return std::make_shared<threaded_call>(
            service_, connection_, tokens_, core_, std::move(events), std::exchange(begun_, true)
        );
    }

private:
    const std::shared_ptr<threaded_service::shared> service_;
    const std::shared_ptr<scripted_connection> connection_;
    const std::shared_ptr<token_book> tokens_;
    const std::shared_ptr<runtime::context_core> core_;
    bool begun_ = false;
};

// Made, used and destroyed under the lock.
std::shared_ptr<scripted_connection> connect(const std::shared_ptr<threaded_service::shared>& service) {
    const auto end = [service](scripted_connection* dying) {
        const std::lock_guard lock(service->mutex);
        delete dying;
    };
    const std::lock_guard lock(service->mutex);
    return {new scripted_connection(service->network), end};
}

class threaded_maker final : public mrd_maker {
public:
    threaded_maker(
        std::shared_ptr<threaded_service::shared> service, mrd::environment environment, bool multi_request
    )
        : mrd_maker(std::move(environment), multi_request), service_(std::move(service)) {}

    std::shared_ptr<multi_range_downloader> create() override {
        mrd::environment own = environment();
        own.connector = std::make_shared<threaded_connector>(service_, connection_, tokens_, own.core);
        return std::make_shared<mrd>(std::move(own));
    }

private:
    const std::shared_ptr<threaded_service::shared> service_;
    const std::shared_ptr<scripted_connection> connection_ = connect(service_);
    const std::shared_ptr<token_book> tokens_ = std::make_shared<token_book>();
};

}  // namespace

std::shared_ptr<mrd_factory> make_threaded_transport(
    std::shared_ptr<threaded_service::shared> service,
    const asio::any_io_executor& executor,
    std::chrono::nanoseconds open_timeout,
    const retry_policy& retry,
    bool multi_request
) {
    mrd::environment out;
    out.source = std::make_shared<object_source>(service->state.object);
    out.reports = std::make_shared<transport::stream_reports>(service->observed_by);
    out.core = runtime::core_of(executor);
    out.executor = executor;
    out.open_timeout = open_timeout;
    out.retry = retry;
    return std::make_shared<threaded_maker>(std::move(service), std::move(out), multi_request);
}

}  // namespace rangeio::testing
