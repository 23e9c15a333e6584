#include "emulator/calls/reactors.hpp"

#include "emulator/calls/bidi_reactor.hpp"
#include "emulator/calls/read_reactor.hpp"
#include "emulator/calls/unary_reactor.hpp"

#include <array>
#include <string_view>

namespace rangeio::emulator {
namespace {

struct unary_method {
    std::string_view path;
    unary_handler handler;
    rpc_counters call_counters::* counters;
};
constexpr std::array unary_methods{
    unary_method{"/google.storage.v2.Storage/GetObject", &service::get_object, &call_counters::get_object},
    unary_method{
        "/google.storage.v2.Storage/ListObjects", &service::list_objects, &call_counters::list_objects
    },
    unary_method{"/google.storage.v2.Storage/GetBucket", &service::get_bucket, &call_counters::get_bucket},
    unary_method{
        "/google.storage.control.v2.StorageControl/GetStorageLayout",
        &service::get_storage_layout,
        &call_counters::get_storage_layout,
    },
    unary_method{
        "/google.storage.control.v2.StorageControl/GetFolder",
        &service::get_folder,
        &call_counters::get_folder
    },
};

}  // namespace

grpc::ServerGenericBidiReactor* dispatcher::CreateReactor(grpc::GenericCallbackServerContext* context) {
    const std::string_view path = context->method();
    call_counters& counters = service_.counters();
    if (path == "/google.storage.v2.Storage/BidiReadObject") {
        return start_call<bidi_reactor>(service_, calls_, counters.bidi_read_object, *context);
    }
    if (path == "/google.storage.v2.Storage/ReadObject") {
        return start_call<read_reactor>(service_, calls_, counters.read_object, *context);
    }
    for (const unary_method& method : unary_methods) {
        if (path == method.path) {
            return start_call<unary_reactor>(
                service_, calls_, counters.*method.counters, *context, method.handler
            );
        }
    }
    return start_call<unknown_reactor>(service_, calls_, counters.unknown, *context);
}

}  // namespace rangeio::emulator
