#!/usr/bin/env python3
"""Reads through google-cloud-storage's AsyncMultiRangeDownloader from the emulator. What is found: docs/interop.md."""

import sys

import environment

if __name__ == "__main__":
    environment.enter()

import asyncio

from google.api_core import exceptions
from google.cloud import _storage_v2 as storage
from google.cloud.storage.asyncio.async_multi_range_downloader import AsyncMultiRangeDownloader
from google.cloud.storage.exceptions import DataCorruption

import emulated
from emulated import BUCKET, MIB, pattern
from mrd_case import SMALL, Case


class Ranges(Case):
    async def test_one_range(self):
        await self.start()
        mrd = await self.open()
        self.assertEqual(mrd.persisted_size, 1000)
        self.assertTrue(mrd.read_handle.handle)
        self.assertEqual(await self.read(mrd, (100, 50)), [SMALL[100:150]])

    async def test_several_that_overlap_repeat_and_touch(self):
        await self.start()
        wanted = [(0, 500), (250, 500), (0, 500), (999, 1), (500, 250), (0, 1000)]
        got = await self.read(await self.open(), *wanted)
        self.assertEqual(got, [SMALL[at : at + length] for at, length in wanted])

    async def test_more_than_one_message_may_hold(self):
        await self.start()
        wanted = [(at, 1 + at % 7) for at in range(0, 990)]
        got = await self.read(await self.open(), *wanted)
        self.assertEqual(got, [SMALL[at : at + length] for at, length in wanted])

    async def test_more_than_the_client_takes(self):
        await self.start()
        with self.assertRaisesRegex(ValueError, "more than 1000"):
            await self.read(await self.open(), *[(0, 1)] * 1001)

    async def test_several_calls_at_once_on_one_stream(self):
        await self.start(objects={"o": pattern(6 * MIB)})
        mrd = await self.open()
        wanted = [(at * MIB, MIB + 1) for at in range(5)]
        got = await asyncio.gather(*(self.read(mrd, one) for one in wanted))
        self.assertEqual([g[0] for g in got], [pattern(6 * MIB)[a : a + n] for a, n in wanted])

    async def test_length_zero_is_to_the_end(self):
        await self.start()
        self.assertEqual(await self.read(await self.open(), (0, 0), (990, 0)), [SMALL, SMALL[990:]])

    async def test_at_the_end_there_is_nothing(self):
        await self.start()
        self.assertEqual(await self.read(await self.open(), (1000, 0), (1000, 10)), [b"", b""])

    async def test_what_runs_past_the_end_is_cut(self):
        await self.start()
        self.assertEqual(await self.read(await self.open(), (997, 10), (0, 1 << 40)), [SMALL[997:], SMALL])

    async def test_beyond_the_end_fails_the_call_and_the_downloader(self):
        await self.start()
        mrd = await self.open()
        with self.assertRaises(exceptions.OutOfRange) as caught:
            await self.read(mrd, (0, 10), (1001, 1))
        self.assertIn("gs://bucket/o", str(caught.exception))
        # Innocent ranges of later calls get the same error: the client does not open another stream for it.
        with self.assertRaises(exceptions.OutOfRange):
            await self.read(mrd, (0, 10))
        self.assertEqual(await self.read(await self.open(), (0, 10)), [SMALL[:10]])

    async def test_a_tail_is_served_but_the_client_takes_no_absolute_offset_for_it(self):
        await self.start()
        for wanted in [(-10, 0), (-10, 10), (-5000, 0)]:
            mrd = await self.open()
            with self.assertRaisesRegex(DataCorruption, rf"Expected {wanted[0]}, got {max(1000 + wanted[0], 0)}"):
                await self.read(mrd, wanted)
            self.assertFalse(mrd.is_stream_open)

    async def test_an_empty_object(self):
        await self.start(objects={"o": b""})
        mrd = await self.open()
        self.assertEqual(mrd.persisted_size, 0)
        self.assertEqual(await self.read(mrd, (0, 0)), [b""])

    async def test_a_whole_object_in_many_messages(self):
        content = pattern(9 * MIB + 1)
        await self.start(objects={"dir/o": content})
        self.emulator.set_time("dir/o", 1_700_000_041)  # see test_finalized_is_taken_from_the_seconds_of_the_minute
        mrd = await self.open("dir/o")
        self.assertTrue(mrd.is_finalized)
        # Both ask for the whole object, and have its checksum compared, too.
        self.assertEqual(await self.read(mrd, (0, 0), (0, len(content))), [content, content])


class Objects(Case):
    async def test_missing_object_and_bucket(self):
        await self.start()
        with self.assertRaises(exceptions.NotFound) as caught:
            await self.open("none")
        self.assertIn("gs://bucket/none", str(caught.exception))
        with self.assertRaises(exceptions.NotFound):
            await AsyncMultiRangeDownloader.create_mrd(self.client, "nowhere", "o")

    async def test_a_generation_that_is_asked_for(self):
        await self.start()
        now = (await self.open()).generation
        mrd = await self.open(generation=now)
        self.assertEqual(await self.read(mrd, (0, 10)), [SMALL[:10]])
        with self.assertRaises(exceptions.NotFound):
            await self.open(generation=now + 1)

    async def test_a_replaced_object_keeps_its_open_streams(self):
        await self.start()
        old = await self.open()
        self.emulator.write("o", pattern(1000, seed=2))
        new = await self.open()
        self.assertGreater(new.generation, old.generation)
        self.assertEqual(await self.read(old, (0, 0)), [SMALL])
        self.assertEqual(await self.read(new, (0, 0)), [pattern(1000, seed=2)])
        with self.assertRaises(exceptions.NotFound):
            await self.open(generation=old.generation)

    async def test_an_unfinalized_object_grows_under_its_readers(self):
        await self.start(unfinalized=["o"])
        mrd = await self.open()
        self.assertFalse(mrd.is_finalized)
        self.assertEqual(mrd.persisted_size, 1000)
        more = pattern(500, seed=2)
        self.emulator.append("o", more)
        self.assertEqual(await self.read(mrd, (1000, 0)), [more])
        self.assertEqual(mrd.persisted_size, 1000)
        again = await self.open()
        self.assertEqual((again.persisted_size, again.generation), (1500, mrd.generation))
        self.assertEqual(await self.read(again, (0, 0)), [SMALL + more])

    async def test_finalized_is_taken_from_the_seconds_of_the_minute(self):
        await self.start()
        for second, finalized in [(1, True), (0, False)]:
            self.emulator.set_time("o", 1_700_000_040 + second)
            mrd = await self.open()
            self.assertEqual(mrd.object_metadata.finalize_time.second, second)
            self.assertEqual(mrd.is_finalized, finalized)

    async def test_a_read_handle_opens_another_stream(self):
        await self.start()
        first = await self.open()
        second = await self.open(read_handle=first.read_handle)
        self.assertEqual(await self.read(second, (10, 10)), [SMALL[10:20]])
        self.emulator.write("o", b"other")
        with self.assertRaises(exceptions.NotFound):
            await self.open(read_handle=first.read_handle)

    async def test_metadata_and_listing(self):
        await self.start(objects={"a/1": SMALL, "a/2": b"", "b": b"x"})
        got = await self.client.get_object(BUCKET, "a/1")
        self.assertEqual((got.name, got.size, got.storage_class), ("a/1", 1000, "RAPID"))
        self.assertEqual(got.generation, (await self.open("a/1")).generation)
        with self.assertRaises(exceptions.NotFound):
            await self.client.get_object(BUCKET, "none")
        with self.assertRaises(exceptions.NotFound):
            await self.client.get_object(BUCKET, "b", generation=1)
        parent = f"projects/_/buckets/{BUCKET}"
        pages = await self.client.grpc_client.list_objects(storage.ListObjectsRequest(parent=parent, page_size=1))
        self.assertEqual([o.name async for o in pages], ["a/1", "a/2", "b"])


if __name__ == "__main__":
    emulated.main()
