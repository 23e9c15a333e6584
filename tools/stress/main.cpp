#include "common/application.hpp"
#include "stress/explore.hpp"

int main(int argc, char** argv) {
    CLI::App app("Hunts races: explores schedules, or hammers real pools on threads.", "rangeio-stress");
    return rangeio::tool::run_application(argc, argv, app, &rangeio::tool::add_stress);
}
