"""What the suites of foreign clients share: the emulator as a process, files for it to serve, deadlines, a verdict."""

import asyncio
import contextlib
import faulthandler
import functools
import inspect
import os
import pathlib
import random
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

BUCKET = "bucket"
TEST_TIMEOUT_S = 60
START_TIMEOUT_S = 20
SCRIPT_TIMEOUT_S = 300
MIB = 1 << 20


def pattern(length, seed=1):
    """Bytes of which no stretch looks like another."""
    return random.Random(seed).randbytes(length)


class Emulator:
    """`rangeio emulate` over a directory of its own. `faults` are in the language of `--faults`."""

    def __init__(self, faults="", unfinalized=(), objects=None, lenient=False):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="rangeio-interop-"))
        (self.root / BUCKET).mkdir()
        for name, content in (objects or {}).items():
            self.write(name, content)
        command = [os.environ["RANGEIO_COMMAND"], "emulate", "--root", str(self.root), "--listen", "127.0.0.1:0"]
        for name in unfinalized:
            command += ["--unfinalized", f"{BUCKET}/{name}"]
        if faults:
            command += ["--faults", faults]
        if lenient:
            command += ["--non-strict"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        try:
            self.address = self._first_line()
        except BaseException:
            self.process.kill()
            self._leave()
            raise

    def write(self, name, content):
        """A new generation, if there was one: the name comes to stand for another file."""
        path = self.root / BUCKET / name
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.root / "partial"
        partial.write_bytes(content)
        partial.rename(path)

    def append(self, name, content):
        with open(self.root / BUCKET / name, "ab") as file:
            file.write(content)

    def set_time(self, name, seconds):
        """The time of change, which the emulator reports as that of finalization."""
        os.utime(self.root / BUCKET / name, (seconds, seconds))

    def stop(self):
        """Fails unless the emulator ends as it should: a client must not be able to crash it."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(START_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = "none: it hung"
        finally:
            self._leave()
        if code != 0:
            raise AssertionError(f"the emulator's exit status is {code}")

    def _first_line(self):
        selector = selectors.DefaultSelector()
        selector.register(self.process.stdout, selectors.EVENT_READ)
        give_up = time.monotonic() + START_TIMEOUT_S
        line = b""
        while not line.endswith(b"\n"):
            if not selector.select(max(0, give_up - time.monotonic())):
                raise AssertionError(f"the emulator printed no address within {START_TIMEOUT_S} s")
            byte = os.read(self.process.stdout.fileno(), 1)
            if not byte:
                raise AssertionError("the emulator ended before it printed its address")
            line += byte
        return line.decode().strip()

    def _leave(self):
        self.process.wait()
        self.process.stdout.close()
        shutil.rmtree(self.root, ignore_errors=True)


class OutOfTime(BaseException):
    """Not an Exception, which a client under test might take for one of its own and retry."""


@contextlib.contextmanager
def deadline(seconds):
    """Ends what the main thread waits for."""

    def expire(signum, frame):
        raise OutOfTime(f"not done within {seconds} s")

    before = signal.signal(signal.SIGALRM, expire)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def bounded(test):
    """`test` with a deadline, be it a coroutine or not."""
    if inspect.iscoroutinefunction(test):

        @functools.wraps(test)
        async def run(self):
            await asyncio.wait_for(test(self), TEST_TIMEOUT_S)

    else:

        @functools.wraps(test)
        def run(self):
            try:
                with deadline(TEST_TIMEOUT_S):
                    test(self)
            except OutOfTime as error:
                self.fail(str(error))

    return run


class Deadlines:
    """Gives a deadline to each test of the classes derived from it."""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for name, test in list(vars(cls).items()):
            if name.startswith("test"):
                setattr(cls, name, bounded(test))


def main():
    """Runs the tests of the script; the last line is `N passed, N failed`. A skipped test counts as failed."""
    # The last resort, for what neither deadline can end: it shows all threads, and ends the process.
    faulthandler.dump_traceback_later(SCRIPT_TIMEOUT_S, exit=True)
    done = unittest.main(module="__main__", exit=False, verbosity=2).result
    bad = len(done.failures) + len(done.errors) + len(done.skipped) + len(done.unexpectedSuccesses)
    print(f"{done.testsRun - bad} passed, {bad} failed", flush=True)
    # Without the interpreter's own end: threads of gRPC that are still there may hold it up.
    os._exit(0 if done.testsRun and not bad else 1)
