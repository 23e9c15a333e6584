#include "common/advice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace rangeio::tool {
namespace {

constexpr std::string_view scheme = "gs://";
constexpr std::string_view digits = "0123456789";

std::string say(std::string_view text) {
    return fmt::format("; use '{}'", text);
}

bool begins_so(std::string_view text, std::string_view beginning) {
    return text.size() >= beginning.size() &&
           std::ranges::equal(text.substr(0, beginning.size()), beginning, [](char a, char b) {
               return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b;
           });
}

}  // namespace

std::string advice_on_uri(std::string_view uri) {
    if (uri.starts_with(scheme)) {
        const std::string_view place = uri.substr(scheme.size());
        const bool bucket = !place.empty() && place.find('/') >= place.size() - 1;
        return bucket ? fmt::format("; 'rangeio ls {}' lists a bucket", uri) : "";
    }
    constexpr std::array<std::string_view, 5> other_forms{
        scheme,
        "https://storage.googleapis.com/",
        "https://storage.cloud.google.com/",
        "https://console.cloud.google.com/storage/browser/_details/",
        "gs:",
    };
    for (const std::string_view form : other_forms) {
        if (!begins_so(uri, form)) continue;
        std::string_view place = uri.substr(form.size());
        place.remove_prefix(std::min(place.find_first_not_of('/'), place.size()));
        return say(std::string(scheme) + std::string(place));
    }
    const std::size_t slash = uri.find('/');
    const bool plain = slash != std::string_view::npos && slash > 0 && uri[0] != '.' &&
                       uri.find(':') == std::string_view::npos;
    return plain ? say(std::string(scheme) + std::string(uri)) : "";
}

std::string advice_on_prefix(std::string_view bucket, std::string_view prefix) {
    const std::size_t wildcard = prefix.find_first_of("*?[");
    if (wildcard == std::string_view::npos) return {};
    return fmt::format(
        "; wildcards are not expanded: 'rangeio ls gs://{}/{}' lists names",
        bucket,
        prefix.substr(0, wildcard)
    );
}

std::string advice_on_name(std::string_view bucket, std::string_view name) {
    const std::size_t hash = name.find_last_not_of(digits);
    if (hash != std::string_view::npos && hash > 0 && name[hash] == '#' && hash + 1 < name.size()) {
        const std::string_view object = name.substr(0, hash);
        return say(fmt::format("--generation {} gs://{}/{}", name.substr(hash + 1), bucket, object));
    }
    return advice_on_prefix(bucket, name);
}

}  // namespace rangeio::tool
