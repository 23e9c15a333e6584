#!/usr/bin/env python3
"""What gcsfs makes of a service that fails. What is found: docs/interop.md."""

import sys

import environment

if __name__ == "__main__":
    environment.enter()

from google.api_core import exceptions
from google.cloud.storage.exceptions import DataCorruption

import emulated
from emulated import MIB, pattern
from gcsfs_case import PATH, SMALL, Case

LARGE = pattern(17 * MIB + 7, seed=3)


class Redirects(Case):
    def test_at_the_opening(self):
        self.start(faults="redirect token=abc handle=yes", lenient=True)
        self.assertEqual(self.fs.cat_file(PATH, start=10, end=20), SMALL[10:20])

    def test_on_each_stream_of_a_pool_in_mid_read(self):
        self.start(objects={"o": LARGE}, faults=f"redirect byte={2 * MIB} token=abc handle=yes times=4", lenient=True)
        self.assertTrue(self.fs.cat_file(PATH, concurrency=4) == LARGE)


class Breaks(Case):
    def test_streams_that_break_in_mid_read_are_resumed(self):
        self.start(objects={"o": LARGE}, faults=f"reset byte={2 * MIB} status=UNAVAILABLE times=4")
        self.assertTrue(self.fs.cat_file(PATH, concurrency=4) == LARGE)

    def test_a_file_goes_on_over_a_break(self):
        self.start(objects={"o": LARGE}, faults=f"reset byte={3 * MIB} status=UNAVAILABLE times=2")
        with self.fs.open(PATH) as file:
            got = b""
            while block := file.read(MIB):
                got += block
        self.assertTrue(got == LARGE)

    def test_what_is_not_retried_comes_through(self):
        self.start(objects={"o": LARGE}, faults=f"reset byte={2 * MIB} status=PERMISSION_DENIED")
        with self.assertRaises(exceptions.PermissionDenied):
            self.fs.cat_file(PATH)


class WrongAnswers(Case):
    def test_a_wrong_checksum(self):
        self.start(faults="bad-checksum")
        with self.assertRaisesRegex(DataCorruption, "Checksum mismatch"):
            self.fs.cat_file(PATH)
        # The downloader closed itself, and gcsfs keeps it for the next read of this generation.
        with self.assertRaisesRegex(ValueError, "stream is not open"):
            self.fs.cat_file(PATH)
        with self.fs.open(PATH, cache_type="none") as file:
            self.assertEqual(file.read(), SMALL)

    def test_a_range_that_ends_early(self):
        self.start(faults="short-end bytes=3")
        with self.assertRaisesRegex(BufferError, "only received 7 bytes"):
            self.fs.cat_file(PATH, start=0, end=10)

    def test_surplus(self):
        self.start(faults="surplus bytes=3")
        with self.assertRaisesRegex(BufferError, "Max capacity is 10 bytes"):
            self.fs.cat_file(PATH, start=0, end=10)


if __name__ == "__main__":
    emulated.main()
