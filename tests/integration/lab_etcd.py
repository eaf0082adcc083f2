# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real etcd members on loopback with mutual TLS, each with its own folder, for the integration tests.

A member is started the way the collection's unit does it: the ``--initial-cluster*`` settings come from the environment
(the one-shot drop-in), everything else is a flag, and a member without a WAL refuses to start without that drop-in.
"""

from __future__ import annotations

import base64
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tarfile
import time
from pathlib import Path

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _command, _etcd, _https
from lab_pki import Authority

ARCHIVE = "github.com/etcd-io/etcd/releases/download/v3.6.16/etcd-v3.6.16-linux-*.tar.gz"
NEWER_ARCHIVE = "github.com/etcd-io/etcd/releases/download/v3.7.3/etcd-v3.7.3-linux-*.tar.gz"


def artifacts():
    """Return the folder components/build.py fills."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "multimaster-kubernetes" / "artifacts"


def find_program(variable, name, pattern, unpack, any_version=True):
    """Return the path of a real binary or None: named by an environment variable, on PATH, or in the artifact cache.

    `pattern` finds the binary in the cache, or the archive it is taken out of into the folder `unpack`. PATH, where who knows
    which one lies, is left out unless `any_version` does.
    """
    given = os.environ.get(variable) or (shutil.which(name) if any_version else None)
    if given:
        return given if os.access(given, os.X_OK) else None
    for found in sorted(artifacts().glob(pattern)):
        if not found.name.endswith(".tar.gz"):
            return str(found)
        with tarfile.open(found) as archive:
            member = next(one for one in archive.getmembers() if one.name.endswith("/" + name))
            target = Path(unpack) / name
            target.write_bytes(archive.extractfile(member).read())
            target.chmod(0o755)
        return str(target)
    return None


# in etcd's gateway: as the first key and as the end of a range, all keys there are
EVERY_KEY = base64.b64encode(b"\0").decode()

# below Linux's range for outgoing connections (32768 and up), which would take a port between our look and our use
_PORTS = iter(random.sample(range(20000, 30000), 5000))


def free_ports(count):
    """Return loopback ports nobody listens on now; none is given twice."""
    found = []
    while len(found) < count:
        port = next(_PORTS)
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            found.append(port)
    return found


class Member:
    """One etcd process and its folder."""

    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        client, peer = free_ports(2)
        self.client_url = f"https://127.0.0.1:{client}"
        self.peer_url = f"https://127.0.0.1:{peer}"
        self.data_dir = lab.folder / name
        self.drop_in = lab.folder / (name + ".service.d") / "10-first-start.conf"
        self.record = lab.folder / (name + ".bootstrap.json")
        self.process = None

    def _drop_in_settings(self):
        settings, asserted = {}, True
        if self.drop_in.exists():
            for line in self.drop_in.read_text().splitlines():
                if line == "AssertPathExists=":
                    asserted = False
                if line.startswith("Environment="):
                    key, value = line[len("Environment=") :].strip('"').split("=", 1)
                    settings[key] = value
        return settings, asserted

    def start(self):
        """Start the process as the unit would; return False when the unit's assertion refuses."""
        if self.running():
            return True
        settings, asserted = self._drop_in_settings()
        if asserted and not (self.data_dir / "member" / "wal").is_dir():
            return False
        self.data_dir.mkdir(mode=0o700, exist_ok=True)
        lab = self.lab
        argv = [
            lab.binary, "--name", self.name, "--data-dir", str(self.data_dir),
            "--listen-client-urls", self.client_url, "--advertise-client-urls", self.client_url,
            "--listen-peer-urls", self.peer_url, "--initial-advertise-peer-urls", self.peer_url,
            "--cert-file", lab.server[0], "--key-file", lab.server[1],
            "--client-cert-auth=true", "--trusted-ca-file", lab.client_ca.cert,
            "--peer-cert-file", lab.peer[0], "--peer-key-file", lab.peer[1],
            "--peer-client-cert-auth=true", "--peer-trusted-ca-file", lab.peer_ca.cert,
            "--max-learners=2", "--strict-reconfig-check=true", "--log-level=warn", *lab.extra,
        ]  # fmt: skip  # an option beside its value
        with open(self.data_dir.parent / (self.name + ".log"), "ab") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, env={"PATH": os.environ["PATH"], **settings})
        return True

    def running(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, how=signal.SIGTERM):
        if self.running():
            self.process.send_signal(how)
            self.process.wait(20)

    def kill(self):
        self.stop(signal.SIGKILL)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)


class EtcdLab:
    """A folder with CAs and members; ``close`` ends every process it started."""

    def __init__(self, binary, folder, extra=()):
        self.binary, self.folder, self.extra = binary, Path(folder), tuple(extra)
        self.client_ca = Authority(self.folder / "pki", "client-ca")
        self.peer_ca = Authority(self.folder / "pki", "peer-ca")
        self.server = self.client_ca.issue("server", "etcd")
        self.peer = self.peer_ca.issue("peer", "etcd")
        self.operator = self.client_ca.issue("operator-client", "operator")
        self.members = {}

    def member(self, name):
        if name not in self.members:
            self.members[name] = Member(self, name)
        return self.members[name]

    def bootstrap(self, *names, token="lab"):
        """Start a new cluster of these members and return when each serves a linearizable read."""
        members = [self.member(name) for name in names]
        cluster = ",".join(f"{one.name}={one.peer_url}" for one in members)
        for one in members:
            one.drop_in.parent.mkdir(exist_ok=True)
            one.drop_in.write_text(
                "[Unit]\nAssertPathExists=\n[Service]\n"
                + "".join(
                    'Environment="{}={}"\n'.format(*pair)
                    for pair in (
                        ("ETCD_INITIAL_CLUSTER", cluster),
                        ("ETCD_INITIAL_CLUSTER_STATE", "new"),
                        ("ETCD_INITIAL_CLUSTER_TOKEN", token),
                    )
                )
            )
            one.start()
        return members

    def params(self, *names):
        """Return the connection parameters of a module."""
        cert, key = self.operator
        urls = [self.member(name).client_url for name in names]
        return {"endpoints": urls, "ca": self.client_ca.cert, "client_cert": cert, "client_key": key}

    def serve(self, *names):
        """Wait until each of these serves a linearizable read."""
        opener = _https.https_opener(self.client_ca.cert, *self.operator)
        urls = [self.member(name).client_url for name in names]
        wait_for(lambda: all(_etcd.look(url, opener).healthy for url in urls), 60, f"{', '.join(names)} to serve")

    def put(self, key, value):
        """Write one key through the first member."""
        coded = {name: base64.b64encode(text.encode()).decode() for name, text in (("key", key), ("value", value))}
        first = next(iter(self.members.values()))
        _etcd.Etcd(first.client_url, _https.https_opener(self.client_ca.cert, *self.operator))._call("/v3/kv/put", coded)

    def picture(self):
        """Return all that the cluster keeps, as plain data to compare: keys by their revisions, members, alarms, processes."""
        running = [one for one in self.members.values() if one.running()]
        client = _etcd.Etcd(running[0].client_url, _https.https_opener(self.client_ca.cert, *self.operator))
        told = client._call("/v3/kv/range", {"key": EVERY_KEY, "range_end": EVERY_KEY, "keys_only": True})
        return {
            "keys": {base64.b64decode(one["key"]).decode(): one["mod_revision"] for one in told.get("kvs", ())},
            "members": client.member_list(),
            "alarms": client.status().alarms,
            "processes": {one.name: one.process.pid for one in running},
        }

    def close(self):
        for one in self.members.values():
            if one.running():
                one.resume()
                one.kill()


def wait_for(condition, seconds=20, what="condition"):
    """Poll until condition() is true; return its value or fail the test."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"timed out after {seconds} s waiting for {what}")
        time.sleep(0.05)


class Systemctl:
    """Answer as systemctl would for one member's unit; give it to the code under test as its runner."""

    def __init__(self, member):
        self.member, self.asked = member, []

    def __call__(self, argv, timeout):
        self.asked.append(argv[1])
        if argv[1] == "show":
            return _command.Result(argv, 0, self._state())
        if argv[1] == "start" and not self.member.start():
            return _command.Result(argv, 0, err="Assertion failed on job for etcd.service.")
        if argv[1] == "stop":
            self.member.stop()
        return _command.Result(argv, 0)

    def _state(self):
        if self.member.running():
            return "ActiveState=active\nSubState=running\n"
        if self.member.process is not None:
            return "ActiveState=activating\nSubState=auto-restart\n"
        return "ActiveState=inactive\nSubState=dead\n"
