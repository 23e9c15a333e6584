#!/usr/bin/env python3
"""What google-cloud-storage's AsyncMultiRangeDownloader makes of a service that fails. What is found: docs/interop.md."""

import sys

import environment

if __name__ == "__main__":
    environment.enter()

import asyncio
import io

from google.api_core import exceptions
from google.api_core.retry_async import AsyncRetry
from google.cloud.storage.exceptions import DataCorruption

import emulated
from emulated import MIB, pattern
from mrd_case import SMALL, Case

LARGE = pattern(5 * MIB + 3, seed=3)
# What the client must not end by itself within the time that a test has.
PATIENCE_S = 3


class Redirects(Case):
    # A strict emulator wants the token in the specification, too.

    async def test_at_the_opening(self):
        await self.start(faults="redirect token=abc+1%2F=x", lenient=True)
        mrd = await self.open()
        self.assertEqual(await self.read(mrd, (0, 0)), [SMALL])

    async def test_at_the_opening_with_a_handle(self):
        await self.start(faults="redirect token=abc handle=yes", lenient=True)
        self.assertEqual(await self.read(await self.open(), (10, 20)), [SMALL[10:30]])

    async def test_twice_in_a_row(self):
        await self.start(faults="redirect token=one; redirect token=two", lenient=True)
        self.assertEqual(await self.read(await self.open(), (10, 20)), [SMALL[10:30]])

    async def test_between_two_chunks(self):
        await self.start(objects={"o": LARGE}, faults=f"redirect byte={2 * MIB} token=abc handle=yes", lenient=True)
        got = await self.read(await self.open(), (0, 0), (100, 10), (len(LARGE) - 7, 7))
        self.assertEqual(got, [LARGE, LARGE[100:110], LARGE[-7:]])

    async def test_between_two_chunks_without_a_handle(self):
        await self.start(objects={"o": LARGE}, faults=f"redirect byte={2 * MIB} token=abc", lenient=True)
        self.assertEqual(await self.read(await self.open(), (0, 0)), [LARGE])

    async def test_a_strict_emulator_refuses_a_token_in_the_header_alone(self):
        await self.start(faults="redirect token=abc")
        with self.assertRaisesRegex(exceptions.InvalidArgument, "the read_object_spec does not have routing_token=abc"):
            await self.open()


class Breaks(Case):
    async def test_what_is_retried_goes_on_where_it_was(self):
        for status in ["UNAVAILABLE", "INTERNAL", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED"]:
            with self.subTest(status=status):
                await self.start(objects={"o": LARGE}, faults=f"reset byte={2 * MIB} status={status}")
                got = await self.read(await self.open(), (0, len(LARGE)), (5, 5))
                self.assertEqual(got, [LARGE, LARGE[5:10]])

    async def test_what_is_not_retried_fails_the_call(self):
        for status, kind in [("CANCELLED", exceptions.Cancelled), ("PERMISSION_DENIED", exceptions.PermissionDenied)]:
            with self.subTest(status=status):
                await self.start(objects={"o": LARGE}, faults=f"reset byte={2 * MIB} status={status}")
                with self.assertRaises(kind):
                    await self.read(await self.open(), (0, 0))

    async def test_an_opening_that_fails(self):
        await self.start(faults="fail-open status=UNAVAILABLE")
        self.assertEqual(await self.read(await self.open(), (0, 10)), [SMALL[:10]])
        await self.start(faults="fail-open status=ABORTED")
        # Without a redirect ABORTED is final here; on a stream that is open it is not.
        with self.assertRaises(exceptions.Aborted):
            await self.open()

    async def test_an_end_before_the_ranges_are_served(self):
        await self.start(objects={"o": LARGE}, faults=f"ok-early byte={2 * MIB}")
        self.assertEqual(await self.read(await self.open(), (0, 0)), [LARGE])

    async def test_an_idle_stream_that_was_ended(self):
        await self.start(faults="idle-abort delay=100ms")
        mrd = await self.open()
        await asyncio.sleep(0.5)
        self.assertEqual(await self.read(mrd, (0, 10)), [SMALL[:10]])

    async def test_the_connection_goes_away(self):
        await self.start(objects={"o": LARGE}, faults=f"goaway byte={2 * MIB}")
        self.assertEqual(await self.read(await self.open(), (0, 0)), [LARGE])

    async def test_the_object_is_replaced_before_the_stream_is_resumed(self):
        faults = f"new-generation; reset byte={2 * MIB} status=UNAVAILABLE"
        await self.start(objects={"o": LARGE}, faults=faults)
        # The generation is pinned: an error, never bytes of two generations.
        mrd = await self.open()
        with self.assertRaises(exceptions.NotFound):
            await self.read(mrd, (0, 0))
        self.assertTrue(mrd.is_stream_open)
        with self.assertRaisesRegex(ValueError, "Stream is not open"):
            await mrd.close()


class WrongAnswers(Case):
    async def test_a_wrong_checksum(self):
        await self.start(faults="bad-checksum")
        mrd = await self.open()
        with self.assertRaisesRegex(DataCorruption, "Checksum mismatch"):
            await self.read(mrd, (0, 10), (10, 10))
        self.assertFalse(mrd.is_stream_open)

    async def test_a_wrong_checksum_that_nobody_looks_at(self):
        await self.start(faults="bad-checksum")
        self.assertEqual(await self.read(await self.open(), (0, 10), enable_checksum=False), [SMALL[:10]])

    async def test_a_wrong_offset(self):
        await self.start(faults="wrong-offset bytes=1")
        with self.assertRaisesRegex(DataCorruption, "Expected 5, got 6"):
            await self.read(await self.open(), (5, 10))

    async def test_a_chunk_that_comes_twice(self):
        await self.start(faults="repeat")
        with self.assertRaisesRegex(DataCorruption, "Expected 1000, got 0"):
            await self.read(await self.open(), (0, 0))

    async def test_surplus_is_written_before_it_is_refused(self):
        await self.start(faults="surplus bytes=3")
        buffer = io.BytesIO()
        with self.assertRaisesRegex(DataCorruption, "Byte count mismatch"):
            await (await self.open()).download_ranges([(0, 10, buffer)])
        self.assertEqual(len(buffer.getvalue()), 13)

    async def test_a_range_that_ends_early_is_taken_for_the_end_of_the_object(self):
        await self.start(faults="short-end bytes=3")
        self.assertEqual(await self.read(await self.open(), (0, 10)), [SMALL[:7]])

    async def test_what_is_more_than_needed_but_no_bytes(self):
        for fault in ["unknown-id", "late-id", "double-range-end", "empty-range-end", "batch bytes=2"]:
            with self.subTest(fault=fault):
                await self.start(objects={"o": LARGE}, faults=fault)
                got = await self.read(await self.open(), (0, MIB), (7, 7))
                self.assertEqual(got, [LARGE[:MIB], LARGE[7:14]])

    async def test_a_message_of_more_than_4_mib(self):
        await self.start(objects={"o": LARGE}, faults="batch bytes=2 times=1")
        # Without credentials the client has gRPC's limit for messages. It takes the refusal for one of the service.
        with self.assertLogs("google.cloud.storage", "WARNING") as logs:
            got = await self.read(await self.open(), (0, 3 * MIB), (MIB, 3 * MIB))
        self.assertEqual(got, [LARGE[: 3 * MIB], LARGE[MIB : 4 * MIB]])
        self.assertIn("larger than max", "".join(logs.output))

    async def test_all_bytes_but_no_end_are_waited_for(self):
        await self.start(faults="no-range-end")
        with self.assertRaises(asyncio.TimeoutError):
            await asyncio.wait_for(self.read(await self.open(), (0, 10)), PATIENCE_S)

    async def test_all_bytes_no_end_and_a_break_read_too_much(self):
        await self.start(faults="no-range-end; reset byte=10 status=UNAVAILABLE")
        # Nothing is left to be asked for, and length 0 means to the end.
        with self.assertRaisesRegex(DataCorruption, "Expected 10, got 1000"):
            await self.read(await self.open(), (0, 10))

    async def test_a_range_that_is_blamed_takes_the_others_with_it(self):
        await self.start(objects={"o": LARGE}, faults="range-error range=2 status=OUT_OF_RANGE")
        with self.assertRaises(exceptions.OutOfRange):
            await self.read(await self.open(), (0, 0), (0, 10))

    async def test_no_metadata(self):
        await self.start(faults="no-metadata")
        handle = (await self.open()).read_handle
        mrd = await self.open(read_handle=handle)
        self.assertIsNone(mrd.persisted_size)
        self.assertIsNone(mrd.generation)
        self.assertEqual(await self.read(mrd, (0, 0)), [SMALL])

    async def test_another_handle(self):
        await self.start(objects={"o": LARGE}, faults=f"new-handle byte={2 * MIB}")
        mrd = await self.open()
        before = mrd.read_handle.handle
        self.assertEqual(await self.read(mrd, (0, 0)), [LARGE])
        self.assertNotEqual(mrd.read_handle.handle, before)

    async def test_nothing_is_answered_in_time(self):
        await self.start(faults="mute range=1")
        policy = AsyncRetry(predicate=lambda error: False, timeout=1)
        # A retry policy's time is looked at between attempts only: it does not end one that hangs.
        with self.assertRaises(asyncio.TimeoutError):
            await asyncio.wait_for(self.read(await self.open(), (0, 10), retry_policy=policy), PATIENCE_S)


if __name__ == "__main__":
    emulated.main()
