#include <rangeio/testing/possible_faults.hpp>

#include "status_numbers.hpp"
#include "text.hpp"

namespace rangeio::testing {

// A fault without a line here is never the reason of a failure.
possible_faults::possible_faults(const fault_script& script) {
    for (const fault& f : script.faults) {
        switch (f.kind) {
            case fault_kind::fail_open:
            case fault_kind::reset:
            case fault_kind::range_error: report(f.status); break;
            case fault_kind::outage:
                report(status_number::unavailable);
                codes_.insert(errc::timed_out);
                break;
            case fault_kind::goaway:
            case fault_kind::too_many_pings:
                report(status_number::unavailable);
                // The code with which gRPC ends calls that a server which shuts down has not received.
                report(status_number::cancelled);
                break;
            case fault_kind::idle_abort: report(status_number::aborted); break;
            case fault_kind::redirect:
                report(status_number::aborted);
                if (!fits_header(f.token)) codes_.insert(errc::protocol_error);
                codes_.insert(errc::too_many_redirects);
                break;
            case fault_kind::bad_checksum: codes_.insert(errc::data_corrupted); break;
            case fault_kind::wrong_offset:
            case fault_kind::surplus:
            case fault_kind::repeat:
            case fault_kind::no_metadata:
            case fault_kind::no_generation:
            case fault_kind::giant_message:
            case fault_kind::empty_chunks: codes_.insert(errc::protocol_error); break;
            case fault_kind::short_end: codes_.insert(errc::short_read); break;
            case fault_kind::old_size:
                codes_.insert(errc::short_read);
                // All streams may have the size that the first call reported.
                codes_.insert(errc::range_not_satisfiable);
                break;
            case fault_kind::ok_early: codes_.insert(errc::stream_closed); break;
            case fault_kind::latency:
            case fault_kind::bandwidth:
            case fault_kind::slow_open:
            case fault_kind::hang_open:
            case fault_kind::mute:
            case fault_kind::silent_connection:
            case fault_kind::slow_link:
            case fault_kind::max_streams:
                codes_.insert(errc::stalled);
                codes_.insert(errc::timed_out);
                break;
            case fault_kind::new_generation:
                codes_.insert(errc::generation_changed);
                codes_.insert(errc::not_found);
                break;
            case fault_kind::unknown_id:
            case fault_kind::late_id:
            case fault_kind::no_range_end:
            case fault_kind::double_range_end:
            case fault_kind::empty_range_end:
            case fault_kind::no_checksum:
            case fault_kind::wild_timestamp:
            case fault_kind::long_details:
            case fault_kind::new_handle:
            case fault_kind::batch:
            case fault_kind::chunk:
            case fault_kind::grow:
            case fault_kind::fail_metadata:
            case fault_kind::hang_metadata:
            case fault_kind::repeat_page:
            case fault_kind::empty_page:
            case fault_kind::unordered_page: break;
        }
    }
    // A holder of a lease on a stream that has failed for good learns only that the stream has ended.
    if (!codes_.empty() || !reported_.empty()) codes_.insert(errc::stream_closed);
}

possible_faults possible_faults::of_any_service() {
    possible_faults out;
    out.codes_ = {
        errc::stalled, errc::timed_out, errc::data_corrupted, errc::stream_closed, errc::too_many_redirects
    };
    for (const int status :
         {status_number::cancelled,
          status_number::deadline_exceeded,
          status_number::resource_exhausted,
          status_number::aborted,
          status_number::internal,
          status_number::unavailable}) {
        out.report(status);
    }
    return out;
}

void possible_faults::report(int status) {
    reported_.insert(code_of_status(status));
    // For an object that existed before.
    const error_class kind = class_of_status(status);
    if (kind == error_class::gone || kind == error_class::changed) reported_.insert(errc::generation_changed);
}

bool possible_faults::explain(const error_value& why) const {
    const bool by_service = why.kind() != error_class::none;
    return codes_.contains(why.code()) || (by_service && reported_.contains(why.code()));
}

}  // namespace rangeio::testing
