#!/usr/bin/env python3
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let hosts of a lab fail as machines do: lose power, shut down, come back, come back empty, lose their zone's network.

    hosts.py demo kill m1            it falls silent at once and stays off, as with its power cut
    hosts.py demo rebuild m1         a new, empty machine under the same name and address
    hosts.py demo stop m1            an orderly shutdown
    hosts.py demo start m1           switched on again, with the data it had
    hosts.py demo stop-member m3     its etcd member stops, until somebody starts it
    hosts.py demo resolved m1        its resolv.conf is as systemd-resolved leaves it, until it boots again
    hosts.py demo isolate a 30       no frame passes between zone a and the lab's other hosts for 30 seconds

A killed process has its connections closed for it by the kernel, which tells every peer; a machine without power tells nobody. So
`kill` takes the network away first. An isolation is made on every host of both sides, of all frames the other side sends (ARP and
VRRP too); this machine reaches all of them meanwhile. It ends in the kernel by itself, also when this program is killed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import lab as lab_tool
from lab import Host, Lab, LabError

INTERFACE = "eth0"  # what podman calls a container's only network
TABLE = "multimaster_isolation"
# Written in place, since podman mounts the file. Nothing listens on 127.0.0.53: who asks it on the host is refused at once. A
# host of a lab needs a name only to install packages; the image brings what one master needs.
RESOLVED = """set -e
grep -q 'nameserver 127\\.' /etc/resolv.conf && exit
mkdir -p /run/systemd/resolve
cp /etc/resolv.conf /run/systemd/resolve/resolv.conf
printf 'nameserver 127.0.0.53\\noptions edns0 trust-ad\\nsearch .\\n' > /etc/resolv.conf
"""
STOP_TIMEOUT = 60  # seconds for an orderly shutdown, then the power is cut
DEATHS = "deaths.jsonl"  # of the lab's state: when which host lost its power, for who judges what failed then


# --- decisions: data in, data out ------------------------------------------------------------------------------------


def sides(lab: Lab, zone: str) -> tuple[tuple[Host, ...], tuple[Host, ...]]:
    """Return the hosts (of a zone, of all others), or raise LabError when one side is empty."""
    inside = tuple(host for host in lab.hosts if host.zone == zone)
    outside = tuple(host for host in lab.hosts if host.zone != zone)
    if not inside or not outside:
        zones = ", ".join(sorted({host.zone or "(none)" for host in lab.hosts}))
        raise LabError(f"Zone {zone!r} cannot be cut off from the rest of the lab {lab.name}, whose zones are {zones}.")
    return inside, outside


def isolation(addresses: list[str], seconds: float) -> str:
    """Return nft's script that drops every frame from these MAC addresses for so long; an earlier one is replaced."""
    elements = ", ".join(f"{address} timeout {round(seconds * 1000)}ms" for address in addresses)
    return (
        f"table netdev {TABLE} {{}}\n"
        f"delete table netdev {TABLE}\n"
        f"table netdev {TABLE} {{\n"
        f"  set others {{ type ether_addr; flags timeout; elements = {{ {elements} }}; }}\n"
        f"  chain arriving {{\n"
        f'    type filter hook ingress device "{INTERFACE}" priority -500; policy accept;\n'
        f"    ether saddr @others counter drop\n"
        f"  }}\n"
        f"}}\n"
    )


def dropped_frames(listing: str) -> int:
    """Return how many frames the rules of `nft -j list table` have dropped; 0 when it says nothing."""
    parts = json.loads(listing or "{}").get("nftables", [])
    expressions = [one for part in parts for one in part.get("rule", {}).get("expr", [])]
    return sum(one["counter"]["packets"] for one in expressions if "counter" in one)


def connected_processes(listing: str) -> list[int]:
    """Return the process ids that `ss -Htnp` names, sorted."""
    return sorted({int(number) for number in re.findall(r"\bpid=(\d+)", listing)})


# --- the machine -----------------------------------------------------------------------------------------------------


def inside_of(lab: Lab, host: Host, *command: str, **options) -> str:
    """Run a program in a host, past its network, and return its output."""
    return lab_tool.run("podman", "exec", "-i", lab.container(host), *command, **options)


def forget_connections(lab: Lab, host: Host, folders: tuple[str, ...]) -> None:
    """End the SSH masters of the lab's state that go to a host; a next connection is made anew.

    `ssh` holds the tests' own, `cp` those of Ansible, which a person's run would still have after a host died.
    """
    listing = lab_tool.run("ss", "-Htnp", "dst", lab.ip(host.address), "dport", "=", ":22", check=False)
    for number in connected_processes(listing):
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{number}/cmdline").read_bytes().decode(errors="replace")
            if command.startswith(tuple(f"ssh: {lab_tool.state_folder(lab.name)}/{folder}/" for folder in folders)):
                os.kill(number, signal.SIGTERM)


def kill(lab: Lab, host: Host) -> str:
    """Cut a host's power."""
    want(lab, host, "running")
    with (lab_tool.state_folder(lab.name) / DEATHS).open("a") as file:
        file.write(json.dumps({"at": time.time(), "host": host.name}) + "\n")
    inside_of(lab, host, "ip", "link", "set", INTERFACE, "down")
    lab_tool.run("podman", "kill", lab.container(host))
    lab_tool.run("podman", "wait", lab.container(host))
    forget_connections(lab, host, ("ssh",))
    return "has lost its power and stays off"


def deaths(name: str) -> list[tuple[float, str]]:
    """Return (seconds since the epoch, host) of each host of a lab that lost its power, as long as the lab has been up."""
    path = lab_tool.state_folder(name) / DEATHS
    told = (json.loads(line) for line in path.read_text().splitlines()) if path.exists() else ()
    return [(one["at"], one["host"]) for one in told]


def stop(lab: Lab, host: Host) -> str:
    """Shut a host down in order."""
    want(lab, host, "running")
    lab_tool.run("podman", "stop", "--time", str(STOP_TIMEOUT), lab.container(host))
    forget_connections(lab, host, ("ssh",))
    return "is shut down"


def start(lab: Lab, host: Host) -> str:
    """Switch a host on that is off."""
    state = lab_tool.state_folder(lab.name)
    existing = want(lab, host, "exited", "stopped", "created")
    lab_tool.remember_keys(state, [lab_tool.boot(lab, host, "", state, existing)])
    return "is up again"


def rebuild(lab: Lab, host: Host) -> str:
    """Put a new, empty machine into a host's place, whether the old one runs or not."""
    state = lab_tool.state_folder(lab.name)
    image = lab_tool.node_image(host.release)
    lab_tool.remove_hosts(lab, (host,))
    forget_connections(lab, host, ("ssh", "cp"))
    lab_tool.remember_keys(state, [lab_tool.boot(lab, host, image, state, "")])
    return "is a new, empty machine"


def resolved(lab: Lab, host: Host) -> str:
    """Leave resolv.conf as systemd-resolved does: its own address there, the servers that it asks in a file of its own."""
    want(lab, host, "running")
    inside_of(lab, host, "sh", "-c", RESOLVED)
    return "asks itself for names, as with systemd-resolved"


def needs_its_member(command: str, address: int) -> bool:
    """Tell whether an API server, by its command line, uses the etcd member of its own host, whose address ends so."""
    urls = re.search(r"--etcd-servers=(\S+)", command)
    return urls is None or any(url.rpartition(":")[0].endswith(f".{address}") for url in urls[1].split(","))


def stop_member(lab: Lab, host: Host) -> str:
    """Stop the etcd member of a host, which goes on else, until somebody starts it; never one that its API server needs.

    Before a removal leaves one voter, the API servers use that one. Which it will be is the plan's: of several hosts that are
    named the others' are stopped, or the API would go, which is another drill.
    """
    want(lab, host, "running")
    command = inside_of(lab, host, "pgrep", "-fa", "^/opt/multimaster/kubernetes/[^ ]*/kube-apiserver ")
    if needs_its_member(command, host.address):
        return "keeps its etcd member, which its API server uses"
    inside_of(lab, host, "systemctl", "stop", "etcd")
    return "has its etcd member stopped"


def want(lab: Lab, host: Host, *states: str) -> str:
    """Return podman's state of a host, or raise LabError when it is none of these."""
    found = lab_tool.containers(lab).get(host.name, "absent")
    if found not in states:
        raise LabError(f"{host.name} of the lab {lab.name} is {found}; wanted: {' or '.join(states)}.")
    return found


def each(hosts: list[Host], work) -> dict[Host, str]:
    """Return {host: work(host)}, done on all hosts at once."""
    with ThreadPoolExecutor(max_workers=max(1, len(hosts))) as pool:
        return dict(zip(hosts, pool.map(work, hosts), strict=True))


@dataclass(frozen=True)
class Cut:
    """What an isolation was: what it says, how many frames it dropped, and between which moments it began and ended.

    In seconds since the epoch: it was ordered, all hosts had it, the first of them ends it, none had it any more.
    """

    said: str
    dropped: int
    since: float
    made: float
    until: float
    mended: float


def isolate(lab: Lab, zone: str, seconds: float) -> Cut:
    """Cut a zone off for so long, and say how many frames were dropped."""
    running = {name for name, state in lab_tool.containers(lab).items() if state == "running"}
    inside, outside = ([host for host in side if host.name in running] for side in sides(lab, zone))
    hosts = [*inside, *outside]
    macs = each(hosts, lambda host: inside_of(lab, host, "cat", f"/sys/class/net/{INTERFACE}/address").strip())

    def cut(host: Host) -> str:
        others = outside if host in inside else inside
        return inside_of(lab, host, "nft", "-f", "-", input=isolation([macs[other] for other in others], seconds))

    since = time.time()
    try:
        if inside and outside:
            each(hosts, cut)
        made = time.time()
        time.sleep(seconds)
    finally:
        dropped = sum(each(hosts, lambda host: mend(lab, host)).values())
        mended = time.time()
    names = [", ".join(host.name for host in side) or "nobody" for side in (inside, outside)]
    said = f"zone {zone} ({names[0]}) was cut off from {names[1]} for {seconds:g} s: {dropped} frames dropped"
    return Cut(said, dropped, since, made, since + seconds, mended)


def mend(lab: Lab, host: Host) -> int:
    """Take an isolation's rules away and return how many frames they dropped; a host that went down has none."""
    dropped = dropped_frames(inside_of(lab, host, "nft", "-j", "list", "table", "netdev", TABLE, check=False))
    inside_of(lab, host, "nft", "delete", "table", "netdev", TABLE, check=False)
    return dropped


VERBS = {
    "kill": kill,
    "rebuild": rebuild,
    "stop": stop,
    "start": start,
    "stop-member": stop_member,
    "resolved": resolved,
}


def parse(argv: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("lab")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name, work in VERBS.items():
        verbs.add_parser(name, help=work.__doc__).add_argument("hosts", nargs="+", metavar="HOST", help="all at once")
    cut = verbs.add_parser("isolate", help=isolate.__doc__)
    cut.add_argument("zone")
    cut.add_argument("seconds", type=float)
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Do what the command line says."""
    options = parse(argv)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda which, _frame: sys.exit(128 + which))  # so that `finally` is reached
    try:
        lab_tool.require("podman", "ss")
        lab = lab_tool.read_state(options.lab)
        if lab is None:
            raise LabError(f"The lab {options.lab} is not up. Bring it up with: tests/lab/lab.py up {options.lab}")
        if options.verb == "isolate":
            print(isolate(lab, options.zone, options.seconds).said)
            return 0
        began = time.monotonic()
        hosts = [lab_tool.find_host(lab, name) for name in dict.fromkeys(options.hosts)]
        for host, said in each(hosts, lambda host: VERBS[options.verb](lab, host)).items():
            print(f"{host.name} {said} ({time.monotonic() - began:.1f} s)")
    except (LabError, subprocess.SubprocessError) as error:
        print(f"hosts: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
