#pragma once

#include <rangeio/object.hpp>

namespace rangeio::proto::storage::v2 {
class Object;
}

namespace rangeio::grpc_transport {

/// `object` as the library's users see it. The bucket loses its `projects/_/buckets/`.
object_info to_info(const proto::storage::v2::Object& object);

}  // namespace rangeio::grpc_transport
