"""fsspec's BackgroundPrefetcher on an event loop without threads, time or bytes; a fetch ends when a test says so.

`Original` records each event, in the words of linear_ramp_events.cpp, with the fetches that follow from it.
"""

import asyncio
import collections
import functools

from fsspec.prefetcher import BackgroundPrefetcher

Fetch = collections.namedtuple("Fetch", "offset size done")


class Loop(asyncio.AbstractEventLoop):
    def __init__(self):
        self.ready = collections.deque()
        self.complaints = []

    def run(self):
        """Until nothing is left to do. What waits for something else stays suspended."""
        asyncio._set_running_loop(self)
        try:
            while self.ready:
                handle = self.ready.popleft()
                if not handle.cancelled():
                    handle._run()
        finally:
            asyncio._set_running_loop(None)

    def call_soon(self, callback, *args, context=None):
        self.ready.append(asyncio.Handle(callback, args, self, context))
        return self.ready[-1]

    def create_task(self, coroutine, **kwargs):
        return asyncio.Task(coroutine, loop=self, **kwargs)

    def create_future(self):
        return asyncio.Future(loop=self)

    def call_exception_handler(self, context):
        self.complaints.append(context)

    def get_debug(self):
        return False

    def is_running(self):
        return True

    def is_closed(self):
        return False


class Span:
    """Bytes of the object that nobody stores."""

    def __init__(self, offset, size):
        self.offset, self.size = offset, size

    def __len__(self):
        return self.size

    def __eq__(self, other):
        return (self.offset, self.size) == (other.offset, other.size)


async def call_inline(function, *args):
    """asyncio.to_thread for what the prefetcher calls with it: a slice of a block, or the pieces of a read joined."""
    if len(args) == 3:
        block, begin, size = args
        assert 0 <= begin and begin + size <= len(block)
        return Span(block.offset + begin, size)
    (pieces,) = args
    for before, after in zip(pieces, pieces[1:]):
        assert before.offset + before.size == after.offset
    return Span(pieces[0].offset, sum(map(len, pieces)))


class Original:
    def __init__(self, size, concurrency, cap):
        self.loop = Loop()
        self.events = []  # (line, fetches)
        self.fetched = []  # by the last event
        self.under_way = []  # fetches, in the order of their beginnings
        self.reads = []  # under way: (task, offset, size)
        self.stopping = False
        self.stale = []  # fetches for which only a restart waits
        self.record(f"object {size} {concurrency} {cap or 0}", lambda: self.make(size, concurrency, cap))

    def make(self, size, concurrency, cap):
        async def make():
            return BackgroundPrefetcher(self.fetch, size, concurrency, max_prefetch_size=cap, loop=self.loop)

        asyncio.to_thread = call_inline
        task = self.loop.create_task(make())
        self.loop.run()
        self.prefetcher = task.result()
        self.prefetcher.producer.stop = functools.partial(self.stop, self.prefetcher.producer.stop)

    async def fetch(self, offset, size, split_factor):
        fetch = Fetch(offset, size, self.loop.create_future())
        if self.stopping:
            self.stale.append(fetch)
        else:
            self.outstanding().append(fetch)
            self.fetched.append(f"{offset}:{size}:{split_factor}")
        await fetch.done
        return Span(offset, size)

    def outstanding(self):
        """The fetches that are under way, first ones first; those that were cancelled with their read are not."""
        self.under_way = [f for f in self.under_way if not f.done.done()]
        return self.under_way

    async def stop(self, stop):
        """What was planned is given up. The original waits for it; nobody needs to."""
        self.stopping = True
        self.stale += self.outstanding()
        self.under_way = []
        self.fetched.clear()
        await stop()
        self.stopping = False

    def record(self, line, cause=lambda: None):
        self.fetched = []
        cause()
        self.loop.run()
        while self.stale:
            fetch = self.stale.pop()
            if not fetch.done.done():
                fetch.done.set_result(None)
            self.loop.run()
        self.events.append((line, self.fetched))

    def read(self, offset, size):
        def begin():
            task = self.loop.create_task(self.prefetcher.afetch(offset, offset + size))
            self.reads.append((task, offset, size))

        self.record(f"read {offset} {size}", begin)
        self.end_reads()

    def complete(self, fetches, cuts=()):
        """Adjacent fetches arrive at once, or cut at these offsets."""
        begin, end = fetches[0].offset, fetches[-1].offset + fetches[-1].size
        for at in [*sorted(cuts), end]:
            arrived = [f for f in fetches if begin < f.offset + f.size <= at]
            self.record(f"arrived {begin} {at - begin}", lambda: [f.done.set_result(None) for f in arrived])
            begin = at
        self.end_reads()

    def end_reads(self):
        while self.reads and self.reads[0][0].done():
            task, offset, size = self.reads.pop(0)
            assert task.result() == Span(offset, size)
            self.record(f"delivered {offset} {size}")

    def fail(self):
        """The fetch that the first read waits for fails, and the read with it."""
        fetch = self.outstanding()[0]
        self.record(f"lost {fetch.offset} {fetch.size}")
        self.record("reset")
        self.end_first(lambda: fetch.done.set_exception(OSError("planted")), OSError)

    def cancel(self):
        self.end_first(self.reads[0][0].cancel, asyncio.CancelledError)

    def end_first(self, cause, exception):
        task, offset, size = self.reads.pop(0)
        self.record(f"failed {offset} {size}", cause)
        try:
            task.result()
        except exception:
            self.end_reads()
            return
        raise AssertionError("the read did not fail")
