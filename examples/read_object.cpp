#include <rangeio/client.hpp>
#include <rangeio/crc32c.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>

#include <exception>
#include <iostream>

namespace asio = boost::asio;

// Reads a whole object, as up to 8 ranges at once, over up to 4 streams.
asio::awaitable<void> read_object(rangeio::object_ref object) {
    rangeio::client client(co_await asio::this_coro::executor);
    rangeio::mrd_pool pool = co_await client.async_open(object, rangeio::pool_options().size(4));
    const rangeio::byte_range whole(0, pool.info()->size);
    const auto bytes = co_await pool.async_fetch(whole, rangeio::fetch_options().concurrency(8));
    std::cout << bytes.size() << " bytes, CRC32C " << std::hex << rangeio::crc32c(bytes.span()) << '\n';
    co_await pool.async_close();
}

int main(int argc, char** argv) try {
    asio::io_context context;
    const auto rethrow = [](std::exception_ptr thrown) {
        if (thrown) std::rethrow_exception(thrown);
    };
    asio::co_spawn(context, read_object(rangeio::object_ref::parse(argc > 1 ? argv[1] : "")), rethrow);
    context.run();
} catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
