#!/usr/bin/env python3
"""Reads through gcsfs, whose zonal files read with pools of downloaders. What is found: docs/interop.md."""

import sys

import environment

if __name__ == "__main__":
    environment.enter()

import emulated
from emulated import BUCKET, MIB, pattern
from gcsfs_case import PATH, SMALL, Case


class Whole(Case):
    def test_cat(self):
        self.start(objects={"o": SMALL, "dir/p": pattern(3 * MIB + 5), "empty": b""})
        self.assertEqual(self.fs.cat_file(PATH), SMALL)
        self.assertEqual(self.fs.cat_file(f"{BUCKET}/dir/p"), pattern(3 * MIB + 5))
        self.assertEqual(self.fs.cat_file(f"{BUCKET}/empty"), b"")

    def test_a_part_of_it(self):
        self.start()
        for start, end in [(0, 1), (10, 20), (999, 1000), (10, None), (None, 10), (-10, None), (-10, -3), (3, -3)]:
            with self.subTest(start=start, end=end):
                self.assertEqual(self.fs.cat_file(PATH, start=start, end=end), SMALL[start:end])

    def test_at_and_past_the_end(self):
        self.start()
        for start, end in [(990, 1010), (0, 1 << 40), (1000, 1010), (1001, 1010), (5, 5), (7, 3), (-5000, None)]:
            with self.subTest(start=start, end=end):
                self.assertEqual(self.fs.cat_file(PATH, start=start, end=end), SMALL[max(start, -1000) : end])

    def test_many_ranges_of_many_objects(self):
        objects = {f"dir/{i}": pattern(50_000 + i, seed=i) for i in range(8)}
        self.start(objects=objects)
        wanted = [(f"dir/{i % 8}", 17 * i, 17 * i + 1000 + i) for i in range(64)]
        got = self.fs.cat_ranges(
            [f"{BUCKET}/{name}" for name, _, _ in wanted], [a for _, a, _ in wanted], [b for _, _, b in wanted]
        )
        self.assertEqual(got, [objects[name][a:b] for name, a, b in wanted])

    def test_a_large_object_over_several_streams(self):
        content = pattern(33 * MIB + 7)
        self.start(objects={"o": content})
        self.assertTrue(self.fs.cat_file(PATH, concurrency=4) == content)
        with self.fs.open(PATH) as file:
            self.assertTrue(file.read() == content)

    def test_missing(self):
        self.start()
        with self.assertRaises(FileNotFoundError):
            self.fs.cat_file(f"{BUCKET}/none")
        with self.assertRaises(FileNotFoundError):
            self.fs.open(f"{BUCKET}/none")
        got = self.fs.cat_ranges([PATH, f"{BUCKET}/none"], [0, 0], [10, 10], on_error="return")
        self.assertEqual(got[0], SMALL[:10])
        self.assertIsInstance(got[1], FileNotFoundError)


class Files(Case):
    def test_read_seek_and_readinto(self):
        content = pattern(200_000)
        self.start(objects={"o": content})
        with self.fs.open(PATH) as file:
            self.assertEqual(file.size, len(content))
            self.assertEqual(file.read(10), content[:10])
            self.assertEqual(file.tell(), 10)
            file.seek(100_000)
            self.assertEqual(file.read(50_000), content[100_000:150_000])
            into = bytearray(1000)
            self.assertEqual(file.readinto(into), 1000)
            self.assertEqual(into, content[150_000:151_000])
            file.seek(0)
            self.assertEqual(file.read(), content)

    def test_the_tail_and_past_the_end(self):
        self.start()
        with self.fs.open(PATH) as file:
            file.seek(-10, 2)
            self.assertEqual(file.read(100), SMALL[-10:])
            self.assertEqual(file.read(100), b"")
            file.seek(5000)
            self.assertEqual(file.read(10), b"")

    def test_every_kind_of_cache(self):
        content = pattern(3 * MIB)
        self.start(objects={"o": content})
        for kind in ["none", "readahead", "readahead_chunked", "bytes", "blockcache", "adaptive"]:
            with self.subTest(kind=kind), self.fs.open(PATH, cache_type=kind, block_size=256 << 10) as file:
                got = b""
                while block := file.read(300_000):
                    got += block
                self.assertTrue(got == content)
                file.seek(MIB)
                self.assertTrue(file.read(100) == content[MIB : MIB + 100])

    def test_an_unfinalized_object_grows_for_who_opens_it_anew(self):
        self.start(unfinalized=["o"])
        more = pattern(500, seed=2)
        with self.fs.open(PATH) as file:
            self.assertEqual(file.read(), SMALL)
            self.emulator.append("o", more)
            self.assertEqual(file.read(), b"")
        with self.fs.open(PATH) as file:
            self.assertEqual(file.size, 1500)
            self.assertEqual(file.read(), SMALL + more)

    def test_a_replaced_object_is_read_as_it_was_opened(self):
        self.start()
        with self.fs.open(PATH, cache_type="none") as file:
            self.emulator.write("o", pattern(2000, seed=2))
            self.assertEqual(file.read(), SMALL)
        self.assertEqual(self.fs.cat_file(PATH), pattern(2000, seed=2))


if __name__ == "__main__":
    emulated.main()
