#include "testing/faults/armed_faults.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace rangeio::testing {

armed_faults::armed_faults(const fault_script& script, chance decide) : chance_(std::move(decide)) {
    for (const fault& f : script.faults) faults_.push_back({f});
}

bool armed_faults::applies(const armed& f, const place& here) {
    if (here.named_only && f.what.call == 0) return false;
    return (f.what.times == 0 || f.struck < f.what.times) && (f.what.call == 0 || f.what.call == here.call) &&
           (f.what.range == 0 || f.what.range == here.range);
}

const fault* armed_faults::strike(fault_kind kind, const place& here) {
    for (std::size_t line = 0; line < faults_.size(); ++line) {
        armed& f = faults_[line];
        if (f.what.kind != kind || !applies(f, here)) continue;
        if ((f.what.range != 0 ? here.at_range : here.at_call) < f.what.byte) continue;
        if (f.what.percent < 100 && !chance_(f.what, line, here)) continue;
        ++f.struck;
        return &f.what;
    }
    return nullptr;
}

std::uint64_t armed_faults::room_before_fault(const place& here) const {
    std::uint64_t room = std::numeric_limits<std::uint64_t>::max();
    for (const armed& f : faults_) {
        if (!applies(f, here)) continue;
        const std::uint64_t at = f.what.range != 0 ? here.at_range : here.at_call;
        if (f.what.byte > at) room = std::min(room, f.what.byte - at);
    }
    return room;
}

std::vector<std::uint64_t> armed_faults::struck() const {
    std::vector<std::uint64_t> out;
    for (const armed& f : faults_) out.push_back(f.struck);
    return out;
}

}  // namespace rangeio::testing
