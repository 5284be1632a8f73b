"""The recorder process: sample, append, publish, watch the owner; nothing else.

Started by :mod:`wattmark.recorder.launch` as ``python -I -S`` with its settings as the one argument. It ends when its
owner is gone or asks for it, and no other process holds the session's member lock.
"""

from __future__ import annotations

import marshal
import os
import select
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wattmark.errors import SourceEnded, SourceError, SourceGone, WattmarkError
from wattmark.recorder import journal, tree
from wattmark.recorder.choice import Choice
from wattmark.recorder.gpu_users import gpu_shares
from wattmark.recorder.live import ENDED, RUNNING, STARTING, LivePage
from wattmark.recorder.sampling import Group
from wattmark.recorder.system import (
    MEMBERS,
    boot_id,
    detach,
    lock_is_held,
    open_control,
    resident_bytes,
    watch,
)
from wattmark.sources.base import Host
from wattmark.sources.discovery import discover
from wattmark.sources.plausibility import FINDINGS

if TYPE_CHECKING:
    from wattmark.recorder.hostfacts import GitDirty

FLUSH_S = 0.5
HOUSEKEEPING_S = 1.0
ANCHOR_S = 10.0
STEP_NS = 50_000_000
SUSPEND_NS = 20_000_000
BUSY_SHARE = 0.001
"""Looking at the process tree may cost this share of one core ..."""
TREE_AT_LEAST_NS = 5_000_000_000
"""... but is not put off longer than this."""
TREE_FRESH_NS = 50_000_000
PATIENCE_NS = 150_000_000
"""Flushing and housekeeping wait this long for the next reading, so that the recorder wakes up less often."""

_NS = 1_000_000_000


class Recorder:
    """One recorder: its groups of channels, its journal, its live page and the loop."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.folder: str = config["folder"]
        self.owner: int = config["owner_pid"]
        self.linger_ns = int(config["linger_s"] * _NS)
        host = Host.here(options=config.get("options"))
        self.procfs = host.procfs
        selection = discover(host, config.get("wanted"), config.get("exclude", ()))
        opened = selection.open()
        self.groups = [
            Group(index, source, channels, config["period_s"])
            for index, (source, channels) in enumerate(opened.sources)
        ]
        self.choice = Choice(selection, self.groups, config["period_s"], host.procfs)
        self.tree = tree.ProcessTree([self.owner], {os.getpid()})
        self.journal = journal.SegmentWriter(
            self.folder,
            "recorder",
            {
                "role": "recorder",
                "session": config["session"],
                "version": config["version"],
                "host": os.uname().nodename,
                "boot_id": boot_id(),
                "pid": os.getpid(),
                "owner_pid": self.owner,
                "owner_ticks": config["owner_ticks"],
                "period_s": config["period_s"],
                "groups": [group.describe() for group in self.groups],
                "selection": selection.to_dict(),
            },
            config.get("segment_bytes", 16 * 1024 * 1024),
        )
        self.page = LivePage(self.folder, sum(len(group.channels) for group in self.groups))
        self.commands_done = 0
        self.stop_asked = False
        self._failed_ns = 0
        self.control = open_control(self.folder)
        self.members = os.open(f"{self.folder}/{MEMBERS}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.owner_fd = watch(self.owner)
        self.last_member_ns = time.monotonic_ns()
        self.host = host
        self.cwd: str = config.get("cwd", "/")
        self.facts: dict[str, Any] = {}
        self.git: GitDirty | None = None
        self._problems_told: set[str] = set()
        self._gpu_users: dict[str, Any] = {}
        self._anchor: tuple[int, int, int] | None = None
        # what is due in a moment is read now: waking up costs more than reading
        self.early_ns = min((group.period_ns // 20 for group in self.groups), default=0)
        self._next_tree_ns = 0
        self._tree_ns = 0
        self._next_cost_ns = 0
        self._notes: list[dict[str, Any]] = []
        for warning in selection.warnings:
            code = warning["code"] if warning["code"] in FINDINGS else "source-unusable"
            self.note(code, time.monotonic_ns(), warning["message"])

    def run(self) -> None:
        """Sample until there is no one left to sample for."""
        self.sample(time.monotonic_ns(), everything=True)
        self.choice.prove()
        self.choose_again(time.monotonic_ns(), start=True)
        self.publish(RUNNING)
        self.flush()
        self.housekeeping(time.monotonic_ns())
        self.describe_host()
        waiting = [self.control] if self.owner_fd < 0 else [self.control, self.owner_fd]
        now = time.monotonic_ns()
        next_flush = now + int(FLUSH_S * _NS)
        next_keep = now + int(HOUSEKEEPING_S * _NS)
        reason = ""
        while not reason:
            due = (next_keep if next_keep < next_flush else next_flush) + PATIENCE_NS  # better with a reading
            for group in self.groups:
                if group.due_ns < due and not group.ended:
                    due = group.due_ns
            timeout = max(0.0, (due - time.monotonic_ns()) / _NS)
            ready = select.select(waiting, (), (), timeout)[0]
            poked = bool(ready) and self.control in ready and self.obey()
            if ready and self.owner_fd in ready:
                waiting.remove(self.owner_fd)
                os.close(self.owner_fd)
                self.owner_fd = -1
                self.tree.drop_root(self.owner)
                self.note("owner-gone", time.monotonic_ns(), "the process that began this session has ended")
                next_keep = 0
            now = time.monotonic_ns()
            self.sample(now, everything=poked)
            if poked:
                self.look_at_tree(now)
            if now >= next_flush or poked:
                self.flush()
                next_flush = now + int(FLUSH_S * _NS)
            if now >= next_keep or self.stop_asked:
                self.housekeeping(now)
                reason = self.finished(now)
                next_keep = now + int(HOUSEKEEPING_S * _NS)
            if not reason:  # else whoever asked for the end would take it for refused
                self.publish(RUNNING)
        self.finish(reason)

    def sample(self, now: int, *, everything: bool) -> None:
        """Read the groups that are due (or all of them) and append what they say."""
        for group in self.groups:
            asked = everything and bool(group.channels)
            if group.ended or not (asked or now + self.early_ns >= group.due_ns):
                continue
            try:
                record = group.read()
                if record:
                    self.journal.append(record)
            except SourceEnded:
                group.ended = True
                self.note("source-ended", now, f"{group.source.name} has nothing more to give")
            except SourceGone as error:
                group.ended = True
                self.note("source-gone", now, f"{group.source.name} was dropped: {error}")
            except SourceError as error:
                group.missed(now, str(error))
            except Exception as error:  # noqa: BLE001 - a bug in a source, perhaps of a third party, ends that source only
                group.ended = True
                message = f"{group.source.name} was dropped: {type(error).__name__}: {error}"
                self.note("source-gone", now, message)
            group.schedule(now, time.monotonic_ns())
            for code, t_ns, message, data in group.take_events():
                self.note(code, t_ns, message, **data)

    def obey(self) -> bool:
        """Carry out the commands that wait in the control pipe; whether one asks for a reading now."""
        try:
            data = os.read(self.control, 65536)
        except BlockingIOError:
            return False
        sample = False
        for line in data.split(b"\n")[:-1]:
            self.commands_done += 1
            word, _, argument = line.partition(b" ")
            sample = True
            if word == b"stop":
                self.stop_asked = True
            elif word == b"root" and argument.isdigit():
                self.tree.drop_root(self.owner)
                self.tree.add_root(int(argument))
        return sample

    def housekeeping(self, now: int) -> None:
        """Clocks, the process tree and the recorder's own cost; once a second or less."""
        self.anchor(now)
        if now >= self._next_tree_ns:
            self.look_at_tree(now)
        if now >= self._next_cost_ns:
            self.write_cost(now)

        self.choose_again(now)
        self.look_at_gpu_users(now)
        self.listen_to_sources(now)
        if self.git is not None and self.git.poll():
            self.take_git_answer()

    def choose_again(self, now: int, *, start: bool = False) -> None:
        """Read something else in the place of what gives nothing, and say so."""
        roles = dict(self.choice.roles)
        fresh, notes = self.choice.review(now, start=start)
        for code, message, data in notes:
            self.note(code, now, message, **data)
        if not fresh and roles == self.choice.roles:
            return
        described = [group.describe() for group in fresh]
        self.journal.append(
            journal.encode_json(
                journal.GROUPS, {"t_ns": now, "groups": described, "roles": self.choice.roles}
            )
        )
        self.early_ns = min(group.period_ns // 20 for group in self.groups)
        self.sample(time.monotonic_ns(), everything=True)

    def look_at_tree(self, now: int) -> None:
        """CPU time of the measured processes and of the host, at the edges of runs and about once a second."""
        if now - self._tree_ns < TREE_FRESH_NS:
            return
        self._tree_ns = now
        began = time.process_time_ns()
        cpu_s = self.tree.cpu_s()
        busy_s = tree.host_busy_s(self.procfs)
        pause_ns = int((time.process_time_ns() - began) / BUSY_SHARE)
        self._next_tree_ns = now + min(max(int(0.9 * HOUSEKEEPING_S * _NS), pause_ns), TREE_AT_LEAST_NS)
        if busy_s is not None:
            self.journal.append(journal.encode(journal.TREE, journal.TREE_BODY.pack(now, cpu_s, busy_s)))

    def write_cost(self, now: int) -> None:
        """What the recorder itself takes, every five seconds and at the end."""
        self._next_cost_ns = now + 5 * _NS
        self.journal.append(
            journal.encode(journal.COST, journal.COST_BODY.pack(now, time.process_time(), resident_bytes()))
        )

    def describe_host(self) -> None:
        """Write down what machine this is; whether the work tree was dirty follows when git has answered."""
        from wattmark.recorder.hostfacts import GitDirty, host_facts  # not needed before the first reading
        from wattmark.recorder.launchers.job import clock_error_s, job_of

        self.facts = host_facts(self.host, self.cwd)
        if job_of(os.environ) is not None and (error_s := clock_error_s()) is not None:
            self.facts["clock_error_s"] = error_s
        self.journal.append(journal.encode_json(journal.FACTS, self.facts))
        if "git" in self.facts:
            self.git = GitDirty(self.cwd)

    def take_git_answer(self) -> None:
        """The facts once more, with git's answer."""
        assert self.git is not None
        self.facts["git"]["dirty"] = self.git.dirty
        self.git = None
        self.journal.append(journal.encode_json(journal.FACTS, self.facts))

    def listen_to_sources(self, now: int) -> None:
        """What sources say of themselves: a GPU that fell off the bus, say."""
        for group in self.groups:
            for problem in getattr(group.source, "problems", ()):
                if problem not in self._problems_told:
                    self._problems_told.add(problem)
                    self.note(getattr(group.source, "problem_code", "source-problem"), now, problem)

    def look_at_gpu_users(self, now: int) -> None:
        """Which share of each GPU the measured processes have, written down when it changes."""
        for group in self.groups:
            processes = getattr(group.source, "processes", None)
            if processes is None:
                continue
            shares = gpu_shares(processes(), {*self.tree.pids, self.owner})
            if shares != self._gpu_users:
                self._gpu_users = shares
                self.journal.append(journal.encode_json(journal.GPU_USERS, {"t_ns": now, "shares": shares}))

    def anchor(self, now: int) -> None:
        """Write the clocks down every ten seconds, and at once when one of them has jumped."""
        clocks = (
            time.monotonic_ns(),
            time.clock_gettime_ns(time.CLOCK_BOOTTIME),
            time.clock_gettime_ns(time.CLOCK_REALTIME),
        )
        last = self._anchor
        if last is not None:
            slept = (clocks[1] - last[1]) - (clocks[0] - last[0])
            stepped = (clocks[2] - last[2]) - (clocks[1] - last[1])
            if slept > SUSPEND_NS:
                self.note(
                    "suspended",
                    clocks[0],
                    f"the machine slept for {slept / _NS:.1f} s",
                    from_ns=last[0],
                    to_ns=clocks[0],
                )
            elif abs(stepped) > STEP_NS:
                self.note("clock-step", clocks[0], f"the wall clock was moved by {stepped / _NS:+.3f} s")
            elif now - last[0] < ANCHOR_S * _NS:
                return
        self._anchor = clocks
        self.journal.append(journal.encode(journal.ANCHOR, journal.ANCHOR_BODY.pack(*clocks)))

    def finished(self, now: int) -> str:
        """Why the recorder should end now, or an empty string."""
        if lock_is_held(self.members):
            self.last_member_ns = now
            self.stop_asked = False
            return ""
        if self.stop_asked:
            return "asked"
        if self.owner_fd < 0 and not tree.is_alive(self.owner, None):
            return "owner-gone"
        return "idle" if now - self.last_member_ns > self.linger_ns else ""

    def flush(self) -> None:
        """Put what waits on disk; say once if that fails."""
        for note in self._notes:
            self.journal.append(journal.encode_json(journal.NOTE, note))
        self._notes.clear()
        trouble = self.journal.failed
        if not self.journal.flush():
            if not self._failed_ns:
                self._failed_ns = time.monotonic_ns()
        elif self._failed_ns:
            now = time.monotonic_ns()
            lost = f"{self.journal.lost} records were lost" if self.journal.lost else "nothing was lost"
            self.note(
                "disk-full",
                now,
                f"{journal.disk_trouble(trouble)} for {(now - self._failed_ns) / _NS:.1f} s: {lost}",
            )
            self._failed_ns = self.journal.lost = 0

    def note(self, code: str, t_ns: int, message: str, **data: Any) -> None:
        """Something that readers of the numbers should know; written with the next ``flush``."""
        self._notes.append({"code": code, "t_ns": t_ns, "message": message, **data})

    def publish(self, state: int) -> None:
        """Refresh the live page."""
        totals = self.choice.totals()
        latest: list[int] = []
        t_ns = 0
        for group in self.groups:
            if group.t_ns > t_ns:
                t_ns = group.t_ns
            latest += group.latest_uj
        known = [value for value in totals if value is not None]
        self.page.publish(
            state,
            t_ns,
            self.commands_done,
            sum(known) if known else None,
            totals,
            latest[: self.page.channels],
        )

    def finish(self, reason: str) -> None:
        """A last reading, and the end of the journal."""
        now = time.monotonic_ns()
        self.sample(now, everything=True)
        self.look_at_tree(now)
        self.write_cost(now)
        for group in self.groups:
            ask = getattr(group.source, "update_periods", None)
            periods: dict[str, float | None] = ask() if ask else {}
            for channel, period_s in periods.items():
                if period_s is not None:
                    message = f"the sensor renews its value every {period_s * 1e3:.0f} ms"
                    self.note("update-period", now, message, channel=channel, period_s=period_s)
        if self.git is not None:
            self.git.poll()
            self.git.close()
            self.take_git_answer()
        self.flush()
        self.flush()  # what the first one had to say
        self.journal.append(journal.encode_json(journal.END, {"t_ns": time.monotonic_ns(), "reason": reason}))
        self.journal.close()
        self.publish(ENDED)
        for group in self.groups:
            group.source.close()


def main(arguments: Sequence[str]) -> int:
    """Entry of the recorder process."""
    config = marshal.loads(bytes.fromhex(arguments[0]))  # noqa: S302 - written by the owner of this process
    detach()
    try:
        recorder = Recorder(config)
    except WattmarkError as error:
        sys.stderr.write(f"{error}" + (f" ({error.hint})" if error.hint else "") + "\n")
        return error.exit_code
    recorder.publish(STARTING)
    recorder.run()
    return 0
