#pragma once

#include "emulator/engine_fixture.hpp"

#include <filesystem>
#include <fstream>
#include <ios>
#include <string_view>
#include <utility>

namespace support {

/// An emulator whose object `b-1/log` is being appended to.
struct growing_fixture : engine_fixture {
    explicit growing_fixture(
        rangeio::client_options options = {}, const rangeio::testing::fault_script& faults = {}
    )
        : engine_fixture(
              rangeio::emulator::server_options().unfinalized("b-1/log").faults(faults), std::move(options)
          ) {}

    void append(std::string_view text) {
        std::ofstream(files.path() / "b-1/log", std::ios::app | std::ios::binary) << text;
    }
    void finalize() {
        using std::filesystem::perms;
        const auto writers = perms::owner_write | perms::group_write | perms::others_write;
        std::filesystem::permissions(
            files.path() / "b-1/log", writers, std::filesystem::perm_options::remove
        );
    }
};

}  // namespace support
