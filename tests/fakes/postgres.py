"""A real PostgreSQL server for tests: in a folder of its own, on a Unix socket, safe from nothing."""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USER = "wattmark"


def binaries() -> Path | None:
    """The folder with initdb and postgres: on the PATH, or where Debian puts them."""
    on_path = [str(Path(found).parent) for found in [shutil.which("postgres")] if found]
    debian = sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)
    for folder in (*on_path, *debian):
        if all(os.access(Path(folder, name), os.X_OK) for name in ("postgres", "initdb")):
            return Path(folder)
    return None


@contextmanager
def server(*, safe: bool = False) -> Iterator[str]:
    """Starts the server; gives the address of its ``postgres`` database, without the database's name.

    safe: what it has said to be written is on the disk."""
    programs = binaries()
    if programs is None:
        raise FileNotFoundError("PostgreSQL's server is not installed")
    folder = Path(tempfile.mkdtemp(prefix="wm-pg-", dir="/tmp"))
    identity = _unprivileged()
    options: dict = {"stdin": subprocess.DEVNULL, "cwd": folder} | identity
    if identity:
        os.chown(folder, identity["user"], identity["group"])
    data = folder / "data"
    try:
        initdb = [
            programs / "initdb",
            "-D",
            data,
            "-U",
            USER,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ]
        subprocess.run(initdb, check=True, capture_output=True, **options)
        settings = ["listen_addresses=", "fsync=off", "full_page_writes=off", "synchronous_commit=off"]
        settings = settings[:1] if safe else settings
        command = [
            programs / "postgres",
            "-D",
            data,
            "-k",
            folder,
            *(part for s in settings for part in ("-c", s)),
        ]
        with open(folder / "log", "wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, **options)
        try:
            _wait(process, folder)
            yield f"postgresql://{USER}@/{{database}}?host={folder}"
        finally:
            process.send_signal(signal.SIGINT)  # "fast" shutdown: rolls back and disconnects
            process.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged() -> dict:
    """PostgreSQL refuses to run as root; then it runs as its own user, or nobody."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise FileNotFoundError("no unprivileged user to run PostgreSQL")


def _wait(process: subprocess.Popen, folder: Path) -> None:
    import psycopg

    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(host=str(folder), user=USER, dbname="postgres").close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((folder / "log").read_text(errors="replace")) from None
            time.sleep(0.01)
        else:
            return
