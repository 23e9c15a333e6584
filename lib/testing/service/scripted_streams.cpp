#include <rangeio/crc32c.hpp>
#include <rangeio/sim/allocation_failures.hpp>

#include "status_numbers.hpp"
#include "testing/service/scripted_service.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

namespace rangeio::testing {
namespace {

/// A stream that is a script: it serves the ranges that it receives, and fails as its script ends.
class scripted_stream final : public call_player, public multi_range_downloader {
public:
    scripted_stream(const std::shared_ptr<scripted_service::shared>& service, bool multi_request)
        : call_player(service, std::make_shared<scripted_connection>(service->network)),
          multi_request_(multi_request) {}

    void open(std::shared_ptr<stream_listener> owner) override {
        sim::allocation_point();
        const sim::allocation_exemption own;
        owner_ = std::move(owner);
        begin(false, service().state.expected_token);
        for (const auto& [id, r] : reads_) ask_for(id, *r.sink);
        if (closing_) stop();
    }

    std::int64_t read(std::shared_ptr<range_sink> sink) override {
        sim::allocation_point();
        const sim::allocation_exemption own;
        const std::int64_t id = ++last_id_;
        if (closing_ || ended()) {
            const error_value why = why_ ? why_ : error_value(errc::stream_closed);
            const sim::allocation_exemption::lift out_of_here;
            sink->done({why, 0});
            return 0;
        }
        // Two users of a stream are independent of each other, so this check also detects a stream that has two.
        if (!multi_request_ && !reads_.empty())
            in().violate("a stream that serves one range at a time gets two");
        outstanding_ += sink->range().length();
        reads_.emplace(id, pending{sink, 0});
        if (owner_ != nullptr) ask_for(id, *sink);
        return id;
    }

    void cancel(std::int64_t read_id, const error_value& why) noexcept override {
        const sim::allocation_exemption own;
        const auto it = reads_.find(read_id);
        if (it == reads_.end()) return;
        if (copying_ == read_id) {
            cancelled_ = why;
        } else {
            finish(it, why);
        }
    }

    void close(const error_value& why) noexcept override {
        const sim::allocation_exemption own;
        if (std::exchange(closing_, true)) return;
        why_ = why;
        fail_all(why ? why : error_value(errc::stream_closed));
        stop();
    }

    std::uint64_t outstanding_bytes() const noexcept override { return outstanding_; }
    // The stream serves the object as it is now, so it need not be reopened.
    std::shared_ptr<const object_info> info() const noexcept override {
        return opened_ ? std::make_shared<const object_info>(call_player::info()) : nullptr;
    }

private:
    struct pending {
        std::shared_ptr<range_sink> sink;
        std::uint64_t received;
    };
    using reads = std::map<std::int64_t, pending>;

    void ask_for(std::int64_t id, const range_sink& sink) {
        catch_up();
        ask(id, sink.range().offset(), sink.range().length());
    }

    void finish(reads::iterator it, const error_value& why) noexcept {
        const pending p = std::move(it->second);
        reads_.erase(it);
        outstanding_ -= p.sink->range().length() - p.received;
        const range_outcome outcome{why, p.received};
        const sim::allocation_exemption::lift out_of_here;
        p.sink->done(outcome);
    }

    void fail_all(const error_value& why) noexcept {
        if (copying_ != 0 && !cancelled_) cancelled_ = why;
        // A range that ends may cancel others.
        const auto next = [this] {
            return std::ranges::find_if(reads_, [this](const auto& r) { return r.first != copying_; });
        };
        for (auto it = next(); it != reads_.end(); it = next()) finish(it, why);
    }

    void deliver(const call_script::response& response) override {
        if (!std::exchange(opened_, true) && !closing_) {
            auto object = std::make_shared<const object_info>(call_player::info());
            const sim::allocation_exemption::lift out_of_here;
            owner_->opened(std::move(object));
        }
        for (const call_script::chunk& c : response.chunks) take(c);
    }

    // A stream that serves one range at a time reads into the destination, as from a socket; other streams have
    // messages.
    void put(range_sink& sink, std::uint64_t position, std::span<const std::byte> bytes) {
        while (!bytes.empty()) {
            const auto room = multi_request_ ? std::span<std::byte>() : sink.prepare(position, bytes.size());
            if (room.empty()) {
                sink.take(position, bytes, 0);
                return;
            }
            in().preemption_point("before bytes are written into the destination");
            std::ranges::copy(bytes.first(room.size()), room.begin());
            sink.commit(position, room.size());
            position += room.size();
            bytes = bytes.subspan(room.size());
        }
    }

    void take(const call_script::chunk& c) {
        const auto it = reads_.find(c.read_id);
        if (it == reads_.end() || closing_) return;
        pending& p = it->second;
        const byte_range range = p.sink->range();
        if (c.offset != static_cast<std::int64_t>(range.offset() + p.received) ||
            c.size > range.length() - p.received) {
            finish(it, error_value(errc::protocol_error, "the chunk is not the one that is due"));
            return;
        }
        std::vector<std::byte> bytes;
        for (std::uint64_t i = 0; i < c.size; ++i) {
            bytes.push_back(content(c.source + i));
        }
        copying_ = c.read_id;
        const auto half = std::span(bytes).first(bytes.size() / 2);
        const auto rest = std::span(bytes).subspan(half.size());
        {
            const sim::allocation_exemption::lift out_of_here;
            put(*p.sink, p.received, half);
            in().preemption_point("in the middle of a chunk");
            put(*p.sink, p.received + half.size(), rest);
        }
        copying_ = 0;
        if (!c.damaged) {
            p.received += c.size;
            outstanding_ -= c.size;
        }
        const error_value cancelled = std::exchange(cancelled_, {});
        if (p.received == range.length()) {
            finish(it, {});
        } else if (cancelled) {
            finish(it, cancelled);
        } else if (c.damaged) {
            finish(it, errc::data_corrupted);
        } else if (c.range_end) {
            finish(it, {});
        }
    }

    void deliver_end(const call_script::ending& how) override {
        error_value why = why_;
        if (!closing_) {
            why = how.status == 0 ? error_value(errc::stream_closed)
                                  : error_value(
                                        code_of_status(how.status),
                                        error_info{how.text, class_of_status(how.status), how.retry_after}
                                    );
            why_ = why;
            if (how.refused) why_ = why = how.refused;
            closing_ = true;
        }
        fail_all(why ? why : error_value(errc::stream_closed));
        const auto owner = std::move(owner_);
        const sim::allocation_exemption::lift out_of_here;
        owner->ended(why);
    }

    const bool multi_request_;
    std::shared_ptr<stream_listener> owner_;
    reads reads_;
    std::int64_t last_id_ = 0;
    std::uint64_t outstanding_ = 0;
    bool opened_ = false;
    bool closing_ = false;
    error_value why_;  // the error at the end
    std::int64_t copying_ = 0;
    error_value cancelled_;
};

class streams_factory final : public mrd_factory {
public:
    streams_factory(std::shared_ptr<scripted_service::shared> service, bool multi_request)
        : service_(std::move(service)), object_(service_->state.object), multi_request_(multi_request) {}
    std::shared_ptr<multi_range_downloader> create() override {
        sim::allocation_point();
        const sim::allocation_exemption own;
        return std::make_shared<scripted_stream>(service_, multi_request_);
    }
    bool supports_multi_request() const noexcept override { return multi_request_; }
    const object_ref& object() const noexcept override { return object_; }

private:
    const std::shared_ptr<scripted_service::shared> service_;
    const object_ref object_;
    const bool multi_request_;
};

}  // namespace

std::shared_ptr<mrd_factory> make_scripted_streams(
    std::shared_ptr<scripted_service::shared> service, bool multi_request
) {
    return std::make_shared<streams_factory>(std::move(service), multi_request);
}

}  // namespace rangeio::testing
