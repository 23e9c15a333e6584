// What looks like flagged.cpp and is harmless: tools/lint-coroutines must stay silent.
#include "common.hpp"

#include <utility>

namespace lint {

asio::awaitable<int> harmless(bool which, std::string text) {
    // Named before the await.
    aggregate named{"a", 1};
    co_await take(std::move(named));
    auto job = [text] { return text.size(); };
    co_await run(std::move(job));
    // No destructor to run twice.
    co_await take_trivial({1, 2});
    co_await run([&text] { return text.size(); });
    co_await run([] { return aggregate{"a", 1}.number; });
    pair_up_trivial({1, 2}, co_await number());
    int chosen = which ? co_await number() : 2;
    co_await take_string(which ? "a" : "b");
    // A class with a constructor of its own.
    co_await take_option({});
    co_await take_option(option{});
    // Statements of their own.
    chosen += co_await number();
    aggregate after{"a", chosen};
    // The lambda awaits, the expression around it does not.
    auto nested = [](int base) -> asio::awaitable<int> { co_return base + co_await number(); };
    pair_up({"a", 1}, sizeof(nested));
    co_return after.number;
}

}  // namespace lint
