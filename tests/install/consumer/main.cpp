#include <rangeio/error.hpp>

#include <iostream>

int main() {
    const rangeio::result<int> nothing = rangeio::error_value(rangeio::errc::short_read).with_context("read");
    try {
        const int value = nothing.value();
        std::cout << "consumer: " << value << '\n';
    } catch (const rangeio::error& e) {
        std::cout << "consumer: " << e.what() << '\n';
    }
}
