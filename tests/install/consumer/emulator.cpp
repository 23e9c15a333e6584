#include <rangeio/client.hpp>
#include <rangeio/emulator.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

namespace {

boost::asio::awaitable<void> tell_size(rangeio::client& client, rangeio::object_ref object) {
    const auto info = co_await client.async_stat(object);
    std::cout << "consumer: " << object.to_string() << " has " << info.size << " bytes\n";
}

}  // namespace

int main() {
    std::string root = std::filesystem::temp_directory_path() / "rangeio-consumer-XXXXXX";
    if (mkdtemp(root.data()) == nullptr) return EXIT_FAILURE;
    std::filesystem::create_directory(root + "/b-1");
    std::ofstream(root + "/b-1/o") << "12345";
    {
        const rangeio::emulator::server server(rangeio::emulator::server_options().root(root));
        boost::asio::io_context io;
        rangeio::client client(io.get_executor(), rangeio::client_options().endpoint(server.address()));
        boost::asio::co_spawn(io, tell_size(client, {"b-1", "o"}), [](const std::exception_ptr& thrown) {
            if (thrown) std::rethrow_exception(thrown);
        });
        io.run();
    }
    std::filesystem::remove_all(root);
}
