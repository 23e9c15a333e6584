#include <rangeio/error.hpp>
#include <rangeio/split_range.hpp>

#include <algorithm>
#include <tuple>

namespace rangeio {
namespace {

// A share times a length may need more than 64 bits.
__extension__ using wide = unsigned __int128;

struct chunk {
    std::size_t index;
    std::uint64_t length;
    wide remainder = 0;
};

}  // namespace

std::vector<std::size_t> share_concurrency(std::span<const std::uint64_t> lengths, std::size_t concurrency) {
    if (concurrency == 0) {
        throw error({errc::invalid_argument, "concurrency: 0 is less than 1"});
    }
    std::vector<std::size_t> shares(lengths.size(), 0);
    std::vector<chunk> chunks;
    wide bytes = 0;
    for (std::size_t i = 0; i < lengths.size(); ++i) {
        if (lengths[i] == 0) continue;
        shares[i] = 1;
        chunks.push_back({i, lengths[i]});
        bytes += lengths[i];
    }
    if (chunks.empty() || concurrency <= chunks.size()) return shares;

    // A chunk whose due is less than 1 gets 1, which reduces the dues of the others: in order of length, one pass finds
    // all such chunks. The pass stops before the last chunk, because at least 1 is left for it.
    std::ranges::sort(chunks, [](const chunk& a, const chunk& b) {
        return std::tie(a.length, a.index) < std::tie(b.length, b.index);
    });
    wide left = concurrency;
    auto due = chunks.begin();
    for (; due != chunks.end() && left * due->length < bytes; ++due) {
        bytes -= due->length;
        --left;
    }
    wide given = 0;
    for (auto it = due; it != chunks.end(); ++it) {
        const wide whole = left * it->length / bytes;
        it->remainder = left * it->length % bytes;
        shares[it->index] = static_cast<std::size_t>(whole);
        given += whole;
    }
    std::ranges::sort(due, chunks.end(), [](const chunk& a, const chunk& b) {
        return std::tie(b.remainder, b.length, a.index) < std::tie(a.remainder, a.length, b.index);
    });
    for (; given < left; ++given, ++due) ++shares[due->index];
    return shares;
}

}  // namespace rangeio
