#include <rangeio/sim/state_search.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace {

using rangeio::sim::search_states;
using rangeio::sim::state_goal;
using rangeio::sim::state_rule;

/// Two users of one lock, each of which requests it, waits if it is held, has it and releases it, any number of times.
struct lock_model {
    enum class user : char { away, waiting, inside };
    enum class bug { none, two_inside, lost_wake_up, unfair };

    struct state {
        std::array<user, 2> users{user::away, user::away};
    };
    struct event {
        int who = 0;
        enum { come, enter, leave } what = come;
    };

    bug planted = bug::none;

    state initial() const { return {}; }

    void events(const state& s, std::vector<event>& out) const {
        const bool held = std::ranges::count(s.users, user::inside) > 0;
        for (int who : {0, 1}) {
            switch (s.users.at(static_cast<std::size_t>(who))) {
                case user::away: out.push_back({who, event::come}); break;
                case user::waiting:
                    if (!held || planted == bug::two_inside) out.push_back({who, event::enter});
                    break;
                case user::inside: out.push_back({who, event::leave}); break;
            }
        }
        // Two users that wait for the free lock are never woken.
        if (planted == bug::lost_wake_up && !held && std::ranges::count(s.users, user::waiting) == 2) {
            out.clear();
        }
    }

    void apply(state& s, const event& e) const {
        user& who = s.users.at(static_cast<std::size_t>(e.who));
        switch (e.what) {
            case event::come: who = user::waiting; break;
            case event::enter: who = user::inside; break;
            case event::leave: who = planted == bug::unfair ? user::waiting : user::away; break;
        }
    }

    std::string name(const event& e) const {
        static constexpr std::array<const char*, 3> verbs{" comes", " enters", " leaves"};
        return std::string(1, static_cast<char>('a' + e.who)) + verbs.at(static_cast<std::size_t>(e.what));
    }

    // The users are alike: it does not matter which of them is where.
    std::string key(const state& s) const {
        std::string out{static_cast<char>(s.users[0]), static_cast<char>(s.users[1])};
        std::ranges::sort(out);
        return out;
    }

    std::vector<state_rule<state>> rules() const {
        return {{"at most one is inside", [](const state& s) {
                     return std::ranges::count(s.users, user::inside) <= 1;
                 }}};
    }

    state_goal<state>::strength how = state_goal<state>::strength::certain;
    std::vector<state_goal<state>> goals() const {
        return {
            {"all can be away",
             [](const state& s) { return std::ranges::count(s.users, user::away) == 2; },
             how}
        };
    }

    bool fair(const event& e) const { return e.what != event::come; }
};

}  // namespace

TEST_CASE("state_search: a correct model is searched completely, each symmetric state once") {
    const auto result = search_states(lock_model());
    CHECK(result);
    CHECK(result.states == 5);  // of 9: {away, waiting, inside} for each, without both inside, folded
    CHECK(result.transitions == 9);
    CHECK(result.depth == 3);
    CHECK(result.broken == "");
}

TEST_CASE("state_search: a broken rule is named, with a shortest trace to it") {
    lock_model model;
    model.planted = lock_model::bug::two_inside;
    const auto result = search_states(model);
    CHECK_FALSE(result);
    CHECK_FALSE(result.complete);
    CHECK(result.broken == "at most one is inside");
    CHECK(result.trace.size() == 4);
    CHECK(result.trace.front() == "a comes");
    CHECK(result.trace.back().ends_with("enters"));
    CHECK(result.text().find("broken: at most one is inside\n  a comes\n") != std::string::npos);
}

TEST_CASE("state_search: a state that cannot reach the goal is found, with a shortest trace") {
    lock_model model;
    model.planted = lock_model::bug::lost_wake_up;
    const auto result = search_states(model);
    CHECK_FALSE(result);
    CHECK(result.complete);
    CHECK(result.broken == "all can be away");
    CHECK(result.trace == std::vector<std::string>{"a comes", "b comes"});
    CHECK(result.lost_in == std::vector<std::string>{"(nothing fair can happen any more)"});
}

TEST_CASE("state_search: an endless cycle does not reach the goal") {
    lock_model model;
    model.planted = lock_model::bug::unfair;
    const auto result = search_states(model);
    CHECK(result.broken == "all can be away");
    CHECK(result.trace == std::vector<std::string>{"a comes"});
    CHECK(result.lost_in == std::vector<std::string>{"a enters", "a leaves", "(and round again)"});
}

TEST_CASE("state_search: a goal that some fair sequence reaches is possible, but not certain") {
    // One that may go round for ever, and may also stop.
    struct idler : lock_model {
        void events(const state& s, std::vector<event>& out) const {
            if (s.users[0] == user::away) out.push_back({0, event::come});
            if (s.users[0] == user::waiting) out.push_back({0, event::enter});
            if (s.users[0] == user::inside) {
                out.push_back({0, event::leave});
                out.push_back({1, event::leave});
            }
        }
        void apply(state& s, const event& e) const {
            if (e.who == 1) {
                s.users[0] = user::waiting;  // changes its mind
            } else {
                lock_model::apply(s, e);
            }
        }
    };
    idler model;
    model.how = state_goal<lock_model::state>::strength::possible;
    CHECK(search_states(model));
    model.how = state_goal<lock_model::state>::strength::certain;
    CHECK(search_states(model).trace == std::vector<std::string>{"a comes"});
}

TEST_CASE("state_search: a search cut off by its limit of states is no success") {
    const auto result = search_states(lock_model(), 3);
    CHECK_FALSE(result);
    CHECK_FALSE(result.complete);
    CHECK(result.states == 3);
    CHECK(result.broken == "");
    CHECK(result.text().find("not complete") != std::string::npos);
}
