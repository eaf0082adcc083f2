# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Talk to HAProxy through its stats socket and read what it thinks of the API servers.

Solves: a balancer's own view decides whether an API server may be stopped and whether a balancer may take traffic.
Parsing is apart from asking; the socket is injected. Leaves out the configuration (role api_endpoint) and statistics
for graphs.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import signal
import socket
from dataclasses import asdict, dataclass

#: What role api_endpoint writes.
CONFIGURATION = "/etc/haproxy/haproxy.cfg"
SOCKET = "/run/haproxy/admin.sock"
BACKEND = "kube-apiserver"
#: The same servers without checks; connections go there while no check passes anywhere.
FALLBACK = "kube-apiserver-unchecked"
#: HAProxy's management guide, 9.3 "show servers state": a bit of srv_check_state.
CHECK_ENABLED = 0x04
#: check_status of a passed layer-7 check (management guide 9.1, field 36); a check under way has "* " before it.
PASSED = "L7OK"
#: Seconds for one answer.
TIMEOUT = 5.0
STATES = ("ready", "drain", "maint")


class HaproxyError(Exception):
    """Tell what HAProxy was asked, where, and what came back."""

    next_step = "`systemctl status haproxy` and `journalctl -u haproxy -n 50` on this host say why; then run again"


@dataclass(frozen=True)
class Server:
    """Hold what one HAProxy says of one API server.

    status is up, down, drain, maint, unchecked (no health check, connections go there all the same) or unknown. proven
    says that a health check has passed since the process started: a server that was never checked is 'UP' for HAProxy,
    and unknown counts as bad here.
    """

    name: str
    address: str
    status: str
    proven: bool
    checked: bool
    sessions: int
    check: str
    seconds: int

    @property
    def up(self) -> bool:
        """Return whether new connections go to the server for a good reason."""
        return self.status == "up" and self.proven

    @property
    def stands(self) -> str:
        """Return the state in one word or two."""
        return self.status if self.proven or self.status != "up" else "not checked yet"

    def as_dict(self):
        """Return plain data, for a module's result."""
        return {**asdict(self), "up": self.up}


def _integer(text):
    return int(text) if text and text.lstrip("-").isdigit() else 0


def _status(words):
    """Return the status in one word from `show stat`, which also says things like "UP 1/3" and "DOWN (agent)"."""
    if words == "no check":  # checks are disabled, connections go there all the same
        return "unchecked"
    word = words.split(" ")[0].lower()
    return word if word in ("up", "down", "drain", "maint") else "unknown"


def parse_configured(text, backend=BACKEND):
    """Return {server: address without port} of a backend in a configuration file; empty when there is no such backend."""
    section, found = [], {}
    for line in text.splitlines():
        words = line.split("#")[0].split()
        section = words if words and not line[0].isspace() else section
        if section[:2] == ["backend", backend] and words[:1] == ["server"] and len(words) > 2:
            found[words[1]] = words[2].rsplit(":", 1)[0]
    return found


def parse_states(text):
    """Return {(backend, server): row} from `show servers state`; raise ValueError on another format."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) < 2 or lines[0].strip() != "1" or not lines[1].startswith("# "):
        raise ValueError("`show servers state` is not in format 1")
    names = lines[1][2:].split()
    rows = [dict(zip(names, line.split())) for line in lines[2:] if not line.startswith("#")]
    return {(row["be_name"], row["srv_name"]): row for row in rows}


def parse_servers(stat, states, backend=BACKEND):
    """Return the servers of a backend, by name, from `show stat` (CSV) and `show servers state`.

    Raises ValueError when the answers are in no format that is known.
    """
    if not stat.startswith("# pxname,"):
        raise ValueError("`show stat` is no CSV with a header")
    flags = parse_states(states)
    servers = {}
    for row in csv.DictReader(io.StringIO(stat[2:])):
        name = row["svname"]
        if row["pxname"] != backend or name in ("FRONTEND", "BACKEND"):
            continue
        state = flags.get((backend, name), {})
        check = (row.get("check_status") or "").replace("* ", "")
        servers[name] = Server(
            name=name,
            address=row.get("addr") or "{srv_addr}:{srv_port}".format(**state) if state else row.get("addr") or "",
            status=_status(row.get("status") or ""),
            proven=check == PASSED,
            checked=bool(_integer(state.get("srv_check_state")) & CHECK_ENABLED),
            sessions=_integer(row.get("scur")),
            check=" ".join(part for part in (check, row.get("last_chk") or "") if part),
            seconds=_integer(row.get("lastchg")),
        )
    return dict(sorted(servers.items()))


def spares(servers, name):
    """Return whether another server of {name: server} takes connections when this one is drained."""
    return any(server.up for other, server in servers.items() if other != name)


def drain_steps(server, drained):
    """Return the methods of Haproxy, with arguments, that drain a server or bring it back; none when it is so already.

    The health check goes first, so that a server in drain is not marked down, which would cut its connections; it comes
    back first too, so that a server in use is never unchecked.
    """
    steps = []
    if server.checked == drained:
        steps.append(("checks", (server.name, not drained)))
    if drained != (server.status == "drain") or server.status == "maint":
        steps.append(("state", (server.name, "drain" if drained else "ready")))
    return steps


def parse_info(text):
    """Return {name: value} from `show info`."""
    return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)


def connect(path=SOCKET, timeout=TIMEOUT):
    """Open HAProxy's stats socket."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    return sock


class Haproxy:
    """Ask one HAProxy; every question is a connection of its own, as its command line wants it."""

    def __init__(self, path=SOCKET, connector=connect, backend=BACKEND, processes="/proc", kill=os.kill):
        self._path, self._connect, self._backend = path, connector, backend
        self._processes, self._kill = processes, kill

    def ask(self, command):
        """Return the answer to a command; raise HaproxyError when HAProxy cannot be reached."""
        try:
            with contextlib.closing(self._connect(self._path)) as sock:
                sock.sendall(command.encode("ascii") + b"\n")
                parts = []
                while True:
                    part = sock.recv(65536)
                    if not part:
                        return b"".join(parts).decode("utf-8", "replace")
                    parts.append(part)
        except OSError as error:
            raise HaproxyError(f"HAProxy does not answer `{command}` on {self._path}: {error}") from error

    def order(self, command):
        """Give a command that answers with silence; raise HaproxyError with any other answer."""
        said = self.ask(command).strip()
        if said:
            raise HaproxyError(f"HAProxy refused `{command}` on {self._path}: {said}")

    def servers(self, backend=""):
        """Return {name: Server} as this HAProxy sees the API servers, of another backend where one is given."""
        try:
            return parse_servers(self.ask("show stat"), self.ask("show servers state"), backend or self._backend)
        except (KeyError, ValueError) as error:
            raise HaproxyError(f"HAProxy's answer on {self._path} cannot be read: {error}") from error

    def info(self):
        """Return version, uptime in seconds, process id and limits of the running process."""
        raw = parse_info(self.ask("show info"))
        return {
            "version": raw.get("Version", ""),
            "pid": _integer(raw.get("Pid")),
            "uptime": _integer(raw.get("Uptime_sec")),
            "max_connections": _integer(raw.get("Maxconn")),
            "connections": _integer(raw.get("CurrConns")),
        }

    def checks(self, name, enabled):
        """Switch the health check of a server on or off; an open connection is then cut by no check."""
        self.order(f"{'enable' if enabled else 'disable'} health {self._backend}/{name}")

    def end_sessions(self, main=0):
        """Close every session with an API server; each client sees its connection end and opens another one.

        A worker process that a reload has replaced goes on with the sessions it has, and answers on no socket. With the id of
        the `main` process those end too.
        """
        for backend in (self._backend, FALLBACK):
            for name in self.servers(backend):
                self.order(f"shutdown sessions server {backend}/{name}")
        for pid in self._replaced(main):
            with contextlib.suppress(ProcessLookupError):
                self._kill(pid, signal.SIGTERM)

    def _replaced(self, main):
        """Return the main process's children that are not the worker which answers here."""
        current = self.info()["pid"]
        try:
            with open(f"{self._processes}/{main}/task/{main}/children", encoding="ascii") as handle:
                children = [int(pid) for pid in handle.read().split()]
        except OSError:
            return []
        return [pid for pid in children if pid != current] if current in children else []

    def state(self, name, state):
        """Put a server into ready, drain or maint."""
        if state not in STATES:
            raise ValueError(f"{state!r} is none of {', '.join(STATES)}")
        self.order(f"set server {self._backend}/{name} state {state}")
