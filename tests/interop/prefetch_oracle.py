#!/usr/bin/env python3
"""The policy `linear_ramp` against its original, fsspec's BackgroundPrefetcher: docs/prefetch.md.

Both get the same events, and have to fetch the same after each: offset, size, and number of parts.
"""

import logging
import os
import random
import subprocess
import sys

import environment

if __name__ == "__main__":
    environment.enter()

import unittest

import emulated
from emulated import MIB
from fsspec_prefetcher import Original

TRACES = 200
KIB = 1 << 10


def at_once(original, rng, reads):
    """A fetch is complete before anything else happens."""
    for offset, size in reads:
        original.read(offset, size)
        while fetches := original.outstanding():
            original.complete(fetches[:1])


def when_awaited(original, rng, reads):
    """A fetch is complete when the reader waits for it, and not before."""
    for offset, size in reads:
        original.read(offset, size)
        while original.reads:
            original.complete(original.outstanding()[:1])


def after_each_read(original, rng, reads):
    """The same, and the others when the read has ended, together."""
    for offset, size in reads:
        original.read(offset, size)
        while original.reads:
            original.complete(original.outstanding()[:1])
        if fetches := original.outstanding():
            original.complete(fetches)


def shuffled(original, rng, reads):
    """In any order, adjacent ones together, in pieces; up to three reads at once; some fail or are cancelled."""
    for offset, size in reads:
        original.read(offset, size)
        while original.outstanding() and (len(original.reads) > 2 or rng.random() < 0.7):
            if original.reads and rng.random() < 0.03:
                rng.choice([original.fail, original.cancel])()
                continue
            fetches = original.outstanding()
            first = rng.randrange(len(fetches))
            adjacent = fetches[first : first + rng.choice([1, 1, 2, 5])]
            begin, end = adjacent[0].offset, adjacent[-1].offset + adjacent[-1].size
            if any(a.offset + a.size != b.offset for a, b in zip(adjacent, adjacent[1:])):
                adjacent, end = adjacent[:1], begin + adjacent[0].size
            pieces = rng.choice([1, 1, 4]) if end > begin + 1 else 1
            original.complete(adjacent, {rng.randrange(begin + 1, end) for _ in range(pieces - 1)})


ORDERS = [at_once, when_awaited, after_each_read, shuffled]


def drawn_reads(original, rng, size):
    """Mostly a scan, in phases with a typical length each; seeks depend on what is planned at that moment."""
    usual, spread = MIB, 0
    for i in range(rng.randrange(30, 90)):
        if i == 0 or rng.random() < 0.03:
            usual = rng.choice([1, 1000, 64 * KIB, 300 * KIB, MIB, 3 * MIB, 5 * MIB, 16 * MIB, 70 * MIB, 200 * MIB])
            spread = rng.choice([0, 0, 0, 0.1, 0.9])
        consumer, planned = original.prefetcher.consumer, original.prefetcher.producer.current_offset
        at, block = consumer.offset, consumer.offset - consumer._current_block_idx
        kind = rng.choices(["on", "skip", "beyond", "in block", "back", "end"], [88, 4, 2, 3, 1, 1])[0]
        low, high = {
            "on": (at, at),
            "skip": (at, rng.choice([planned, min(planned, at + 3 * usual)])),
            "beyond": (planned + 1, size - 1),
            "in block": (block, at),
            "back": (0, block),
            "end": (size - 2 * usual, size - 1),
        }[kind]
        low = max(0, min(low, high, size - 1))
        offset = rng.randint(low, max(low, min(high, size - 1)))
        length = max(1, round(usual * rng.uniform(1 - spread, 1 + spread)))
        yield offset, min(length, size - offset)


class Oracle(emulated.Deadlines, unittest.TestCase):
    def compare(self, trace, size, concurrency, cap, reads):
        """`reads`: a list, or makes them of the original."""
        for order in ORDERS:
            rng = random.Random(f"{trace} {order.__name__}")
            original = Original(size, concurrency, cap)
            order(original, rng, reads if isinstance(reads, list) else reads(original, rng, size))
            self.assertEqual(original.loop.complaints, [])
            self.originals.append((f"{trace}, {order.__name__}", original))

    def setUp(self):
        logging.disable(logging.CRITICAL)
        self.originals = []

    def tearDown(self):
        """One process for all: it prints a line for each event."""
        events = [(name, i, line, fetches) for name, o in self.originals for i, (line, fetches) in enumerate(o.events)]
        done = subprocess.run(
            [os.environ["LINEAR_RAMP_EVENTS"]],
            input="".join(f"{line}\n" for _, _, line, _ in events),
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        plans = done.stdout.splitlines()
        self.assertEqual(len(plans), len(events))
        for (name, i, line, fetches), plan in zip(events, plans):
            self.assertEqual(plan, " ".join(fetches), f"{name}, event {i}: {line}")
        print(f"{len(self.originals)} runs, {len(events)} events, {sum(len(e[3]) for e in events)} fetches", flush=True)

    def test_drawn_traces(self):
        for trace in range(TRACES):
            rng = random.Random(trace)
            size = rng.choice([1, 100, 10_000, 40 * MIB, 700 * MIB, 3 << 30, 50 << 30]) + rng.randrange(100)
            cap = rng.choice([None, None, None, 40, 2 * MIB, 7 * MIB, 50 * MIB, 400 * MIB])
            self.compare(f"trace {trace}", size, rng.choice([1, 4]), cap, drawn_reads)

    def test_scans(self):
        for usual in [10, 64 * KIB, MIB, 16 * MIB, 100 * MIB]:
            for concurrency in [1, 4]:
                reads = [(i * usual, usual) for i in range(400)]
                self.compare(f"scan by {usual}", 400 * usual, concurrency, None, reads)

    def test_reads_as_large_as_the_limit_of_the_user(self):
        self.compare("", 1000, 4, 40, [(40 * i, 40) for i in range(8)])

    def test_a_read_that_ends_read_ahead_behind_a_skipped_block(self):
        scan = [(i * 5 * MIB, 5 * MIB) for i in range(30)]
        self.compare("", 2 << 30, 4, None, [*scan, (31 * 5 * MIB, 700 * MIB)])

    # The reads of the original's own tests (fsspec/tests/test_prefetcher.py).

    def test_a_read_that_spans_blocks(self):
        self.compare("", 300, 4, None, [(0, 100), (100, 50), (150, 100), (250, 50)])

    def test_seeks(self):
        self.compare("", 100, 4, None, [(0, 10), (10, 10), (50, 10), (10, 10)])

    def test_seeks_in_the_current_block(self):
        self.compare("", 100, 4, None, [(0, 50), (5, 10), (30, 10), (60, 20), (10, 10)])

    def test_whole_object_and_a_part(self):
        self.compare("", 5, 4, None, [(0, 5), (0, 2)])
        self.compare("", 100, 4, None, [(0, 10), (0, 100)])

    def test_reads_above_and_below_the_limit_of_the_user(self):
        self.compare("above", 1000, 4, 40, [(60 * i, 60) for i in range(4)])
        self.assertEqual(sum(len(fetches) for _, fetches in self.originals[0][1].events), 4)
        self.compare("below", 1000, 4, 200, [(60 * i, 60) for i in range(4)])
        self.assertGreater(sum(len(fetches) for _, fetches in self.originals[-3][1].events), 4)

    def test_a_read_larger_than_the_window(self):
        self.compare("", 1000, 4, None, [(0, 10), (10, 500)])

    def test_more_reads_than_are_remembered(self):
        self.compare("", 2000, 4, None, [(10 * i, 10) for i in range(12)])

    def test_a_failure_and_the_next_read(self):
        original = Original(2000, 4, None)
        self.originals.append(("", original))
        for offset in [0, 100]:
            original.read(offset, 100)
            original.complete(original.outstanding())
        original.read(400, 100)
        original.fail()
        original.read(400, 100)
        original.complete(original.outstanding())
        self.assertEqual(original.reads, [])


if __name__ == "__main__":
    emulated.main()
