# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Look at one host once and say everything a run needs to know about it, as plain data.

Reads files, `ip -j` (addresses, the default route), `systemctl show`, certificates by `openssl`, and the servers of a HAProxy
that runs by its socket; connects by TCP to the peers it is given, for round-trip times; and only where a preflight asks for it,
writes and syncs a file to see how fast the disk is. Parsing is apart from reading, and the reading goes through an injected
`System` or a function that is given, so the tests are data. What cannot be read is null or empty, never an exception: judging
is preflight's work. Leaves out: etcd's protocol (_etcd) and ARP (_arp), which are imported only when asked for.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import ipaddress
import json
import math
import os
import platform
import re
import shutil
import socket
import ssl
import subprocess
import time

from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _cluster_record,
    _haproxy,
    _keepalived,
    _membership,
    _node_disks,
    _ports,
    _resolver,
)

UNITS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "containerd",
    "flanneld",
    "csr-approver",
    "haproxy",
    "keepalived",
    "multimaster-endpoint",
)
COMMANDS = ("openssl", "ip", "systemctl", "nft", "iptables", "conntrack", "tar", "mount", "haproxy", "keepalived")
#: Users of services; one that only a directory service knows counts as missing, and creating it then changes nothing.
USERS = ("etcd",)
DISKS = ("/var/lib", "/opt")
# When to ask by ARP who holds the endpoint address, which takes half a second; bare: when the host has no certificates.
NEVER, BARE, ALWAYS = PROBES = ("never", "bare", "always")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
CAS = {
    "kubernetes": ("/etc/kubernetes/pki/ca.crt",),
    "front_proxy": ("/etc/kubernetes/pki/front-proxy-ca.crt",),
    "etcd_client": ("/etc/kubernetes/pki/etcd-client-ca.crt", "/etc/etcd/pki/client-ca.crt"),
    "etcd_peer": ("/etc/etcd/pki/peer-ca.crt",),
}
CERTIFICATE_FOLDERS = ("/etc/kubernetes/pki", "/etc/etcd/pki")
ETCD_WAL = "/var/lib/etcd/" + _membership.WAL
ETCD_CLIENT = {
    "ca": "/etc/etcd/pki/client-ca.crt",
    "cert": "/etc/etcd/pki/operator-client.crt",
    "key": "/etc/etcd/pki/operator-client.key",
}
# What a member shows, and what it is asked with: once they have expired nobody can ask it.
ETCD_CERTIFICATES = (ETCD_CLIENT["cert"], "/etc/etcd/pki/peer.crt", "/etc/etcd/pki/server.crt")
ETCD_UNIT = "/etc/systemd/system/etcd.service"
# A member whose unit runs, or comes up, is silent for a moment while systemd restarts it (RestartSec of 1 s) or a leader is
# elected (some election timeouts of 1 s). So it is looked at three times, the last time 4 s after the first.
ETCD_LOOKS = 3
ETCD_PAUSE = 2.0
# Seconds after the first look within which another one begins: a look at a member that hangs takes as long by itself.
ETCD_PATIENCE = 5.0
KUBELET_CERTIFICATE = "/var/lib/kubelet/pki/kubelet-client-current.pem"
KUBELET_KUBECONFIG = "/etc/kubernetes/kubelet.conf"
# The user that a kubelet's certificate is for, as any release of openssl prints it, and the name in the unit of an etcd member.
NODE_USER = re.compile(r"CN ?= ?system:node:([^\s,/]+)")
MEMBER_NAME = re.compile(r"\s\"?--name=\"?([^\s\"]+)")
PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
# Binaries lie in /opt/multimaster/<component>/<version>/, so a process's executable tells its version.
VERSIONED = re.compile(r"^/opt/multimaster/[^/]+/v?([0-9][^/]*)/")
STARTED = re.compile(r"^ExecStart=/opt/multimaster/[^/]+/v?([0-9][^/]*)/", re.MULTILINE)
# State LISTEN in /proc/net/tcp (include/net/tcp_states.h).
LISTEN = "0A"
CONNECT_TRIES = 3
CONNECT_TIMEOUT = 1.0
COMMAND_TIMEOUT = 10.0
# etcd's own disk advice: the size of a WAL write, and 99 % of them under 10 ms (etcd.io docs, FAQ "disk latency").
WAL_WRITE_BYTES = 2300
WAL_WRITES = 100
WAL_SECONDS = 2.0


class System:
    """Reach the real host; the tests put a picture of a host in its place."""

    def read(self, path):
        """Return a file's text, or None when it cannot be read."""
        try:
            with open(path, encoding="utf-8", errors="replace") as stream:
                return stream.read()
        except OSError:
            return None

    def exists(self, path):
        """Tell whether the path is there."""
        return os.path.exists(path)

    def names(self, path):
        """Return the names in a folder, sorted; none when it cannot be read."""
        try:
            return sorted(os.listdir(path))
        except OSError:
            return []

    def link(self, path):
        """Return a symbolic link's target, or None."""
        try:
            return os.readlink(path)
        except OSError:
            return None

    def run(self, argv):
        """Run a program and return (rc, stdout); rc 127 when it is not there, 124 when it takes too long."""
        environment = dict(os.environ, LC_ALL="C", PATH=self._path())
        try:
            done = subprocess.run(
                argv,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                timeout=COMMAND_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return 124, ""
        except OSError:
            return 127, ""
        return done.returncode, done.stdout.decode("utf-8", "replace")

    def which(self, name):
        """Return the path of a program, or None; looks into the sbin folders too."""
        return shutil.which(name, path=self._path())

    def free_mib(self, path):
        """Return the MiB free for others than root under the nearest existing folder of path."""
        return shutil.disk_usage(self._nearest(path)).free // (1024 * 1024)

    def free_percent(self, path):
        """Return the percentage free for others than root, as a kubelet counts, where path is or will be; None: not known."""
        try:
            found = os.statvfs(self._nearest(path))
        except OSError:
            return None
        return round(100.0 * found.f_bavail / found.f_blocks, 2) if found.f_blocks else None

    def connect_ms(self, address, port):
        """Return the milliseconds one TCP connect takes, or None when it fails."""
        begin = time.monotonic()
        try:
            socket.create_connection((address, port), timeout=CONNECT_TIMEOUT).close()
        except OSError:
            return None
        return (time.monotonic() - begin) * 1000.0

    def clock(self):
        """Return seconds since the epoch."""
        return time.time()

    def monotonic(self):
        """Return seconds of a clock that nobody sets."""
        return time.monotonic()

    def sleep(self, seconds):
        """Wait so many seconds."""
        time.sleep(seconds)

    def facts(self):
        """Return (hostname, machine type, kernel release, Python version, CPUs)."""
        name = os.uname()
        return name.nodename, name.machine, name.release, platform.python_version(), os.cpu_count() or 1

    @staticmethod
    def _nearest(path):
        """Return the nearest existing folder of a path."""
        while not os.path.isdir(path):
            path = os.path.dirname(path)
        return path

    @staticmethod
    def _path():
        return os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"])


def observe(
    system,
    endpoint_address=None,
    peers=None,
    peer_port=22,
    probe_arp=NEVER,
    disk_latency=False,
    ports=_ports.NUMBERS,
    etcd_status=None,
    arp_probe=None,
    drained=None,
):
    """Return the observation `multimaster_host` of one host.

    `peers` maps names to addresses for the round-trip times; `probe_arp` says when to ask who holds the endpoint address;
    `etcd_status` (of certificate files and listeners), `arp_probe` (of interface and address) and `drained` (of nothing) default
    to the real ones.
    """
    network = _network(system, endpoint_address)
    units = parse_units(system.run(units_command(UNITS))[1], UNITS)
    listeners = listening(system, ports)
    certificates = any(name.endswith((".crt", ".key")) for path in CERTIFICATE_FOLDERS for name in system.names(path))
    asks = endpoint_address and (probe_arp == ALWAYS or (probe_arp == BARE and not certificates))
    machine, read_at = _machine(system), system.monotonic()
    seen = {
        **machine,
        **network,
        "listening": listeners,
        "etcd": _etcd(system, units["etcd"][0], listeners, ports, etcd_status or read_etcd_status),
        "certificates": certificates,
        "ca_fingerprints": {name: _fingerprints(system, paths) for name, paths in CAS.items()},
        "units": {name: state for name, (state, _pid) in units.items()},
        "versions": running_versions(system, units),
        "unit_versions": unit_versions(system, units),
        "api_server": api_server(system, units["kube-apiserver"][1]),
        "kubelet_credentials": _kubelet_credentials(system),
        "node_name": node_name(system),
        "arp": _arp(network["addresses"], endpoint_address, arp_probe) if asks else None,
        "endpoint_files": endpoint_files(system),
        "drained": (drained or read_drained)() if units["haproxy"][0] == "active" else [],
        "rtt_ms": round_trips(system, peers or {}, peer_port),
        "disk_fdatasync_p99_ms": fdatasync_p99_ms(_existing("/var/lib/etcd", "/var/lib")) if disk_latency else None,
        "cluster": _json(system.read(_cluster_record.PATH)),
    }
    return {**seen, "after_clock": system.monotonic() - read_at}


def _machine(system):
    """Return the part of the observation that says what the host itself is."""
    hostname, machine, kernel, python, cpus = system.facts()
    return {
        "hostname": hostname,
        "machine_id": (system.read("/etc/machine-id") or "").strip(),
        "os": parse_os_release(system.read("/etc/os-release") or ""),
        "architecture": ARCHITECTURES.get(machine, machine),
        "kernel": kernel,
        "python": python,
        "cpus": cpus,
        "memory_mib": parse_memory_mib(system.read("/proc/meminfo") or ""),
        "disk_free_mib": {path: system.free_mib(path) for path in DISKS},
        "disk_free_percent": {path: system.free_percent(path) for path in _node_disks.LIMITS},
        "clock": system.clock(),
        "swap": len((system.read("/proc/swaps") or "").strip().splitlines()) > 1,
        "resolver": _resolver.chosen(system.read(_resolver.USUAL), system.read(_resolver.RESOLVED)),
        "cgroup": 2 if system.exists("/sys/fs/cgroup/cgroup.controllers") else 1,
        "commands": {name: system.which(name) is not None for name in COMMANDS},
        "users": [name for name in USERS if f"\n{name}:" in "\n" + (system.read("/etc/passwd") or "")],
    }


def _network(system, endpoint_address):
    """Return the part of the observation that says which addresses the host has."""
    links = _json(system.run(["ip", "-j", "addr"])[1]) or []
    addresses = parse_addresses(links)
    own = [item for item in addresses if item["address"] != endpoint_address]
    interface, address = default_route(system.run(["ip", "-j", "route", "show", "default"])[1], own)
    return {
        "addresses": addresses,
        "macs": parse_macs(links),
        "default_interface": interface,
        "default_address": address,
        "endpoint_address": {"held_on": holders(addresses, endpoint_address)},
    }


def _etcd(system, unit, listeners, ports, ask):
    """Return the part of the observation about the host's own etcd member, which is asked when there may be one."""
    data = _membership.has_data(system.names(ETCD_WAL))
    status = _patiently(system, unit, listeners, ports, ask) if data or unit == "active" else None
    return {
        "data": data,
        "record": _json(system.read(_membership.RECORD)),
        "first_start": system.exists(_membership.FIRST_START),
        "unit": unit,
        "status": status,
        # Of a member that could be asked nobody needs to know.
        "stale": [path for path in ETCD_CERTIFICATES if not _valid(system, path)] if status and not status["asked"] else [],
    }


def _patiently(system, unit, listeners, ports, ask):
    """Return what the host's own member says of itself; while its unit may run, one that is silent is looked at again.

    Whoever reads it may take silence for death then. Where it cannot be asked, another look tells nothing new.
    """
    begin, status = system.monotonic(), ask(ETCD_CLIENT, listeners)
    for _again in range(ETCD_LOOKS - 1):
        silent = not status["healthy"] and status["asked"] and unit not in _membership.NOT_RUNNING
        if not silent or system.monotonic() + ETCD_PAUSE > begin + ETCD_PATIENCE:
            break
        system.sleep(ETCD_PAUSE)
        status = ask(ETCD_CLIENT, listening(system, ports))
    return status


def parse_addresses(links):
    """Return [{interface, address, prefix}] from `ip -j addr`, without loopback and link-local addresses.

    An address of ours on `lo` (the endpoint on its way from one holder to the next) stays in.
    """
    found = []
    for link in links:
        for item in link.get("addr_info", ()):
            address = item.get("local")
            if not address:
                continue
            parsed = ipaddress.ip_address(address)
            if parsed.is_loopback or parsed.is_link_local:
                continue
            found.append({"interface": link.get("ifname", ""), "address": address, "prefix": item.get("prefixlen", 0)})
    return found


def parse_macs(links):
    """Return the MAC addresses of the Ethernet interfaces, sorted, from `ip -j addr`."""
    return sorted({link.get("address", "") for link in links if link.get("link_type") == "ether"} - {""})


def default_route(text, addresses):
    """Return (interface, address) of the default route with the lowest metric, from `ip -j route show default`."""
    routes = sorted(_json(text) or [], key=lambda route: route.get("metric", 0))
    for route in routes:
        interface = route.get("dev", "")
        own = [item["address"] for item in addresses if item["interface"] == interface and ":" not in item["address"]]
        address = route.get("prefsrc") or (own[0] if own else "")
        if interface and address:
            return interface, address
    return "", ""


def parse_units(text, names):
    """Return {unit: (active state, main process id)} from `systemctl show`; `not-found` for a unit without a file."""
    states = dict.fromkeys(names, ("not-found", 0))
    for block in text.strip().split("\n\n"):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        name = re.sub(r"\.service$", "", values.get("Id", ""))
        if name in states and values.get("LoadState") != "not-found":
            states[name] = (values.get("ActiveState", "unknown"), int(values.get("MainPID") or 0))
    return states


def units_command(names):
    """Return the one command that tells the state of all units."""
    return ["systemctl", "show", "--property=Id,LoadState,ActiveState,MainPID", *(f"{name}.service" for name in names)]


def running_versions(system, units):
    """Return {unit: version} of the running processes, from the versioned folder each was started from."""
    found = {}
    for name, (_state, pid) in units.items():
        match = VERSIONED.match(system.link(f"/proc/{pid}/exe") or "") if pid else None
        if match:
            found[name] = match.group(1)
    return found


def unit_versions(system, names):
    """Return {unit: version} that its unit file starts, whether it runs or not."""
    found = {name: STARTED.search(system.read(f"/etc/systemd/system/{name}.service") or "") for name in names}
    return {name: match.group(1) for name, match in found.items() if match}


def api_server(system, pid):
    """Return {etcd_servers: [URLs]} as the running API server has them on its command line, None when it does not run."""
    arguments = (system.read(f"/proc/{pid}/cmdline") or "").split("\0") if pid else []
    urls = [argument.split("=", 1)[1] for argument in arguments if argument.startswith("--etcd-servers=")]
    return {"etcd_servers": urls[-1].split(",") if urls else []} if any(arguments) else None


def endpoint_files(system):
    """Return the masters that this host's part in the endpoint is written for, None when it has none.

    {source: the address by which its VRRP peers know it, peers: their addresses, servers: {node name: address}}. From the files,
    since what runs with them may be down.
    """
    vrrp, balancer = system.read(_keepalived.CONFIGURATION), system.read(_haproxy.CONFIGURATION)
    if vrrp is None and balancer is None:
        return None
    return {
        "source": _keepalived.parse_source(vrrp or "", _keepalived.INSTANCE),
        "peers": _keepalived.parse_peers(vrrp or "", _keepalived.INSTANCE) or [],
        "servers": _haproxy.parse_configured(balancer or ""),
    }


def read_drained():
    """Return the names of the API servers that this host's balancer keeps out of use; none when it says nothing."""
    try:
        servers = _haproxy.Haproxy().servers()
    except _haproxy.HaproxyError:
        return []
    return [name for name, server in servers.items() if _haproxy.drain_steps(server, False)]


def parse_os_release(text):
    """Return {id, like, version_id, name} from os-release(5); `like` are the ids of the systems it descends from."""
    values = {}
    for line in text.splitlines():
        key, separator, value = line.partition("=")
        if separator:
            values[key.strip()] = value.strip().strip("\"'")
    return {
        "id": values.get("ID", ""),
        "like": values.get("ID_LIKE", "").split(),
        "version_id": values.get("VERSION_ID", ""),
        "name": values.get("PRETTY_NAME", values.get("NAME", "")),
    }


def parse_memory_mib(text):
    """Return MemTotal of /proc/meminfo in MiB, 0 when it is not there."""
    match = re.search(r"^MemTotal:\s+([0-9]+) kB", text, re.MULTILINE)
    return int(match.group(1)) // 1024 if match else 0


def parse_listeners(text, ports):
    """Return [(address, port, inode)] of the listeners on `ports` in the text of /proc/net/tcp or tcp6."""
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 10 or fields[3] != LISTEN:
            continue
        raw, _separator, port = fields[1].partition(":")
        if int(port, 16) in ports:
            found.append((_hex_address(raw), int(port, 16), fields[9]))
    return found


def _hex_address(raw):
    """Return the address that the kernel prints as hexadecimal words in host order (little endian on our machines)."""
    words = [bytes.fromhex(raw[index : index + 8])[::-1] for index in range(0, len(raw), 8)]
    address = ipaddress.ip_address(b"".join(words))
    return str(getattr(address, "ipv4_mapped", None) or address)


def listening(system, ports):
    """Return [{port, address, process, executable}] for the listeners on `ports`, in order of port and address."""
    found = set()
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        found.update(parse_listeners(system.read(path) or "", frozenset(ports)))
    owners = _socket_owners(system, {inode for _address, _port, inode in found}) if found else {}
    return [
        {
            "port": port,
            "address": address,
            "process": owners.get(inode, ("", ""))[0],
            "executable": owners.get(inode, ("", ""))[1],
        }
        for address, port, inode in sorted(found, key=lambda item: (item[1], item[0], item[2]))
    ]


def _socket_owners(system, inodes):
    """Return {inode: (process name, executable)}; the walk over /proc ends with the last socket found."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    owners = {}
    for pid in system.names("/proc"):
        if not pid.isdigit():
            continue
        folder = f"/proc/{pid}/fd"
        for descriptor in system.names(folder):
            inode = wanted.get(system.link(f"{folder}/{descriptor}"))
            if inode is None or inode in owners:
                continue
            executable = system.link(f"/proc/{pid}/exe") or ""
            owners[inode] = ((system.read(f"/proc/{pid}/comm") or "").strip(), executable)
        if len(owners) == len(wanted):
            break
    return owners


def holders(addresses, address):
    """Return the interfaces that carry `address`, `lo` included."""
    return [item["interface"] for item in addresses if address and item["address"] == address]


def interface_for(addresses, address):
    """Return the interface in whose subnet `address` lies, or None; a /32 of its own does not count."""
    wanted = ipaddress.ip_address(address)
    for item in addresses:
        network = ipaddress.ip_interface("{}/{}".format(item["address"], item["prefix"])).network
        if network.num_addresses > 1 and wanted in network:
            return item["interface"]
    return None


def round_trips(system, peers, port):
    """Return {name: ms}, each the least of three TCP connects; a peer that does not answer is left out."""

    def least(address):
        best = None
        for _try in range(CONNECT_TRIES):
            taken = system.connect_ms(address, port)
            if taken is None:
                return None
            best = taken if best is None else min(best, taken)
        return round(best, 3)

    if not peers:
        return {}
    with concurrent.futures.ThreadPoolExecutor(max_workers=min(16, len(peers))) as pool:
        times = dict(zip(peers, pool.map(least, peers.values())))
    return {name: taken for name, taken in times.items() if taken is not None}


def fdatasync_p99_ms(folder):
    """Return the 99th percentile in ms of writing 2300 bytes and syncing them, as etcd's WAL does; None if it fails."""
    path = os.path.join(folder, f".multimaster-latency-{os.getpid()}")
    times = []
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            begin = time.monotonic()
            while len(times) < WAL_WRITES and time.monotonic() - begin < WAL_SECONDS:
                started = time.monotonic()
                os.write(descriptor, b"\0" * WAL_WRITE_BYTES)
                os.fdatasync(descriptor)
                times.append((time.monotonic() - started) * 1000.0)
        finally:
            os.close(descriptor)
            os.unlink(path)
    except OSError:
        return None
    return round(sorted(times)[max(0, math.ceil(len(times) * 0.99) - 1)], 3)


def read_etcd_status(files, listeners):
    """Ask the host's own etcd member who it is; `ok` is false and `error` says why when it does not say."""
    from ansible_collections.multimaster.kubernetes.plugins.module_utils import _etcd, _https

    url = etcd_url(listeners)
    if url is None:
        return no_status(f"nothing listens on port {_ports.ETCD_CLIENT}")
    try:
        opener = _https.https_opener(files["ca"], files["cert"], files["key"])
    except _https.CredentialsError as reason:
        return no_status(str(reason), asked=False)
    return _etcd.status_for_host_info(url, opener)


def etcd_url(listeners):
    """Return the client URL of the host's own member, its node address before loopback; None when nobody listens."""
    found = [item["address"] for item in listeners if item["port"] == _ports.ETCD_CLIENT]
    if not found:
        return None
    own = [address for address in found if not (ipaddress.ip_address(address).is_loopback or address in ("0.0.0.0", "::"))]
    address = own[0] if own else "127.0.0.1"
    return "https://{}:{}".format(f"[{address}]" if ":" in address else address, _ports.ETCD_CLIENT)


def no_status(error, asked=True):
    """Return the status of a member that says nothing, or could not be asked, in the shape of a real one."""
    return {
        "ok": False,
        "asked": asked,
        "error": error,
        "member_id": "",
        "cluster_id": "",
        "leader_id": "",
        "is_learner": False,
        "raft_term": 0,
        "raft_index": 0,
        "db_size": 0,
        "version": "",
        "storage_version": "",
        "downgrade": "",
        "healthy": False,
        "alarms": [],
        "members": [],
    }


def _arp(addresses, address, probe):
    interface = interface_for(addresses, address)
    if interface is None:
        return None
    from ansible_collections.multimaster.kubernetes.plugins.module_utils import _arp as arp

    try:
        return list((probe or arp.probe)(interface, address))
    except arp.ArpError:
        return None


def _kubelet_credentials(system):
    """Tell whether the kubelet has a client certificate that is still valid (an expired one must be joined anew)."""
    if not (system.exists(KUBELET_CERTIFICATE) and system.exists(KUBELET_KUBECONFIG)):
        return False
    return _valid(system, KUBELET_CERTIFICATE)


def node_name(system):
    """Return the name that the host has in its cluster, "" where none is known: its node's, else its etcd member's.

    The kubelet's certificate is for that name, expired or not, so it tells it better than the hostname, which may have changed. A
    member without data has not begun, and is called as its host is by then.
    """
    found = None
    if system.exists(KUBELET_CERTIFICATE):
        found = NODE_USER.search(system.run(["openssl", "x509", "-noout", "-subject", "-in", KUBELET_CERTIFICATE])[1])
    elif _membership.has_data(system.names(ETCD_WAL)):
        found = MEMBER_NAME.search(system.read(ETCD_UNIT) or "")
    return found.group(1) if found else ""


def _valid(system, path):
    """Tell whether a file holds a certificate that has not expired; without openssl it is taken for one."""
    return system.run(["openssl", "x509", "-checkend", "0", "-noout", "-in", path])[0] in (0, 127)


def _fingerprints(system, paths):
    return next((found for found in (certificates_sha256(system.read(path) or "") for path in paths) if found), [])


def certificates_sha256(pem):
    """Return the SHA-256 of each certificate in PEM text as lower-case hexadecimal digits.

    A CA file holds two certificates while the CA is being rotated.
    """
    try:
        return [hashlib.sha256(ssl.PEM_cert_to_DER_cert(block)).hexdigest() for block in PEM.findall(pem)]
    except ValueError:
        return []


def _existing(*paths):
    return next((path for path in paths if os.path.isdir(path)), "/")


def _json(text):
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None
