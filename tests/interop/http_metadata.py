"""A little of the JSON API over HTTP, for clients that learn of objects there and read them over gRPC.

It knows nothing itself: each question is passed on to the emulator, over gRPC. Content is refused, and remembered as
a mistake of the test: what a client reads here has not been read from the emulator.
"""

import base64
import http.server
import json
import threading
import urllib.parse

import grpc
from google.api_core import exceptions
from google.cloud import _storage_v2 as storage

TIMEOUT_S = 20


def resource_of(found):
    """An Object as JSON has it: numbers of 64 bits as strings, the checksum as base64 of its bytes."""
    bucket = found.bucket.rsplit("/", 1)[-1]
    resource = {
        "kind": "storage#object",
        "name": found.name,
        "bucket": bucket,
        "generation": str(found.generation),
        "metageneration": str(found.metageneration),
        "size": str(found.size),
        "storageClass": found.storage_class,
        "contentType": found.content_type,
        "etag": found.etag,
        "timeCreated": found.create_time.rfc3339(),
        "updated": found.update_time.rfc3339(),
    }
    if found.finalize_time:
        resource["timeFinalized"] = found.finalize_time.rfc3339()
    if found.checksums.crc32c:
        resource["crc32c"] = base64.b64encode(found.checksums.crc32c.to_bytes(4, "big")).decode()
    return resource


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        parts = [urllib.parse.unquote(p) for p in url.path.split("/")]
        try:
            if parts[:4] == ["", "storage", "v1", "b"] and len(parts) >= 6 and parts[5] == "o" and "alt" not in query:
                bucket = f"projects/_/buckets/{parts[4]}"
                name = "/".join(parts[6:])
                self.answer(200, self.one(bucket, name, query) if name else self.some(bucket, query))
                return
        except exceptions.GoogleAPICallError as error:
            self.answer(error.code, {"error": {"code": error.code, "message": error.message}})
            return
        self.server.unexpected.append(f"GET {self.path}")
        self.answer(400, {"error": {"code": 400, "message": "only metadata is to be had here"}})

    def one(self, bucket, name, query):
        request = storage.GetObjectRequest(bucket=bucket, object_=name, generation=query.get("generation", 0))
        return resource_of(self.server.emulator.get_object(request, timeout=TIMEOUT_S))

    def some(self, bucket, query):
        request = storage.ListObjectsRequest(
            parent=bucket, prefix=query.get("prefix", ""), delimiter=query.get("delimiter", "")
        )
        pager = self.server.emulator.list_objects(request, timeout=TIMEOUT_S)
        page = next(iter(pager.pages))
        return {
            "kind": "storage#objects",
            "items": [resource_of(found) for found in page.objects],
            "prefixes": list(page.prefixes),
        }

    def answer(self, status, body):
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


class HttpMetadata(http.server.ThreadingHTTPServer):
    """Serves on loopback, at `url`, what the emulator at `address` knows. `unexpected`: what nobody should ask."""

    daemon_threads = True

    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        transport = storage.services.storage.transports.StorageGrpcTransport(channel=self.channel)
        self.emulator = storage.StorageClient(transport=transport)
        self.unexpected = []
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()

    def stop(self):
        self.shutdown()
        self.server_close()
        self.channel.close()
