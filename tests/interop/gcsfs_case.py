"""A file system of gcsfs on an emulator: what its suites share."""

import os
import unittest

os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "true"

import fsspec.asyn
import grpc
from google.cloud import storage_control_v2
from gcsfs.extended_gcsfs import BucketType, ExtendedGcsFileSystem

import emulated
from emulated import BUCKET, pattern
from http_metadata import HttpMetadata

SMALL = pattern(1000)
PATH = f"{BUCKET}/o"


class LocalFileSystem(ExtendedGcsFileSystem):
    """Only where it connects to is changed: gcsfs takes HTTP and gRPC to be at one address, and control to be TLS."""

    cachable = False

    def __init__(self, emulator, **kwargs):
        self._emulator = emulator
        super().__init__(token="anon", **kwargs)

    @property
    def _grpc_location(self):
        return self._emulator

    async def _get_control_plane_client(self):
        if self._storage_control_client is None:
            transport = storage_control_v2.StorageControlAsyncClient.get_transport_class("grpc_asyncio")
            self._storage_control_client = storage_control_v2.StorageControlAsyncClient(
                transport=transport(channel=grpc.aio.insecure_channel(self._emulator))
            )
        return self._storage_control_client


class Case(emulated.Deadlines, unittest.TestCase):
    def start(self, **how):
        """An emulator, by default with one small object `o`, and a file system on it."""
        how.setdefault("objects", {"o": SMALL})
        self.emulator = emulated.Emulator(**how)
        self.addCleanup(self.emulator.stop)
        metadata = HttpMetadata(self.emulator.address)
        self.addCleanup(metadata.stop)
        self.fs = LocalFileSystem(self.emulator.address, endpoint_url=metadata.url, use_listings_cache=False)
        self.addCleanup(fsspec.asyn.sync, self.fs.loop, self.fs._close_resources)
        self.assertEqual(self.fs._sync_lookup_bucket_type(BUCKET), BucketType.ZONAL_HIERARCHICAL)
        # Cleanups run backwards: this one before the server is stopped.
        self.addCleanup(lambda: self.assertEqual(metadata.unexpected, []))
