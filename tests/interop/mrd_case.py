"""A client of google-cloud-storage on an emulator: what its suites share."""

import contextlib
import io
import unittest

from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud.storage.asyncio.async_grpc_client import AsyncGrpcClient
from google.cloud.storage.asyncio.async_multi_range_downloader import AsyncMultiRangeDownloader

import emulated
from emulated import BUCKET, pattern

SMALL = pattern(1000)


class Case(emulated.Deadlines, unittest.IsolatedAsyncioTestCase):
    async def start(self, **how):
        """An emulator, by default with one small object `o`, and a client of it."""
        how.setdefault("objects", {"o": SMALL})
        self.emulator = emulated.Emulator(**how)
        self.addCleanup(self.emulator.stop)
        self.client = AsyncGrpcClient(
            credentials=AnonymousCredentials(),
            client_options=ClientOptions(api_endpoint=self.emulator.address),
        )
        self.addAsyncCleanup(self.client.grpc_client.transport.close)

    async def open(self, name="o", **how):
        mrd = await AsyncMultiRangeDownloader.create_mrd(self.client, BUCKET, name, **how)
        self.addAsyncCleanup(self.close, mrd)
        return mrd

    @staticmethod
    async def close(mrd):
        if mrd.is_stream_open:
            # A downloader that could not resume says that it is open, but cannot be closed.
            with contextlib.suppress(ValueError):
                await mrd.close()

    @staticmethod
    async def read(mrd, *ranges, **how):
        """What each range (offset, length) came to."""
        buffers = [io.BytesIO() for _ in ranges]
        await mrd.download_ranges([(*r, b) for r, b in zip(ranges, buffers)], **how)
        return [b.getvalue() for b in buffers]
