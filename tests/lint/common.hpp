#pragma once

#include <boost/asio/awaitable.hpp>

#include <string>

// What the examples of tools/lint-coroutines are made of. They are parsed, never linked.
namespace lint {

namespace asio = boost::asio;

struct aggregate {
    std::string text;
    int number = 0;
};

struct trivial {
    long first;
    long second;
};

class option {
public:
    option() = default;
    std::string text;
};

struct widget {
    explicit widget(int) {}
    int spin(aggregate) { return 1; }
};

asio::awaitable<int> number();
asio::awaitable<widget> make_widget();
asio::awaitable<int> take(aggregate);
asio::awaitable<int> take_trivial(trivial);
asio::awaitable<int> take_option(option);
asio::awaitable<int> take_string(std::string);
int pair_up(aggregate, int);
int pair_up_trivial(trivial, int);

template <class F>
asio::awaitable<int> run(F) {
    return number();
}

}  // namespace lint
