#pragma once

namespace rangeio {

/// A hint: the order of the reads that will follow.
enum class access_pattern {
    /// The reader finds out.
    unknown,
    /// A scan: the reader fetches ahead from its first read on.
    sequential,
    /// Nothing is to be fetched ahead.
    random,
};

}  // namespace rangeio
