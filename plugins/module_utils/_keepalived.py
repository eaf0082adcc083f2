# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Ask keepalived which VRRP state it is in, and read whom its configuration names.

Solves: "settled" must be known from keepalived itself; an address on an interface does not tell backup from fault. The
state comes from the JSON that keepalived writes on a signal, into a folder only root can write (its unit's TMPDIR).
Leaves out starting and stopping, which is systemd's.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from dataclasses import asdict, dataclass

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _command

#: keepalived puts the file into $TMPDIR; the unit's drop-in of role api_endpoint sets it.
STATE_FILE = "/run/keepalived/keepalived.json"
#: What role api_endpoint writes, and the one instance in it; a line of it may end with a comment after # or !.
CONFIGURATION = "/etc/keepalived/keepalived.conf"
INSTANCE = "endpoint"
COMMENT = re.compile(r"[#!].*")
SOURCE = re.compile(r"\bunicast_src_ip\s+(\S+)")
PEERS = re.compile(r"\bunicast_peer\s*\{([^}]*)\}")
#: keepalived, vrrp.h: VRRP_STATE_INIT, _BACK, _MAST, _FAULT; every other number is on its way between them.
STATES = {0: "init", 1: "backup", 2: "holder", 3: "fault"}
SETTLED = ("backup", "holder")
#: Seconds keepalived takes to write the file (tried: 20 ms), the most we wait, and the pause between two looks.
ANSWER_SECONDS, PAUSE = 2.0, 0.02


class KeepalivedError(Exception):
    """Tell why keepalived's state is not known."""

    next_step = "`systemctl status keepalived` and `journalctl -u keepalived -n 50` on this host say why; then run again"


@dataclass(frozen=True)
class Vrrp:
    """Hold keepalived's view of one VRRP instance; priority and vrid are 0 when it does not run."""

    state: str
    vrid: int = 0
    priority: int = 0
    since: float = 0.0

    @property
    def settled(self) -> bool:
        """Return whether the instance takes part in the election and knows its place."""
        return self.state in SETTLED

    def as_dict(self):
        """Return plain data, for a module's result."""
        return asdict(self)


DOWN = Vrrp("down")


def parse(text, instance):
    """Return the state of a VRRP instance from keepalived's JSON; raise ValueError when it is not in there."""
    for entry in json.loads(text):
        data = entry.get("data", {})
        if data.get("iname") == instance:
            return Vrrp(
                state=STATES.get(data["state"], "init"),
                vrid=data.get("vrid", 0),
                priority=data.get("effective_priority", 0),
                since=data.get("last_transition", 0.0),
            )
    raise ValueError(f"no VRRP instance {instance} in it")


def parse_peers(text, instance):
    """Return the addresses a VRRP instance sends its adverts to, None when a configuration names no such addresses."""
    peers = PEERS.search(_block(text, instance))
    return [line.split()[0] for line in peers.group(1).splitlines() if line.strip()] if peers else None


def parse_source(text, instance):
    """Return the address a VRRP instance sends its adverts from, by which its peers know it; "" when it is not named."""
    source = SOURCE.search(_block(text, instance))
    return source.group(1) if source else ""


def _block(text, instance):
    """Return what a configuration says of a VRRP instance, without comments."""
    pattern = rf"^vrrp_instance\s+{re.escape(instance)}\s*\{{(.*?)^\}}"
    block = re.search(pattern, COMMENT.sub("", text), re.MULTILINE | re.DOTALL)
    return block.group(1) if block else ""


class Keepalived:
    """Ask the running keepalived, and read how it is configured."""

    def __init__(
        self,
        runner=_command.run,
        path=STATE_FILE,
        kill=os.kill,
        sleep=time.sleep,
        clock=time.monotonic,
        configuration=CONFIGURATION,
    ):
        self._run, self._path, self._kill, self._sleep, self._clock = runner, path, kill, sleep, clock
        self._configuration = configuration

    def peers(self, instance=INSTANCE):
        """Return the peers in the configuration file, None when there is none or it says nothing of them."""
        try:
            with open(self._configuration, encoding="utf-8", errors="replace") as handle:
                return parse_peers(handle.read(), instance)
        except OSError:
            return None

    def pid(self):
        """Return the main process's id, 0 when keepalived does not run."""
        result = self._run(["systemctl", "show", "keepalived.service", "-p", "MainPID", "--value"], 10.0)
        said = result.out.strip()
        return int(said) if result.rc == 0 and said.isdigit() else 0

    def state(self, instance=INSTANCE):
        """Return the state of a VRRP instance, DOWN when keepalived does not run; raise KeepalivedError on silence."""
        pid = self.pid()
        if not pid:
            return DOWN
        number = self._run(["keepalived", "--signum=JSON"], 10.0)
        if number.rc != 0 or not number.out.strip().isdigit():
            raise KeepalivedError(f"this keepalived cannot tell its state as JSON: {number}")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        try:
            self._kill(pid, int(number.out))
        except ProcessLookupError:
            return DOWN
        return self._answer(instance)

    def _answer(self, instance):
        """Wait for the file; a half-written one is read again."""
        end, why = self._clock() + ANSWER_SECONDS, "it wrote nothing"
        while self._clock() < end:
            self._sleep(PAUSE)
            try:
                with open(self._path, encoding="utf-8") as handle:
                    return parse(handle.read(), instance)
            except FileNotFoundError:
                continue
            except (KeyError, ValueError) as error:
                why = str(error)
        raise KeepalivedError(f"keepalived did not tell its state in {self._path} within {ANSWER_SECONDS:g} s: {why}")
