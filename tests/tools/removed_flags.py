#!/usr/bin/env python3
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the flags and feature gates of two releases and print the tables of plugins/module_utils/_removed_flags.py.

Usage: removed_flags.py OLD NEW    (folders with the programs of one release each: kube-apiserver, …, or etcd)

The programs tell it themselves. Flags: ``--help``, and for flags that it hides (HIDDEN) whether they are accepted. Feature
gates: ``--help`` shows alpha and beta only, so kube-scheduler, started for a moment without an API, tells all it knows by
its metrics; then kube-apiserver (or etcd), given each gate, says which it does not know and which it has locked. Nothing is
changed on this machine; one port of 127.0.0.1 is used for some seconds.
"""

from __future__ import annotations

import json
import pathlib
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import textwrap
import time
import urllib.error
import urllib.request

KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
# Deprecated flags that --help leaves out: MarkDeprecated in the sources of Kubernetes 1.36.3.
HIDDEN = {
    "kube-apiserver": (
        "admission-control",
        "apiserver-count",
        "audit-webhook-batch-initial-backoff",
        "default-watch-cache-size",
        "enable-logs-handler",
        "kubelet-port",
        "kubelet-read-only-port",
    ),
    "kube-controller-manager": ("allow-untagged-cloud", "node-sync-period"),
    "kubelet": (
        "experimental-allocatable-ignore-eviction",
        "experimental-mounter-path",
        "maximum-dead-containers",
        "maximum-dead-containers-per-container",
        "minimum-container-ttl-duration",
    ),
    "kube-proxy": ("healthz-port", "metrics-port"),
}
_FLAG = re.compile(r"^ +(?:-\w, )?--([a-z0-9][a-z0-9-]*)", re.M)
_GATE = re.compile(r"\b([A-Z][A-Za-z0-9]+)=true\|false")
_METRIC = re.compile(r'^kubernetes_feature_enabled\{name="([A-Za-z0-9]+)"', re.M)
_UNKNOWN = re.compile(r"unrecognized feature gate: (\w+)")
_LOCKED = re.compile(r"cannot set feature gate (\w+) to (?:true|false),? feature is locked to (true|false)")
TABLES = ("FLAGS_GONE", "FLAGS_ADDED", "GATES_GONE", "GATES_ADDED", "GATES_LOCKED")
WIDTH = 114
# Not gates of their own, but switches for many.
GROUPS = {"AllAlpha", "AllBeta"}
SECONDS = 30


def output(program, *arguments):
    """Return what a program prints, whatever its exit code; SECONDS at most."""
    found = subprocess.run(
        [str(program), *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS, check=False
    )
    return found.stdout


def flags(program):
    """Return every flag of a program, hidden ones that it accepts too."""
    hidden = {
        name
        for name in HIDDEN.get(program.name, ())
        if f"unknown flag: --{name}" not in output(program, f"--{name}=1", "--no-such-flag")
    }
    return set(_FLAG.findall(output(program, "--help"))) | hidden


def line(program):
    """Return (major, minor) as the program tells it."""
    major, minor = re.search(r"(\d+)\.(\d+)\.\d+", output(program, "--version")).groups()
    return int(major), int(minor)


def listed_gates(text):
    """Return the feature gates that a help text lists."""
    return set(_GATE.findall(text)) - GROUPS


def metric_gates(scheduler):
    """Return all gates that kube-scheduler knows, from its metrics; it runs without an API server for a moment."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "a", "cluster": {"server": "https://127.0.0.1:1"}}],
            "users": [{"name": "a", "user": {}}],
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
            "current-context": "a",
        }
        path = pathlib.Path(folder) / "kubeconfig"
        path.write_text(json.dumps(config), encoding="utf-8")
        command = [
            str(scheduler),
            f"--kubeconfig={path}",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            f"--cert-dir={folder}",
            "--authentication-skip-lookup",
            "--authorization-always-allow-paths=/metrics",
        ]
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            return set(_METRIC.findall(_fetch(f"https://127.0.0.1:{port}/metrics"))) - GROUPS
        finally:
            running.kill()
            running.wait()


def _fetch(url):
    trusting = ssl._create_unverified_context()  # a certificate the scheduler made for itself just now
    end = time.monotonic() + SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, context=trusting, timeout=5) as answer:
                return answer.read().decode()
        except (urllib.error.URLError, OSError):
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def refused(program, gates):
    """Return (gates the program does not know, {gate: the only value it takes})."""
    unknown, locked = set(), {}
    for value in ("true", "false"):
        asked = set(gates)
        while asked:
            # A version or an error ends it before it does anything; the flag that nothing has ends etcd, which tells its
            # version before it looks at gates. One error may hide another, so those found are left out and it is asked again.
            last = "--no-such-flag" if program.name == "etcd" else "--version"
            said = output(program, "--feature-gates=" + ",".join(f"{gate}={value}" for gate in sorted(asked)), last)
            missing, fixed = set(_UNKNOWN.findall(said)), dict(_LOCKED.findall(said))
            unknown |= missing
            locked.update({gate: only == "true" for gate, only in fixed.items()})
            if not asked & (missing | set(fixed)):
                break
            asked -= missing | set(fixed)
    return unknown, locked


def known_gates(folder, programs):
    """Return the gates that the programs of one release know."""
    found = set().union(*(listed_gates(output(folder / program, "--help")) for program in programs))
    return found | (metric_gates(folder / "kube-scheduler") if "kube-scheduler" in programs else set())


def compare(old, new):
    """Yield (table, key, (major, minor), what to put there) for the programs that both folders hold."""
    for family, programs in (("kubernetes", KUBERNETES), ("etcd", ("etcd",))):
        there = [name for name in programs if (old / name).exists() and (new / name).exists()]
        for name in there:
            before, after = flags(old / name), flags(new / name)
            yield "FLAGS_GONE", name, line(new / name), tuple(sorted(before - after))
            yield "FLAGS_ADDED", name, line(new / name), tuple(sorted(after - before))
        if there:
            judge = "etcd" if family == "etcd" else "kube-apiserver"
            before, after = known_gates(old, there), known_gates(new, there)
            gone, locked = refused(new / judge, before)
            missing, locked_before = refused(old / judge, after)
            yield "GATES_GONE", family, line(new / judge), tuple(sorted(gone))
            yield "GATES_ADDED", family, line(new / judge), tuple(sorted(missing))
            yield "GATES_LOCKED", family, line(new / judge), {k: v for k, v in sorted(locked.items()) if k not in locked_before}


def row(key, minor, names):
    """Return one row of a table as lines of Python."""
    opening, closing = "{}" if isinstance(names, dict) else "()"
    items = [f'"{name}": {names[name]},' if isinstance(names, dict) else f'"{name}",' for name in names]
    wrapped = textwrap.wrap(" ".join(item.replace(": ", ":\0") for item in items), WIDTH, break_on_hyphens=False)
    lines = [" " * 12 + text.replace("\0", " ") for text in wrapped]
    return [f'    "{key}": {{', f"        {minor}: {opening}", *lines, f"        {closing},", "    },"]


def main(arguments):
    """Print the tables."""
    if len(arguments) != 2:
        sys.exit(__doc__.split("\n\n")[1])
    found = list(compare(*map(pathlib.Path, arguments)))
    for table in TABLES:
        rows = [line for name, *rest in found if name == table and rest[-1] for line in row(*rest)]
        print("\n".join([f"{table} = {{", *rows, "}"]))


if __name__ == "__main__":
    main(sys.argv[1:])
