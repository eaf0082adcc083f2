# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Look at what a cluster left on a host, and take it away step by step.

Solves: every step looks again and decides again (``_reset_plan.py``), so it does only what is still to be done, whoever
did the rest: an earlier run that was cut off, a program that cleaned up behind itself. Programs, signals, removal and
clock are injected; ``root`` stands before every path in tests. Leaves out the cluster's side: node object, member, endpoint.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import time
from collections.abc import Callable, Iterator

from . import _cluster_record, _command, _failure, _files, _systemd
from . import _reset_plan as plan

#: Seconds that ctr and ip (milliseconds each), umount (a lost file server) and kube-proxy's cleaning may take.
ASK, UNMOUNT, CLEAN = 20.0, 15.0, 60.0
#: Seconds killed processes have to vanish: what hangs in the kernel longer (a dead file server) needs a reboot.
VANISH = 30.0
POLL = 0.2
NAMESPACE = "k8s.io"
SHIM = "containerd-shim"
#: Times in a row that one name may be missing while its folder is walked; it cannot go so often by another's hand.
MISSING = 100


class ResetError(Exception):
    """Say which step failed, what was seen, and what to do; a next run goes on from there."""


def remove(path: str, empty: bool) -> None:
    """Remove one path and never follow a link; a folder goes with what is in it, or with ``empty`` only when nothing is."""
    last, missing = "", 0
    while os.path.lexists(path):
        try:
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                os.unlink(path)
            elif empty:
                os.rmdir(path)
            else:
                shutil.rmtree(path)
        except FileNotFoundError as error:  # it ends the walk through a folder, not what is left in it
            last, missing = error.filename, missing + 1 if error.filename == last else 1
            if missing >= MISSING:
                raise  # the folder lists what is not there: a damaged file system


class Host:
    """Give what is seen of one host, and the steps that make it bare."""

    def __init__(
        self,
        runner: _command.Runner = _command.run,
        root: str = "/",
        systemd: _systemd.Systemd | None = None,
        kill: Callable[[int, int], None] = os.kill,
        remove: Callable[[str, bool], None] = remove,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        sync: Callable[[], None] = os.sync,
    ) -> None:
        self._run, self._root, self._kill, self._remove = runner, root.rstrip("/"), kill, remove
        self._sleep, self._monotonic, self._sync = sleep, monotonic, sync
        self._systemd = systemd or _systemd.Systemd(runner, root=root)

    # Seeing

    def look(self) -> plan.Seen:
        """Return what is there; raise ResetError when something cannot be read, because unknown is not bare."""
        texts = {path: text for path in plan.table_texts() if (text := self._text(path)) is not None}
        units = [part.unit for part in plan.PARTS]
        states = self._systemd.show(units)
        return plan.Seen(
            self._record(),
            self._paths(),
            texts,
            states,
            {unit: found[0] for unit in units if (found := self._systemd.unit_files(unit))},
            self._pods(texts, states),
            tuple(_files.mount_points(self._root + "/proc/self/mounts")),
            plan.parse_binds(self._text("/proc/self/mountinfo") or ""),
            self._tables(),
            plan.uses_iptables(texts.get(plan.PROXY_CONFIG, "")) and self._chains(),
            self._links(),
        )

    def decide(self, cluster: str, keep_binaries: bool) -> plan.Plan:
        """Return what is to be done now; raise ResetError when nothing may be."""
        decided = plan.decide(self.look(), cluster, keep_binaries)
        if decided.refused:
            raise ResetError(decided.reason)
        return decided

    # Acting

    def apply(self, cluster: str, keep_binaries: bool) -> list[str]:
        """Take every step; return what could not be done cleanly but does no harm."""
        said: list[str] = []
        for step in (self._stop, self._end_pods, self._unmount, self._clean_network, self._remove_paths):
            said += step(self.decide(cluster, keep_binaries))
        return said

    def _stop(self, todo: plan.Plan) -> list[str]:
        self._down(todo.stop)
        return []

    def _down(self, verdicts) -> None:
        """Stop units and take them off the boot; what is still up then is an error."""
        names = [verdict.name for verdict in verdicts]
        if not names:
            return
        before = self._systemd.show(names)
        self._systemd.act([], verdicts, before)
        states = self._systemd.settle([_systemd.Unit(name) for name in names], verdicts, before, {})
        failed = [name for name in names if states[name].active == "failed"]
        if failed:  # systemd would list it even after its file has gone
            self._run(["systemctl", "reset-failed", *failed], ASK)

    def _end_pods(self, todo: plan.Plan) -> list[str]:
        """Kill the pods while containerd can tidy up behind them, stop it, then kill what it did not reach.

        Its unit has KillMode=process: shims and pods outlive it. What it has written about containers goes with its folder.
        """
        for name in todo.pods:
            self._ctr("tasks", "kill", "-s", "SIGKILL", name)  # one that has ended meanwhile is no failure: look again
        if todo.pods:
            self._wait(lambda: not self._tasks())
        self._down(todo.runtime)
        processes = self._shims() if plan.program(self._text(plan.RUNTIME.proof) or "", "ctr") else {}
        for pid in processes:
            with contextlib.suppress(ProcessLookupError):
                self._kill(pid, signal.SIGKILL)
        if not self._wait(lambda: not any(self._alive(pid) for pid in processes)):
            left = ", ".join(str(pid) for pid in processes if self._alive(pid))
            raise ResetError(
                f"processes of pods do not end within {VANISH:g} s of SIGKILL: {left}; something holds them in the "
                "kernel (a file server that is gone?). Next: mend that or reboot the host, and run again"
            )
        return []

    def _unmount(self, todo: plan.Plan) -> list[str]:
        said = []
        for point in todo.unmount:
            if not self._mounted(point):
                continue  # it went with another one
            result = self._run(["umount", "--", point], UNMOUNT)
            if result.rc == 0 or not self._mounted(point):  # a task of a run that was killed goes on here, and was faster
                continue
            lazy = self._run(["umount", "-l", "--", point], UNMOUNT)
            if lazy.rc != 0 and self._mounted(point):
                raise ResetError(
                    f"cannot unmount {point}: {result}; lazily neither: {lazy}. Next: see who uses it "
                    f"(`fuser -vm {point}`), end that, and run again"
                )
            said.append(f"{point}: was unmounted lazily, it ends with its last user; {result}")
        return said

    def _clean_network(self, todo: plan.Plan) -> list[str]:
        said = []
        cleaner = plan.program(self._text(plan.PROXY.proof) or "", "kube-proxy")
        if todo.rules and cleaner and os.path.isfile(self._root + cleaner):
            result = self._run([cleaner, "--cleanup"], CLEAN)
            said += [f"rules of kube-proxy: {result}; they go with the next boot"] if result.rc != 0 else []
        elif todo.rules and not todo.tables:
            said.append(f"rules of kube-proxy: its program ({cleaner or 'named nowhere'}) is missing; they go with the next boot")
        for family, name in (table for table in self._tables() if table in todo.tables):
            result = self._run(["nft", "delete", "table", family, name], ASK)
            said += [f"table {family} {name}: {result}; it goes with the next boot"] if result.rc != 0 else []
        for name in todo.links:
            result = self._run(["ip", "link", "delete", name], ASK)
            if result.rc != 0 and name in [link.name for link in self._links()]:  # a pod's end goes with the pod
                raise ResetError(
                    f"cannot delete the network interface {name}: {result}. Next: `ip link delete {name}` by hand, and run again"
                )
        return said

    def _remove_paths(self, todo: plan.Plan) -> list[str]:
        """Remove the paths in order; before the record goes, systemd forgets the units and the disk has the rest."""
        for path in todo.remove:
            if path == _cluster_record.PATH:
                result = self._run(["systemctl", "daemon-reload"], _systemd.BLOCKING)
                if result.rc != 0:
                    raise ResetError(
                        f"systemd does not read its units again: {result}. Next: mend that "
                        "(`systemctl daemon-reload` on this host), and run again"
                    )
                self._sync()
            try:
                self._remove(self._root + path, path in todo.shells)
            except OSError as error:
                raise ResetError(
                    f"cannot remove {error.filename or path} of {path}: {error.strerror}. Next: "
                    f"{_failure.remedy(error, error.filename or path)}"
                ) from error
        return []

    # Details of seeing

    def _mounted(self, point: str) -> bool:
        return point in _files.mount_points(self._root + "/proc/self/mounts")

    def _text(self, path: str) -> str | None:
        with contextlib.suppress(OSError), open(self._root + path, encoding="utf-8", errors="replace") as handle:
            return handle.read()
        return None

    def _record(self) -> str | None:
        if not os.path.lexists(self._root + _cluster_record.PATH):
            return None
        try:
            with open(self._root + _cluster_record.PATH, encoding="utf-8") as handle:
                return _cluster_record.cluster_name(handle.read())
        except (OSError, ValueError) as error:
            raise ResetError(
                f"nothing was changed: cannot tell from {_cluster_record.PATH} which cluster this host belongs "
                f'to: {error}. Next: mend it, {{"name": "<cluster>"}}, and run again'
            ) from error

    def _paths(self) -> dict[str, plan.Found]:
        """Return what stands at every path of the table, in /etc/kubernetes, and the links and namespaces of ours."""
        commands, spaces = (
            [f"{folder}/{name}" for name in self._names(folder)] for folder in (plan.COMMANDS, os.path.dirname(plan.NETNS))
        )
        paths = plan.table_paths() + [f"{plan.HOME}/{name}" for name in self._names(plan.HOME)]
        paths += [path for path in spaces if path.startswith(plan.NETNS)]
        found = {path: what for path in dict.fromkeys(paths) if (what := self._found(path))}
        for path in commands:
            what = self._found(path)
            if what and plan.points_into_programs(what):
                found[path] = what
        return found

    def _found(self, path: str) -> plan.Found | None:
        try:
            mode = os.lstat(self._root + path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise ResetError(f"cannot look at {path}: {error.strerror}. Next: {_failure.remedy(error, path)}") from error
        above = [path[:end] for end in range(1, len(path)) if path[end] == "/"]
        through = next((folder for folder in above if os.path.islink(self._root + folder)), "")
        if stat.S_ISLNK(mode):
            return plan.Found("link", os.readlink(self._root + path), through=through)
        if stat.S_ISDIR(mode):
            return plan.Found("directory", names=tuple(self._names(path)), through=through)
        return plan.Found("file" if stat.S_ISREG(mode) else "other", through=through)

    def _names(self, folder: str) -> list[str]:
        try:
            return sorted(os.listdir(self._root + folder))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise ResetError(f"cannot list {folder}: {error.strerror}. Next: {_failure.remedy(error, folder)}") from error

    def _pods(self, texts, states) -> tuple[str, ...]:
        """Return the tasks of pods, as containerd tells, or when it does not run as the shims' own arguments do."""
        if not plan.program(texts.get(plan.RUNTIME.proof, ""), "ctr"):
            return ()
        tasks = self._tasks() if states[plan.RUNTIME.unit].up else []
        return tuple(dict.fromkeys([*tasks, *(name for name in self._shims().values() if name)]))

    def _tasks(self) -> list[str]:
        result = self._ctr("tasks", "ls", "-q")
        return result.out.split() if result.rc == 0 else []  # what ctr cannot tell, the shims do

    def _ctr(self, *arguments: str) -> _command.Result:
        ctr = plan.program(self._text(plan.RUNTIME.proof) or "", "ctr")
        return self._run([ctr, "-n", NAMESPACE, *arguments], ASK)

    def _shims(self) -> dict[int, str]:
        """Return {pid: its pod's task} of our shims, and the processes below them with an empty name, those first."""
        parents, shims = {}, {}
        for entry in self._names("/proc"):
            if entry.isdigit():
                parents[int(entry)] = self._parent(int(entry))
                with contextlib.suppress(OSError):  # the process may have ended
                    program, space, own = (
                        os.readlink(f"{self._root}/proc/{path}") for path in (f"{entry}/exe", f"{entry}/ns/pid", "self/ns/pid")
                    )  # not the shims of a node in a container here
                    if space == own and program.startswith(plan.PROGRAMS + "/") and SHIM in os.path.basename(program):
                        words = (self._text(f"/proc/{entry}/cmdline") or "").split("\0")
                        shims[int(entry)] = words[words.index("-id") + 1] if "-id" in words[:-1] else ""
        below = {pid: "" for pid in parents if pid not in shims and any(pid_ in shims for pid_ in _ancestors(pid, parents))}
        return {**below, **shims}

    def _parent(self, pid: int) -> int:
        fields = (self._text(f"/proc/{pid}/stat") or "").rpartition(")")[2].split()  # proc(5): state, parent, …
        return int(fields[1]) if len(fields) > 1 else 0

    def _alive(self, pid: int) -> bool:
        """Return whether a process runs; one that has ended but was not waited for (Z) does not."""
        fields = (self._text(f"/proc/{pid}/stat") or "").rpartition(")")[2].split()
        return bool(fields) and fields[0] not in "ZX"

    def _tables(self) -> tuple[tuple[str, str], ...]:
        result = self._run(["nft", "-j", "list", "tables"], ASK)
        return plan.parse_tables(result.out) if result.rc == 0 else ()  # without nft there are none of ours

    def _chains(self) -> bool:
        return f":{plan.PROXY_CHAIN} " in self._run(["iptables-save", "-t", "nat"], ASK).out

    def _links(self) -> tuple[plan.Link, ...]:
        result = self._run(["ip", "-j", "link", "show"], ASK)
        if result.rc != 0:
            raise ResetError(
                f"cannot list the network interfaces: {result}. Next: mend that (`ip link show` on this host), and run again"
            )
        return plan.parse_links(result.out)

    def _wait(self, done: Callable[[], bool]) -> bool:
        """Wait until something is true, for a bounded time; return whether it became so."""
        end = self._monotonic() + VANISH
        while not done():
            if self._monotonic() >= end:
                return False
            self._sleep(POLL)
        return True


def _ancestors(pid: int, parents: dict[int, int]) -> Iterator[int]:
    """Yield a process's parent, its parent's and so on."""
    seen = set()
    while pid in parents and pid not in seen:
        seen.add(pid)
        pid = parents[pid]
        yield pid
