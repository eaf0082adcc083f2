#!/usr/bin/env python3
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a lab: hosts that behave like small Debian servers, reached over SSH, on one machine.

Molecule and the Makefile both call this program, so there is one kind of lab. A host is a podman container that runs
systemd; it has an own /24 network, an own /var/lib volume and nothing of the machine but its kernel. Needs root.

Everything a lab owns carries its name and is removed by exactly that name: containers `mm-<lab>-<host>`, volumes
`mm-<lab>-<host>-var`, the network `mm-<lab>`, and the folder `<cache>/labs/<lab>` (key, known_hosts, inventory).
Left out: judging what runs on the hosts, and the settings of the cluster (they are inventory variables).
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import http.server
import inspect
import ipaddress
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
SUBNETS = [f"10.89.{third}.0/24" for third in range(67, 99)]
SERVER_PORT = 8067
LAB_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
BOOT_TIMEOUT = 60  # seconds; a host needs about five
RELEASE_PROBE = "https://dl.k8s.io/release/stable.txt"
DEBIAN_MIRROR = "http://deb.debian.org/debian"
SECURITY_MIRROR = "http://deb.debian.org/debian-security"
# What a Debian cloud image brings; roles install the rest for real.
PACKAGES = (
    "ca-certificates", "conntrack", "curl", "dbus", "iproute2", "iptables", "iputils-ping", "kmod", "libseccomp2",
    "nftables", "openssh-server", "openssl", "procps", "python3", "python3-apt", "sudo", "systemd", "systemd-sysv",
)  # fmt: skip  # names
# Downloaded into the image, not installed: scenarios do not fetch them again for every host.
DOWNLOADED = ("haproxy", "keepalived")
# Units that need real hardware, or that would use apt behind a scenario's back.
MASKED = (
    "apt-daily-upgrade.timer", "apt-daily.timer", "dev-hugepages.mount", "dpkg-db-backup.timer", "e2scrub_all.timer",
    "e2scrub_reap.service", "fstrim.timer", "getty.target", "proc-sys-fs-binfmt_misc.automount",
    "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "systemd-udevd.service", "systemd-udev-trigger.service",
)  # fmt: skip  # names
APT_SETTINGS = re.compile(r"^Acquire::(http|https|ftp)::|^Acquire::(Check-Valid-Until|Check-Date|Retries|ForceIPv[46])\b")


class LabError(Exception):
    """A lab cannot be made; the message says what failed, where, and what to do."""


@dataclass(frozen=True)
class Host:
    """One host of a lab; address is the last octet in the lab's /24."""

    name: str
    address: int
    groups: tuple[str, ...]
    zone: str = ""
    release: str = "bookworm"


@dataclass(frozen=True)
class Lab:
    """A lab as its data file describes it; subnet is empty until one is chosen."""

    name: str
    hosts: tuple[Host, ...]
    subnet: str = ""

    def ip(self, last: int) -> str:
        """Return the address with this last octet."""
        return str(ipaddress.ip_network(self.subnet)[last])

    def container(self, host: Host) -> str:
        """Return the name of a host's container."""
        return f"mm-{self.name}-{host.name}"

    @property
    def network(self) -> str:
        """Return the name of the lab's network."""
        return f"mm-{self.name}"

    @property
    def artifact_url(self) -> str:
        """Return where the lab's hosts find the artifact cache."""
        return f"http://{self.ip(1)}:{SERVER_PORT}"


# --- decisions: data in, data out ------------------------------------------------------------------------------------


def parse_lab(data: dict) -> Lab:
    """Return the lab a data file describes, or raise LabError with everything that is wrong with it."""
    wrong = []
    name = data.get("name", "")
    if not LAB_NAME.fullmatch(name):
        wrong.append(f"name {name!r} is not made of up to 31 lower-case letters, digits and dashes")
    hosts = []
    for position, item in enumerate(data.get("hosts", [])):
        unknown = set(item) - {"name", "address", "groups", "zone", "release"}
        if unknown or "name" not in item:
            wrong.append(f"host {item.get('name', position)!r}: unknown keys {sorted(unknown)} or no name")
            continue
        item = {"address": 11 + position, **item, "groups": tuple(item.get("groups", ()))}
        hosts.append(Host(**item))
    if not hosts:
        wrong.append("it has no host")
    for kind, values in (("name", [h.name for h in hosts]), ("address", [h.address for h in hosts])):
        wrong += [f"two hosts have the {kind} {value!r}" for value in sorted({v for v in values if values.count(v) > 1})]
    wrong += [f"host {h.name}: the address {h.address} is not within 2..254" for h in hosts if not 2 <= h.address <= 254]
    if wrong:
        raise LabError("The lab's data is wrong: " + "; ".join(wrong))
    return Lab(name, tuple(hosts), data.get("subnet", ""))


def simple_lab(name: str, masters: int, workers: int, release: str, zones: str = "abc") -> dict:
    """Return the data of a lab with this many masters (m1…) and workers (w1…), spread over the zones in turn."""
    hosts = [
        {"name": f"{letter}{n + 1}", "groups": [group], "zone": zones[n % len(zones)], "address": first + n}
        | {"release": release}
        for letter, group, count, first in (("m", "kube_control_plane", masters, 11), ("w", "kube_node", workers, 21))
        for n in range(count)
    ]
    return {"name": name, "hosts": hosts}


def choose_subnet(wanted: str, taken: list[str]) -> str:
    """Return the wanted /24 if it is free, else (nothing wanted) the first free one, else raise LabError."""
    used = [ipaddress.ip_network(item, strict=False) for item in taken]
    for candidate in [wanted] if wanted else SUBNETS:
        if not any(ipaddress.ip_network(candidate).overlaps(other) for other in used):
            return candidate
    raise LabError(
        f"The network {wanted or SUBNETS[0] + ' and all that follow it'} is in use on this machine (ip route, "
        "podman network ls). Give the lab another one: LAB_SUBNET=10.99.1.0/24"
    )


def inventory(lab: Lab, state: Path, artifact_source: str) -> dict:
    """Return the lab's Ansible inventory: how to reach the hosts, their groups and zones; no setting of the cluster."""
    ssh = f"-o UserKnownHostsFile={state}/known_hosts -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes"
    variables = {
        "ansible_user": "root",
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_private_key_file": f"{state}/id_ed25519",
        "ansible_ssh_common_args": ssh,
        "ansible_control_path_dir": f"{state}/cp",
        "lab_name": lab.name,
        "lab_state": str(state),
        "lab_subnet": lab.subnet,
        "lab_network": lab.subnet.rsplit(".", 1)[0],
        "lab_gateway": lab.ip(1),
        "lab_artifact_url": lab.artifact_url,
        "lab_artifact_source": artifact_source,
    }
    hosts = {h.name: {"ansible_host": lab.ip(h.address), "multimaster_zone": h.zone} for h in lab.hosts}
    children: dict = {}
    for host in lab.hosts:
        for group in host.groups:
            children.setdefault(group, {"hosts": {}})["hosts"][host.name] = {}
    return {"all": {"vars": variables, "hosts": hosts, "children": children}}


def run_arguments(lab: Lab, host: Host, image: str, state: Path, cgroup_v1: bool) -> list[str]:
    """Return podman's arguments for one host.

    `--systemd=false`: in podman's own systemd mode two hosts with private cgroup namespaces share one systemd
    hierarchy (cgroup v1 hybrid). /var/lib is a volume because containerd cannot stack overlay on overlay. The search
    domain `.` keeps podman's own out of every pod. Larger limits need CAP_SYS_RESOURCE, which a lab machine may lack.
    """
    init = ["/sbin/init"]
    if cgroup_v1 and host.release != "bookworm":  # systemd 257 starts on cgroup v1 only when told so
        init += ["SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1", "systemd.unified_cgroup_hierarchy=0"]
    container = lab.container(host)
    return [
        "--runtime", "runc", "run", "--detach", "--name", container, "--hostname", host.name,
        "--privileged", "--systemd=false", "--cgroupns=private", "--stop-signal", "SIGRTMIN+3",
        "--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp", "--env", "container=podman",
        "--restart", "on-failure", "--ulimit", "nofile=4096:4096", "--ulimit", "nproc=32768:32768", "--dns-search", ".",
        "--no-hosts", "--network", lab.network, "--ip", lab.ip(host.address), "--volume", f"{container}-var:/var/lib",
        "--volume", f"{state}/id_ed25519.pub:/root/.ssh/authorized_keys:ro", image, *init,
    ]  # fmt: skip  # an option beside its value


def find_host(lab: Lab, name: str) -> Host:
    """Return the lab's host of this name, or raise LabError with the names there are."""
    found = next((host for host in lab.hosts if host.name == name), None)
    if found is None:
        raise LabError(f"The lab {lab.name} has no host {name!r}; it has {', '.join(host.name for host in lab.hosts)}.")
    return found


def merged_known_hosts(old: list[str], new: list[str]) -> list[str]:
    """Return the lines of known_hosts with new ones in the place of those of the same addresses."""
    addresses = {line.split()[0] for line in new}
    return [line for line in old if line.split()[0] not in addresses] + new


def apt_stanzas(text: str) -> list[dict[str, str]]:
    """Return the `deb` entries of apt's configuration, in one-line or deb822 style, as {uri, suite, components}."""
    entries = []
    for block in re.split(r"\n\s*\n", text):
        lines = [line for line in block.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        for line in lines:
            found = re.match(r"deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)\s+(.+)", line)
            if found:
                entries.append({"uri": found[1], "suite": found[2], "components": found[3].strip()})
        fields = dict(re.match(r"([A-Za-z-]+):\s*(.*)", line).groups() for line in lines if re.match(r"[A-Za-z-]+:\s", line))
        if "deb" in fields.get("Types", "").split() and fields.get("Enabled", "yes").lower() != "no":
            entries += [
                {"uri": uri, "suite": suite, "components": fields.get("Components", "main")}
                for uri in fields.get("URIs", "").split()
                for suite in fields.get("Suites", "").split()
            ]
    return entries


def node_sources(entries: list[dict[str, str]], own: str, release: str) -> tuple[str, str]:
    """Return (Debian mirror, sources.list of a host): the machine's own mirrors, with the host's release in their suites."""
    ours = [e for e in entries if re.fullmatch(rf"{own}(-updates|-security|/updates)?", e["suite"])] if own else []
    base = next((e["uri"] for e in ours if e["suite"] == own), DEBIAN_MIRROR)
    if not any(e["suite"] == own for e in ours):
        ours = [{"uri": base, "suite": own}, {"uri": SECURITY_MIRROR, "suite": f"{own}-security"}]
    lines = {f"deb {e['uri']} {e['suite'].replace(own, release, 1)} main" for e in ours}
    return base, "".join(f"{line}\n" for line in sorted(lines))


# --- the machine -----------------------------------------------------------------------------------------------------


def run(*command: str, check: bool = True, quiet: bool = False, **options) -> str:
    """Run a program and return its output; raise LabError with what it said."""
    result = subprocess.run(command, capture_output=True, text=True, **options)
    if check and result.returncode:
        said = "" if quiet else (result.stderr or result.stdout).strip()[-2000:]
        raise LabError(f"`{' '.join(command[:6])} …` failed with code {result.returncode}: {said}")
    return result.stdout if not result.returncode else ""


def cache() -> Path:
    """Return this user's cache folder, outside every checkout."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "multimaster-kubernetes"


def state_folder(name: str) -> Path:
    """Return the folder of a lab's key, known_hosts and inventory."""
    return cache() / "labs" / name


def log(message: str) -> None:
    """Tell progress on stderr (stdout carries results)."""
    print(f"lab: {message}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def lock(name: str):
    """Hold a lock among all labs of this user."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def require(*programs: str) -> None:
    """Raise LabError unless we are root and every program is there."""
    if os.geteuid() != 0:
        raise LabError("A lab needs root (containers with systemd, debootstrap, a bridge). Run it with sudo.")
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        raise LabError(f"Not found: {', '.join(missing)}. Install them (`make setup` does on Debian).")


def os_release() -> dict[str, str]:
    """Read /etc/os-release."""
    pairs = (line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    return {key: value.strip('"') for key, value in pairs}


def machine_sources(release: str) -> tuple[str, str, str]:
    """Return (mirror, sources.list, apt settings) for a host, as this machine itself reaches Debian."""
    system = os_release()
    own = system.get("VERSION_CODENAME", "") if system.get("ID") == "debian" else ""
    files = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*.[ls]*"))]
    text = "\n\n".join(f.read_text() for f in files if f.suffix in {".list", ".sources"} and f.is_file())
    mirror, sources = node_sources(apt_stanzas(text) if own else [], own or release, release)
    dump = run("apt-config", "dump", check=False) if shutil.which("apt-config") else ""
    settings = "".join(f"{line}\n" for line in dump.splitlines() if APT_SETTINGS.match(line))
    return mirror, sources, settings


def node_image(release: str) -> str:
    """Return the name of the node image of a Debian release, made by debootstrap if it is not there."""
    require("podman", "runc", "debootstrap")
    mirror, sources, settings = machine_sources(release)
    recipe = json.dumps([inspect.getsource(make_root), release, PACKAGES, DOWNLOADED, MASKED, sources, settings])
    name = f"localhost/multimaster-node:{release}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    with lock(f"image-{release}"):
        if subprocess.call(["podman", "image", "exists", name]) == 0:
            return name
        log(f"making the node image of Debian {release} (about a minute)")
        with tempfile.TemporaryDirectory(prefix="node-", dir=cache()) as folder:
            make_root(Path(folder), release, mirror, sources, settings)
            excluded = [f"--exclude=./{path}/*" for path in ("dev", "proc", "sys", "run", "tmp")]
            tar = subprocess.Popen(["tar", "-C", folder, *excluded, "-c", "."], stdout=subprocess.PIPE)
            run("podman", "import", "--change", 'CMD ["/sbin/init"]', "-", name, stdin=tar.stdout)
            if tar.wait():
                raise LabError("tar could not pack the node image")
    return name


def make_root(root: Path, release: str, mirror: str, sources: str, settings: str) -> None:
    """Fill root with a small Debian that starts in a container and reaches its packages like this machine."""
    proxy = re.search(r'^Acquire::http::Proxy "(.+)";', settings, re.M)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    if proxy:
        environment |= {"http_proxy": proxy[1]}
    include = f"--include={','.join(PACKAGES)}"
    run("debootstrap", "--variant=minbase", include, release, str(root), mirror, env=environment)

    def write(path: str, text: str) -> None:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    write("etc/apt/sources.list", sources)
    write("etc/apt/apt.conf.d/90machine", settings)
    write("etc/apt/apt.conf.d/91lean", 'APT::Install-Recommends "false";\nAcquire::Languages "none";\n')
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    for command in (
        ("apt-get", "-q", "update"),
        ("apt-get", "-q", "-y", "dist-upgrade"),
        ("apt-get", "clean"),
        ("apt-get", "-q", "-y", "--download-only", "install", *DOWNLOADED),
        ("systemctl", "mask", *MASKED),
        ("systemctl", "enable", "ssh.service"),
    ):
        run("chroot", str(root), *command, env=environment)
    # Each host makes its own identity at its first start.
    for path in (*root.glob("etc/ssh/ssh_host_*"), root / "var/lib/dbus/machine-id", root / "etc/hostname"):
        path.unlink(missing_ok=True)
    write("etc/machine-id", "")
    write("etc/resolv.conf", "")
    write(
        "etc/systemd/system/ssh.service.d/host-keys.conf",
        "[Service]\nExecStartPre=\nExecStartPre=/usr/bin/ssh-keygen -A\nExecStartPre=/usr/sbin/sshd -t\n",
    )
    write("etc/ssh/sshd_config.d/lab.conf", "PasswordAuthentication no\nUseDNS no\nUsePAM no\nMaxStartups 100\n")


def subnets_in_use() -> list[str]:
    """Return the networks of this machine's routes, addresses and podman networks."""
    routes = [r["dst"] for r in json.loads(run("ip", "-j", "-4", "route") or "[]") if r["dst"] != "default"]
    addresses = [
        f"{a['local']}/{a['prefixlen']}" for i in json.loads(run("ip", "-j", "-4", "addr")) for a in i.get("addr_info", [])
    ]
    networks = json.loads(run("podman", "network", "inspect", *run("podman", "network", "ls", "-q").split()))
    return routes + addresses + [s["subnet"] for n in networks for s in n.get("subnets", []) if ":" not in s["subnet"]]


def read_state(name: str) -> Lab | None:
    """Return the lab as it was brought up, or None."""
    try:
        return parse_lab(json.loads((state_folder(name) / "lab.json").read_text()))
    except FileNotFoundError:
        return None


def containers(lab: Lab) -> dict[str, str]:
    """Return {host: podman's state} of the lab's hosts that exist."""
    wanted = {lab.container(host): host.name for host in lab.hosts}
    rows = json.loads(run("podman", "ps", "--all", "--format", "json") or "[]")
    return {wanted[row["Names"][0]]: row["State"] for row in rows if row["Names"][0] in wanted}


def boot(lab: Lab, host: Host, image: str, state: Path, existing: str) -> str:
    """Start one host, wait until systemd and SSH are up, and return its known_hosts line."""
    container = lab.container(host)
    if not existing:
        cgroup_v1 = not Path("/sys/fs/cgroup/cgroup.controllers").exists()
        run("podman", *run_arguments(lab, host, image, state, cgroup_v1))
        hosts = f"127.0.0.1 localhost\n127.0.1.1 {host.name}\n"  # as Debian's installer writes it
        run("podman", "exec", "-i", container, "tee", "/etc/hosts", input=hosts)
    elif existing == "paused":
        run("podman", "unpause", container)
    elif existing != "running":
        run("podman", "start", container)
    deadline = time.monotonic() + BOOT_TIMEOUT
    while time.monotonic() < deadline:
        # `degraded` still is a host one can work on; the unit that failed shows in `status`.
        ready = run(
            "podman",
            "exec",
            container,
            "sh",
            "-c",
            "systemctl is-active -q ssh && cat /etc/ssh/ssh_host_ed25519_key.pub",
            check=False,
        )
        if ready:
            with contextlib.suppress(OSError), socket.create_connection((lab.ip(host.address), 22), timeout=2):
                kind, key = ready.split()[:2]
                return f"{lab.ip(host.address)} {kind} {key}\n"
        time.sleep(0.5)
    raise LabError(f"{container} has no SSH after {BOOT_TIMEOUT} s. Look with: podman exec {container} systemctl --failed")


def up(lab: Lab) -> Lab:
    """Bring a lab up; what runs already stays as it is."""
    require("podman", "runc", "ip", "ssh-keygen")
    state = state_folder(lab.name)
    before = read_state(lab.name)
    images = {release: node_image(release) for release in sorted({host.release for host in lab.hosts})}
    with lock("network"):
        if subprocess.call(["podman", "network", "exists", lab.network]) != 0:
            wanted = os.environ.get("LAB_SUBNET") or lab.subnet
            lab = Lab(lab.name, lab.hosts, choose_subnet(wanted, subnets_in_use()))
            run("podman", "network", "create", "--disable-dns", "--subnet", lab.subnet, lab.network)
        else:
            network = json.loads(run("podman", "network", "inspect", lab.network))[0]
            lab = Lab(lab.name, lab.hosts, network["subnets"][0]["subnet"])
    kept = [h for h in before.hosts if h.name not in {n.name for n in lab.hosts}] if before else []
    lab = Lab(lab.name, (*lab.hosts, *kept), lab.subnet)
    (state / "cp").mkdir(parents=True, exist_ok=True, mode=0o700)
    (state / "lab.json").write_text(json.dumps(asdict(lab), indent=1))
    if not (state / "id_ed25519").exists():
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", lab.network, "-f", str(state / "id_ed25519"))
    existing = containers(lab)
    started = [host for host in lab.hosts if host not in kept]
    with ThreadPoolExecutor(max_workers=4) as pool:
        lines = list(pool.map(lambda h: boot(lab, h, images[h.release], state, existing.get(h.name, "")), started))
    remember_keys(state, lines)
    start_server(lab, state)
    (state / "inventory.json").write_text(json.dumps(inventory(lab, state, source(lab)), indent=1) + "\n")
    return lab


def remember_keys(state: Path, lines: list[str]) -> None:
    """Put hosts' lines into the lab's known_hosts."""
    known = state / "known_hosts"
    with lock(f"known-hosts-{state.name}"):
        old = known.read_text().splitlines(keepends=True) if known.exists() else []
        known.write_text("".join(merged_known_hosts(old, lines)))


def server_pid(state: Path) -> int:
    """Return the process id of the lab's artifact server if it is really that, else 0."""
    with contextlib.suppress(OSError, ValueError):
        pid = int((state / "server.pid").read_text())
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if b"serve" in words and state.name.encode() in words:
            return pid
    return 0


def start_server(lab: Lab, state: Path) -> None:
    """Start the artifact server of a lab in the background unless it runs."""
    if server_pid(state):
        return
    with (state / "server.log").open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, str(HERE / "lab.py"), "serve", lab.name],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
        )
    (state / "server.pid").write_text(str(process.pid))
    for _attempt in range(50):
        with contextlib.suppress(OSError), socket.create_connection((lab.ip(1), SERVER_PORT), timeout=1):
            return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise LabError(f"The artifact server does not answer on {lab.artifact_url}; see {state}/server.log")


class ArtifactHandler(http.server.SimpleHTTPRequestHandler):
    """Serve files only: no listing, no log line a request, the kernel copies."""

    protocol_version = "HTTP/1.1"
    timeout = 60

    def list_directory(self, _path):
        """Refuse to list folders."""
        self.send_error(404)

    def copyfile(self, source, outputfile):
        """Send a file without copying it through Python."""
        outputfile.flush()
        self.connection.sendfile(source)

    def log_message(self, format, *args):
        """Log failures only."""
        if len(args) > 1 and str(args[1]).startswith(("4", "5")):
            super().log_message(format, *args)


def serve(lab: Lab) -> None:
    """Serve the artifact cache, read-only, to the lab's hosts until killed."""
    folder = str(cache() / "artifacts")
    http.server.ThreadingHTTPServer.request_queue_size = 64

    def handler(*args):
        return ArtifactHandler(*args, directory=folder)

    http.server.ThreadingHTTPServer((lab.ip(1), SERVER_PORT), handler).serve_forever()


def remove_hosts(lab: Lab, hosts: tuple[Host, ...]) -> None:
    """Remove these hosts' containers and volumes, by exact name; what is gone already is fine."""
    existing = containers(lab)
    for host in hosts:
        if existing.get(host.name) == "paused":
            run("podman", "unpause", lab.container(host), check=False)
    there = [lab.container(host) for host in hosts if host.name in existing]
    if there:
        run("podman", "rm", "--force", "--time", "0", "--volumes", *there)
    volumes = set(run("podman", "volume", "ls", "-q").split()) & {f"{lab.container(host)}-var" for host in hosts}
    if volumes:
        run("podman", "volume", "rm", *sorted(volumes))


def down(lab: Lab) -> None:
    """Remove everything the lab owns, by exact name."""
    require("podman")
    state = state_folder(lab.name)
    pid = server_pid(state)
    if pid:
        os.kill(pid, signal.SIGTERM)
    remove_hosts(lab, lab.hosts)
    if subprocess.call(["podman", "network", "exists", lab.network]) == 0:
        run("podman", "network", "rm", lab.network)
    shutil.rmtree(state, ignore_errors=True)


def status(lab: Lab) -> bool:
    """Print what runs; return whether every host does."""
    existing = containers(lab)
    good = True
    for host in lab.hosts:
        podman = existing.get(host.name, "absent")
        systemd = ""
        if podman == "running":
            result = subprocess.run(
                ["podman", "exec", lab.container(host), "systemctl", "is-system-running"], capture_output=True, text=True
            )
            systemd = result.stdout.strip()
        good &= podman == "running"
        groups = ",".join(host.groups)
        print(f"{host.name:12} {lab.ip(host.address):15} {podman:8} {systemd:10} {host.release:9} {host.zone:4} {groups}")
    state = state_folder(lab.name)
    print(f"inventory {state}/inventory.json")
    print(f"artifacts {lab.artifact_url} ({'served' if server_pid(state) else 'NOT served'})")
    return good


def source(lab: Lab | None, timeout: float = 3.0) -> str:
    """Return "release" when the official release hosts answer within timeout seconds, else the local cache's URL."""
    request = urllib.request.Request(RELEASE_PROBE, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=timeout):
            log("artifacts come from the official release hosts (dl.k8s.io answers)")
            return "release"
    except (OSError, urllib.error.URLError) as error:
        where = lab.artifact_url if lab else str(cache() / "artifacts")
        log(f"artifacts come from the local cache {where} (dl.k8s.io does not answer: {error})")
        return where


def load(word: str, arguments: argparse.Namespace) -> Lab:
    """Return the lab that a word on the command line means: `-`, a data file, a running lab, or a file beside this."""
    if arguments.masters is not None:
        return parse_lab(simple_lab(word, arguments.masters, arguments.workers, arguments.release))
    if word == "-":
        return parse_lab(json.load(sys.stdin))
    if word.endswith(".json"):
        return parse_lab(json.loads(Path(word).read_text()))
    running = read_state(word) if LAB_NAME.fullmatch(word) else None
    if running:
        return running
    beside = HERE / f"{word}.json"
    if beside.exists():
        return parse_lab(json.loads(beside.read_text()))
    if arguments.verb == "down" and LAB_NAME.fullmatch(word):
        return Lab(word, ())  # so that removing twice is no failure
    raise LabError(f"There is no lab {word!r}: neither {state_folder(word)} nor {beside} exists.")


def main(argv: list[str]) -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("verb", choices=["image", "up", "down", "status", "serve", "inventory", "source"])
    parser.add_argument("lab", nargs="?", default="demo", help="a lab's name, a JSON data file, or - for stdin")
    parser.add_argument("--masters", type=int, help="make the data: this many masters (m1…)")
    parser.add_argument("--workers", type=int, default=0, help="with --masters: this many workers (w1…)")
    parser.add_argument("--release", default="bookworm", choices=["bookworm", "trixie"])
    parser.add_argument("--inventory", type=Path, help="with up: write the inventory there too")
    arguments = parser.parse_args(argv)
    try:
        if arguments.verb == "image":
            print(node_image(arguments.release))
            return 0
        if arguments.verb == "source":
            print(source(read_state(arguments.lab) if LAB_NAME.fullmatch(arguments.lab) else None))
            return 0
        lab = load(arguments.lab, arguments)
        if arguments.verb == "up":
            start = time.monotonic()
            lab = up(lab)
            if arguments.inventory:
                shutil.copyfile(state_folder(lab.name) / "inventory.json", arguments.inventory)
            log(f"{lab.name} is up ({len(lab.hosts)} hosts, {time.monotonic() - start:.1f} s)")
            print(state_folder(lab.name) / "inventory.json")
            return 0
        lab = read_state(lab.name) or lab
        if arguments.verb == "down":
            down(lab)
            log(f"{lab.name} is removed")
            return 0
        if not lab.subnet:
            raise LabError(f"The lab {lab.name} is not up. Bring it up with: {sys.argv[0]} up {lab.name}")
        if arguments.verb == "serve":
            serve(lab)
        elif arguments.verb == "inventory":
            print((state_folder(lab.name) / "inventory.json").read_text(), end="")
        else:
            return 0 if status(lab) else 1
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
