#include <rangeio/client.hpp>
#include <rangeio/emulator.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

// What joined ranges cost: the CPU time of a client that reads all of an object as one range, and as many small ones
// that lie next to each other. The emulator has a process of its own.

namespace {

namespace asio = boost::asio;
using rangeio::byte_range;

constexpr std::size_t object_bytes = 8'000'000;
constexpr int rounds = 9;

double cpu_seconds() {
    timespec t{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

/// The middle one of several rounds.
asio::awaitable<double> cost_of(const rangeio::mrd_pool& pool, std::size_t step, std::size_t length) {
    std::vector<double> costs;
    std::vector<std::byte> memory(object_bytes);
    const auto how = rangeio::fetch_ranges_options().max_gap_bytes(64);
    for (int round = 0; round < rounds; ++round) {
        std::vector<rangeio::range_request> requests;
        for (std::size_t at = 0; at < object_bytes; at += step) {
            const byte_range range(at, std::min(length, object_bytes - at));
            requests.emplace_back(range, std::span(memory).subspan(at, range.length()));
        }
        const double before = cpu_seconds();
        co_await pool.async_fetch_ranges(std::move(requests), how);
        costs.push_back(cpu_seconds() - before);
    }
    std::ranges::sort(costs);
    co_return costs[rounds / 2];
}

asio::awaitable<void> measure(std::string address) {
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    rangeio::client client(executor, rangeio::client_options().endpoint(address));
    rangeio::mrd_pool pool = co_await client.async_open({"b-1", "o"}, rangeio::pool_options().size(1));
    const double one = co_await cost_of(pool, object_bytes, object_bytes);
    std::printf("one range of %zu bytes: %.2f ms of CPU time\n", object_bytes, one * 1e3);
    for (const std::size_t length : {std::size_t{4096}, std::size_t{512}, std::size_t{8}}) {
        // The smallest leave every other byte out.
        const std::size_t step = length == 8 ? 16 : length;
        const double many = co_await cost_of(pool, step, length);
        std::printf(
            "%zu ranges of %zu bytes: %.2f ms, %.2f times as much\n",
            (object_bytes + step - 1) / step,
            length,
            many * 1e3,
            many / one
        );
    }
    co_await pool.async_close();
}

int serve(const std::filesystem::path& root, int address_to, int until) {
    rangeio::emulator::server server(rangeio::emulator::server_options().root(root));
    const std::string address = server.address();
    if (::write(address_to, address.data(), address.size()) < 0) return 1;
    char end = 0;
    return ::read(until, &end, 1) == 0 ? 0 : 1;
}

}  // namespace

int main() {
    std::string folder = (std::filesystem::temp_directory_path() / "rangeio-scatter-XXXXXX").string();
    if (::mkdtemp(folder.data()) == nullptr) return 1;
    std::filesystem::create_directory(folder + "/b-1");
    std::ofstream(folder + "/b-1/o") << std::string(object_bytes, 'x');
    int to_client[2];
    int to_server[2];
    if (::pipe(to_client) != 0 || ::pipe(to_server) != 0) return 1;
    const pid_t server = ::fork();  // before gRPC has threads
    if (server == 0) {
        ::close(to_server[1]);
        std::_Exit(serve(folder, to_client[1], to_server[0]));
    }
    char address[64]{};
    int result = 1;
    if (::read(to_client[0], address, sizeof address - 1) > 0) {
        asio::io_context context;
        asio::co_spawn(context, measure(address), [&](const std::exception_ptr& e) {
            try {
                if (e) std::rethrow_exception(e);
                result = 0;
            } catch (const std::exception& failed) {
                std::fprintf(stderr, "%s\n", failed.what());
            }
        });
        context.run();
    }
    ::close(to_server[1]);
    ::waitpid(server, nullptr, 0);
    std::filesystem::remove_all(folder);
    return result;
}
