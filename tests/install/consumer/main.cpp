#include <rangeio/error.hpp>

#include <iostream>

int main() {
    const rangeio::failure why(rangeio::errc::short_read);
    std::cout << "consumer: " << why.with_context("read").message() << '\n';
}
