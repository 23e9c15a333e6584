"""The virtual environment in which the Python clients are tried, made when it is first needed.

It lies in the build folder, and is made anew only when requirements.txt or the interpreter changed.
"""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import time
import venv

REQUIREMENTS = pathlib.Path(__file__).with_name("requirements.txt")
INSTALL_TIMEOUT_S = 240
LOCK_TIMEOUT_S = 250


def skip(why):
    """Ends this test as one that could not be run; Meson's exit status for that is 77."""
    print(f"skipped: {why}", flush=True)
    sys.exit(77)


@contextlib.contextmanager
def locked(path):
    """Several scripts share the environment, and Meson starts them at the same time."""
    with open(path, "w") as file:
        give_up = time.monotonic() + LOCK_TIMEOUT_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > give_up:
                    skip(f"{path}: somebody else has been installing for {LOCK_TIMEOUT_S} s")
                time.sleep(0.2)
        yield


def install(home):
    shutil.rmtree(home, ignore_errors=True)
    try:
        venv.create(home, with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        skip(f"python3 has no working venv: {error}")
    # Wheels only: a compiler is not to be needed, and grpcio would keep it busy for very long.
    command = [home / "bin" / "python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--only-binary", ":all:", "--requirement", REQUIREMENTS]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        skip(f"pip install: {error}")
    if done.returncode != 0:
        skip(f"pip install: {done.stderr.strip()[-500:]}")


def enter():
    """Starts the running script again, inside of the environment below its first argument, which is taken away."""
    if len(sys.argv) < 2:
        sys.exit(f"usage: {sys.argv[0]} CACHE [TEST...]: a folder that is never committed, and what to run")
    home = (pathlib.Path(sys.argv[1]) / "clients").resolve()
    if pathlib.Path(sys.prefix).resolve() == home:
        del sys.argv[1]
        return
    home.parent.mkdir(parents=True, exist_ok=True)
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    stamp = home / "installed"
    with locked(home.with_suffix(".lock")):
        # Written last: an installation that was interrupted has none.
        if not stamp.exists() or stamp.read_text() != wanted:
            install(home)
            stamp.write_text(wanted)
    # Of gRPC's own log the errors only: it tells of every connection that an emulator ends.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    python = str(home / "bin" / "python3")
    os.execv(python, [python, *sys.argv])
