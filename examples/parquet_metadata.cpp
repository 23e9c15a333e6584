#include <rangeio/client.hpp>
#include <rangeio/crc32c.hpp>
#include <rangeio/object_reader.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/endian/conversion.hpp>

#include <array>
#include <cstdint>
#include <exception>
#include <iostream>
#include <span>
#include <stdexcept>
#include <string>

namespace asio = boost::asio;

// Returns the metadata of a Parquet file. It is at the end of the file, followed by its length and 4 further bytes. If
// it is shorter than 64 KiB, all of this costs one round trip.
asio::awaitable<std::string> parquet_metadata(rangeio::object_reader reader) {
    reader.advise(rangeio::footer{64 << 10});
    std::string magic(4, '\0');
    co_await asio::async_read(reader, asio::buffer(magic), asio::use_awaitable);
    if (magic != "PAR1") throw std::runtime_error("not a Parquet file");
    std::array<unsigned char, 4> length;
    const std::uint64_t end = reader.seek(-8, rangeio::seek_basis::end);
    co_await asio::async_read(reader, asio::buffer(length), asio::use_awaitable);
    std::string metadata(boost::endian::load_little_u32(length.data()), '\0');
    reader.seek(static_cast<std::int64_t>(end - metadata.size()));
    co_await asio::async_read(reader, asio::buffer(metadata), asio::use_awaitable);
    co_return metadata;
}

int main(int argc, char** argv) try {
    asio::io_context context;
    rangeio::client client(context);
    const auto print = [](std::exception_ptr thrown, const std::string& metadata) {
        if (thrown) std::rethrow_exception(thrown);
        const std::uint32_t crc = rangeio::crc32c(std::as_bytes(std::span(metadata)));
        std::cout << metadata.size() << " bytes, CRC32C " << std::hex << crc << '\n';
    };
    const auto object = rangeio::object_ref::parse(argc > 1 ? argv[1] : "");
    asio::co_spawn(context, parquet_metadata(client.reader(object)), print);
    context.run();
} catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
