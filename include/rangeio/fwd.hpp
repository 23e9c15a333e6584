#pragma once

// Forward declarations, for headers that only pass the types on.

namespace rangeio {

class acquire_options;
class bucket_layout;
class byte_block;
class byte_range;
class byte_slice;
class client;
class client_options;
class close_options;
class credentials;
class direct_buffer;
class error;
class event;
class error_value;
class fetch_options;
class fetch_ranges_options;
class lease;
class list_options;
class list_page;
class memory_budget;
class memory_budget_stats;
class mrd_factory;
class mrd_pool;
class mrd_pool_cache;
class multi_range_downloader;
class object_info;
class object_reader;
class object_ref;
class object_tail;
class observer;
class pool_cache_options;
class pool_cache_stats;
class pool_options;
class pool_stats;
class range_request;
class range_sink;
class range_spec;
class read_options;
class readahead_cache;
class readahead_options;
class readahead_stats;
class reader_options;
class retry_policy;
class stream_listener;
class stream_stats;

}  // namespace rangeio
