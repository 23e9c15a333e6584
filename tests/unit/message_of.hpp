#pragma once

#include <rangeio/error.hpp>

#include <doctest/doctest.h>

#include <string>

/// The message of the `rangeio::error` that `action` throws; fails the test when it throws none, or one with
/// another code than `expected`.
template <class Action>
std::string message_of(rangeio::errc expected, Action action) {
    try {
        action();
    } catch (const rangeio::error& e) {
        CHECK(e.code() == expected);
        return e.what();
    }
    FAIL_CHECK("nothing was thrown");
    return {};
}
