// Each expression here is one that GCC 12 gets wrong; tools/lint-coroutines must flag exactly the marked
// lines.
#include "common.hpp"

namespace lint {

asio::awaitable<void> below() {
    co_await take({});                 // expect: aggregate
    co_await take({"a", 1});           // expect: aggregate
    co_await take(aggregate{"a", 1});  // expect: aggregate
}

asio::awaitable<void> beside() {
    pair_up({"a", 1}, co_await number());                // expect: aggregate
    (co_await make_widget()).spin(aggregate{"a", 1});    // expect: aggregate
    if (co_await number() == pair_up({}, 1)) co_return;  // expect: aggregate
}

asio::awaitable<void> lambdas(std::string text) {
    co_await run([text] { return text.size(); });            // expect: lambda
    co_await run([copy = text]() -> asio::awaitable<void> {  // expect: lambda
        co_return;
    });
}

asio::awaitable<void> conditionals(bool which, std::string text) {
    co_await (which ? number() : take_option({}));       // expect: conditional
    co_await take_string(which ? text : std::string{});  // expect: conditional
}

asio::awaitable<aggregate> braces() {
    aggregate named{"a", co_await number()};      // expect: initializer
    co_return aggregate{"a", co_await number()};  // expect: aggregate, expect: initializer
}

asio::awaitable<void> on_the_heap() {
    delete new widget(co_await number());  // expect: new
}

asio::awaitable<int> with_default(aggregate value = {});  // expect: default

template <class T>
asio::awaitable<void> in_a_template(T value, bool which) {
    co_await take(T{"a", 1});                   // expect: aggregate
    co_await value.run([value] { return 1; });  // expect: lambda
    co_await (which ? value : T());             // expect: conditional
}

}  // namespace lint
