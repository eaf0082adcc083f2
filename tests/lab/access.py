# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reach a lab's cluster the way people do: its hosts by SSH, its API with the kubeconfig the run fetched.

The runner, the prober's starter and the verify tests share it. What a lab's cluster should be comes from the
inventories of the last run (`ansible-inventory`), never from what is found on the hosts.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import http.client
import json
import os
import secrets
import shlex
import shutil
import ssl
import subprocess
import sys
import tarfile
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lab as lab_tool
import yaml

HERE = Path(__file__).resolve().parent
# The programs of the lab are started by themselves, and what of them uses the collection imports this module before it.
COLLECTIONS = str(HERE.parents[1] / "collections")
if COLLECTIONS not in sys.path:
    sys.path.insert(0, COLLECTIONS)
UNITS = (
    "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "csr-approver", "haproxy", "keepalived",
    "multimaster-endpoint", "containerd", "kubelet", "kube-proxy", "flanneld",
)  # fmt: skip  # names
# What is ours alone: every file in it stays as it is, with its size and time of change. Into the others programs write as well.
WRITTEN = (
    "/etc/kubernetes", "/etc/etcd", "/etc/haproxy", "/etc/keepalived", "/etc/containerd", "/etc/cni", "/etc/systemd/system",
    "/opt/multimaster", "/usr/local/lib/multimaster",
)  # fmt: skip  # names
API_PORT = 6443  # of the API servers behind a balancer that is not ours, whatever port that has
FOLDERS = ("/var/lib/etcd", "/var/lib/kubelet")
TEST_IMAGE = "registry.k8s.io/e2e-test-images/agnhost:2.63.0"
CTR = "ctr --address /run/containerd/containerd.sock --namespace k8s.io"


class AccessError(Exception):
    """Something in the lab did not answer; the message says what was asked and what came back."""


class Cluster:
    """One lab's cluster; inventories None means those of the last run."""

    def __init__(self, name: str, inventories: list[str] | None = None):
        """Find the lab's state; the lab must be up."""
        self.name = name
        self.state = lab_tool.state_folder(name)
        if not (self.state / "inventory.json").exists():
            raise AccessError(f"The lab {name} is not up. Bring it up with: tests/lab/lab.py up {name}")
        self.results = lab_tool.cache() / "results" / name
        self.results.mkdir(parents=True, exist_ok=True)
        own = [str(self.state / "inventory.json"), str(HERE / "settings.yml")]
        self.inventories = own + (inventories if inventories is not None else self._remembered())
        self.control_path = str(self.state / "cp")

    def _remembered(self) -> list[str]:
        with contextlib.suppress(FileNotFoundError):
            return json.loads((self.state / "stage.json").read_text())
        return []

    def remember(self, finished: bool = True) -> None:
        """Keep the inventories of this run, and whether it came to its end, for those who look at its outcome."""
        (self.state / "stage.json").write_text(json.dumps(self.inventories[2:]))
        if finished:
            self._unfinished.unlink(missing_ok=True)
        else:
            self._unfinished.touch()

    @property
    def _unfinished(self) -> Path:
        return self.state / "unfinished"

    @property
    def finished(self) -> bool:
        """Say whether the last run came to its end, so that all is as its inventories say."""
        return not self._unfinished.exists()

    @functools.cached_property
    def inventory(self) -> dict:
        """Return what the inventories say, as Ansible reads them (values are not templated)."""
        sources = [part for path in self.inventories for part in ("-i", path)]
        program = Path(sys.executable).parent / "ansible-inventory"
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("ANSIBLE_", "MOLECULE_"))}
        result = subprocess.run([program, "--list", *sources], capture_output=True, text=True, env=clean, cwd=HERE.parents[1])
        if result.returncode:
            raise AccessError(f"ansible-inventory: {result.stderr}")
        return json.loads(result.stdout)

    @functools.cached_property
    def addresses(self) -> dict[str, str]:
        """Return {host: address} of every host of the lab that is on, in groups or not."""
        data = json.loads((self.state / "inventory.json").read_text())
        states = lab_tool.containers(lab_tool.read_state(self.name))
        hosts = data["all"]["hosts"].items()
        return {name: host["ansible_host"] for name, host in hosts if states.get(name) == "running"}

    def group(self, name: str) -> list[str]:
        """Return the hosts of an inventory group, sorted."""
        return sorted(self.inventory.get(name, {}).get("hosts", []))

    @property
    def masters(self) -> list[str]:
        """Return the masters the last run was to make."""
        return self.group("kube_control_plane")

    @property
    def workers(self) -> list[str]:
        """Return the workers the last run was to make."""
        return self.group("kube_node")

    @property
    def nodes(self) -> list[str]:
        """Return everything that runs a kubelet."""
        return sorted({*self.masters, *self.workers})

    @property
    def members(self) -> list[str]:
        """Return the hosts that run etcd."""
        return self.group("etcd") or self.masters

    @property
    def voters(self) -> int:
        """Return how many voters etcd has at rest: the largest odd number of its members."""
        return len(self.members) - 1 + len(self.members) % 2

    @property
    def managed(self) -> bool:
        """Say whether the endpoint address is ours to move."""
        return self.variable("multimaster_endpoint_mode") != "external"

    @property
    def balanced(self) -> bool:
        """Say whether balancers of ours are to stand before the API servers."""
        return len(self.masters) > 1 and self.managed

    def variable(self, name: str, host: str = "", default=None):
        """Return an inventory variable as written."""
        hosts = self.inventory["_meta"]["hostvars"]
        return hosts.get(host or next(iter(self.nodes or self.addresses)), {}).get(name, default)

    # --- hosts ---

    def ssh_options(self) -> list[str]:
        """Return ssh's options; the connections are the tests' own, so that a cut-off does not take them along."""
        folder = self.state / "ssh"
        folder.mkdir(mode=0o700, exist_ok=True)
        pairs = {
            "IdentityFile": self.state / "id_ed25519",
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": self.state / "known_hosts",
            "StrictHostKeyChecking": "yes",
            "User": "root",
            "ControlMaster": "auto",
            "ControlPersist": "60s",
            "ControlPath": f"{folder}/%h",
            "LogLevel": "ERROR",
            "ConnectTimeout": "10",
        }
        return [part for key, value in pairs.items() for part in ("-o", f"{key}={value}")]

    def ssh(self, host: str, command: str, check: bool = True, stdin: bytes | None = None, timeout: float = 60) -> str:
        """Run a shell command on a host and return its output; raise AccessError when it fails."""
        argv = ["ssh", *self.ssh_options(), self.addresses[host], command]
        result = subprocess.run(argv, input=stdin if stdin is not None else b"", capture_output=True, timeout=timeout)
        if check and result.returncode:
            said = (result.stderr or result.stdout).decode(errors="replace").strip()[-1500:]
            raise AccessError(f"{host}: `{command[:200]}` ended with {result.returncode}: {said}")
        return result.stdout.decode(errors="replace")

    def each(self, hosts: list[str], work) -> dict:
        """Return {host: work(host)}, done on all hosts at once."""
        with ThreadPoolExecutor(max_workers=max(1, len(hosts))) as pool:
            return dict(zip(hosts, pool.map(work, hosts), strict=True))

    def observe(self) -> dict[str, str]:
        """Return what must stay the same when nothing is to be done: processes of units, our files, which nodes take pods."""
        units = " ".join(f"{unit}.service" for unit in UNITS)
        command = (
            f"systemctl show --property=Id,MainPID,ExecMainStartTimestampMonotonic,ActiveEnterTimestampMonotonic {units}; "
            f"for folder in {' '.join(FOLDERS)}; do [ -e $folder ] && echo Folder=$folder present; done; "
            f"for folder in {' '.join(WRITTEN)}; do [ -e $folder ] && echo Folder=$folder "
            r"$(find $folder ! -type d -printf '%p %s %T@\n' | sort | sha256sum | cut -c1-12); done; true"
        )

        def look(host: str) -> dict[str, str]:
            found = {}
            for block in self.ssh(host, command).split("\n\n"):
                pairs = dict(line.split("=", 1) for line in block.splitlines() if "=" in line and not line.startswith("Folder="))
                if pairs.get("Id"):
                    since = f"{pairs['ExecMainStartTimestampMonotonic']}/{pairs['ActiveEnterTimestampMonotonic']}"
                    found[f"{host} {pairs['Id']}"] = f"process {pairs['MainPID']} since {since}"
                folders = [line[7:].split(" ", 1) for line in block.splitlines() if line.startswith("Folder=")]
                found |= {f"{host} {folder}": state for folder, state in folders}
            return found

        found = {key: value for one in self.each(sorted(self.addresses), look).values() for key, value in one.items()}
        return found | self.cordons()

    def cordons(self) -> dict[str, str]:
        """Return which nodes take pods, as the API says; nothing before there is one."""
        if not (self.state / "admin.conf").exists():
            return {}
        with contextlib.suppress(AccessError, OSError):
            nodes = self.request("GET", "/api/v1/nodes")[1]["items"]
            words = {True: "cordoned", False: "takes pods"}
            return {f"node {node['metadata']['name']}": words[bool(node["spec"].get("unschedulable"))] for node in nodes}
        return {}

    def etcd(self, host: str, path: str, body: dict | None = None) -> dict:
        """Ask etcd's JSON gateway through the member of a host, with the operator's certificate of that host."""
        said = self.ssh(host, self.etcd_question(host, path, body))
        try:
            return json.loads(said)
        except ValueError:
            raise AccessError(f"{host}: etcd, asked for {path}, says no JSON: {said[:200]!r}") from None

    def etcd_question(self, host: str, path: str, body: dict | None = None) -> str:
        """Return the command that asks it, which takes five seconds at most."""
        pki = "/etc/etcd/pki"
        return (
            f"curl -sS --max-time 5 --cacert {pki}/client-ca.crt "
            f"--cert {pki}/operator-client.crt --key {pki}/operator-client.key "
            f"https://{self.addresses[host]}:2379/v3/{path} -d {shlex.quote(json.dumps(body or {}))}"
        )

    # --- the API ---

    @functools.cached_property
    def kubeconfig(self) -> Path:
        """Return the kubeconfig the run fetched."""
        path = self.state / "admin.conf"
        if not path.exists():
            raise AccessError(f"{path} is not there: the run that should have fetched it did not get that far")
        return path

    @functools.cached_property
    def credentials(self) -> dict[str, str]:
        """Return {server, ca, cert, key}: the kubeconfig's certificates as files (0600, in the lab's state)."""
        config = yaml.safe_load(self.kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        found = {"server": cluster["server"].rstrip("/")}
        folder = self.state / "admin"
        folder.mkdir(mode=0o700, exist_ok=True)
        parts = {
            "ca": cluster["certificate-authority-data"],
            "cert": user["client-certificate-data"],
            "key": user["client-key-data"],
        }
        for name, text in parts.items():
            path = folder / f"{name}.pem"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(base64.b64decode(text))
            found[name] = str(path)
        return found

    @property
    def endpoint(self) -> str:
        """Return the endpoint's address."""
        return urllib.parse.urlsplit(self.credentials["server"]).hostname

    def server_of(self, host: str) -> str:
        """Return the URL of a master's own API server."""
        port = urllib.parse.urlsplit(self.credentials["server"]).port if self.managed else API_PORT
        return f"https://{self.addresses[host]}:{port}"

    def local_addresses(self, check: bool = True) -> dict[str, list[str]]:
        """Return {host: addresses on all its interfaces, lo included} of the hosts that are on.

        Without check a host that is silent has none.
        """

        def look(host: str) -> list[str]:
            links = json.loads(self.ssh(host, "ip -j -4 address", check=check) or "[]")
            return [address["local"] for link in links for address in link["addr_info"]]

        return self.each(sorted(self.addresses), look)

    def holders(self) -> list[str]:
        """Return the hosts that have the endpoint's address on any interface, without those that are silent."""
        return [host for host, found in self.local_addresses(check=False).items() if self.endpoint in found]

    @functools.cached_property
    def tls(self) -> ssl.SSLContext:
        """Return a TLS context with the operator's certificate."""
        context = ssl.create_default_context(cafile=self.credentials["ca"])
        context.load_cert_chain(self.credentials["cert"], self.credentials["key"])
        return context

    def request(
        self, method: str, path: str, body=None, server: str = "", agent: str = "", timeout: float = 10
    ) -> tuple[int, dict]:
        """Send one request on a new connection and return (status, parsed answer); server default: the endpoint."""
        place = urllib.parse.urlsplit(server or self.credentials["server"])
        connection = http.client.HTTPSConnection(place.hostname, place.port, context=self.tls, timeout=timeout)
        headers = {"Accept": "application/json", "User-Agent": agent or "multimaster-tests"}
        if body is not None:
            kind = "application/apply-patch+yaml" if method == "PATCH" else "application/json"
            headers["Content-Type"] = kind
        with contextlib.closing(connection):
            connection.request(method, path, body=None if body is None else json.dumps(body), headers=headers)
            answer = connection.getresponse()
            text = answer.read()
        with contextlib.suppress(ValueError):
            return answer.status, json.loads(text)
        return answer.status, {"text": text.decode(errors="replace")}

    def get(self, path: str, **options) -> dict:
        """Return an object or list; raise AccessError when the API refuses."""
        status, answer = self.request("GET", path, **options)
        if status != 200:
            raise AccessError(f"GET {path}: HTTP {status}: {answer.get('message', answer)}")
        return answer

    def delete(self, path: str) -> None:
        """Delete an object; one that is gone is fine."""
        status, answer = self.request("DELETE", path, body={"gracePeriodSeconds": 0})
        if status not in (200, 202, 404):
            raise AccessError(f"DELETE {path}: HTTP {status}: {answer.get('message', answer)}")

    @functools.cached_property
    def kubectl_path(self) -> str:
        """Return kubectl: this machine's, the artifact cache's, or a copy of a master's."""
        cached = sorted((lab_tool.cache() / "artifacts").glob("dl.k8s.io/release/*/bin/linux/*/kubectl"))
        found = os.environ.get("LAB_KUBECTL") or (str(cached[0]) if cached else "") or shutil.which("kubectl")
        if found:
            return found
        copy = self.state / "kubectl"
        if not copy.exists():
            argv = ["ssh", *self.ssh_options(), self.addresses[self.masters[0]], "cat /usr/local/bin/kubectl"]
            copy.write_bytes(subprocess.run(argv, capture_output=True, check=True).stdout)
            copy.chmod(0o755)
        return str(copy)

    def kubectl(self, *arguments: str, stdin: str = "", check: bool = True, timeout: float = 60) -> str:
        """Run kubectl with the fetched kubeconfig and return its output."""
        argv = [self.kubectl_path, "--kubeconfig", str(self.kubeconfig), *arguments]
        result = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=timeout)
        if check and result.returncode:
            raise AccessError(f"kubectl {shlex.join(arguments)} ended with {result.returncode}: {result.stderr.strip()[-1500:]}")
        return result.stdout

    def apply(self, objects: list[dict]) -> None:
        """Create or change objects, in order."""
        document = {"apiVersion": "v1", "kind": "List", "items": objects}
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(document))

    # --- images ---

    def artifact(self, pattern: str) -> Path:
        """Return the newest file of the artifact cache that matches; raise AccessError with how to make it."""
        found = sorted((lab_tool.cache() / "artifacts").glob(pattern))
        if not found:
            raise AccessError(f"The artifact cache has no {pattern}. Build it with: components/build.py NAME-VERSION (--list)")
        return found[-1]

    def artifact_url(self, artifact: Path) -> str:
        """Return where the lab's hosts find a file of the artifact cache."""
        return f"{self.variable('lab_artifact_url')}/{artifact.relative_to(lab_tool.cache() / 'artifacts')}"

    def load_image(self, archive: Path, reference: str, hosts: list[str]) -> None:
        """Import an image archive on hosts that do not have it."""
        url = self.artifact_url(archive)
        have = f"{CTR} images ls -q name=={shlex.quote(reference)} | grep -q ."
        self.each(hosts, lambda host: self.ssh(host, f"{have} || curl -sSf {url} | {CTR} images import - >/dev/null"))

    def test_image(self) -> str:
        """Return the test server's image: imported from the artifact cache, or pulled where a registry is reachable."""
        try:
            archive = self.artifact("images/agnhost-*.tar")
        except AccessError:
            return TEST_IMAGE
        self.load_image(archive, image_reference(archive), self.nodes)
        return image_reference(archive)


def image_reference(archive: Path) -> str:
    """Return the reference an image archive carries."""
    with tarfile.open(archive) as tar:
        return json.load(tar.extractfile("manifest.json"))[0]["RepoTags"][0]


def wait(what: str, condition, timeout: float = 60.0, interval: float = 0.5):
    """Return the condition's first true value; raise AccessError with its last answer when none comes in time."""
    deadline = time.monotonic() + timeout
    last = None
    while True:
        try:
            last = condition()
            if last:
                return last
        except (AccessError, OSError, http.client.HTTPException) as error:
            last = error
        if time.monotonic() > deadline:
            raise AccessError(f"{what}: not within {timeout:.0f} s; the last answer was {last!r}")
        time.sleep(interval)


def names(prefix: str) -> str:
    """Return a name no earlier run has used."""
    return f"{prefix}-{secrets.token_hex(3)}"
