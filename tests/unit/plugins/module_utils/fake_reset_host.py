# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Play a whole host of a cluster below a folder: units, pods, mounts, interfaces, rules; and cut a run off at any act."""

from __future__ import annotations

import json
import os

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _command, _reset_host, _systemd
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _reset_plan as plan
from fake_systemd import FakeSystemd

# The class itself: a test of the module puts a played host in its place.
Host = _reset_host.Host
PROGRAMS = "/opt/multimaster"
CTR = PROGRAMS + "/containerd/2.3.7/ctr"
PROXY = PROGRAMS + "/kubernetes/1.36.3/kube-proxy"
RECORD = "/etc/kubernetes/multimaster.json"
HEAD = "# Written by Ansible (role multimaster.kubernetes.api_endpoint); changes made here are overwritten.\n"
#: What a run of the site playbook leaves on a host that is master, worker and etcd member.
FILES = {
    RECORD: '{"name": "prod"}',
    "/etc/kubernetes/pki/ca.crt": "",
    "/etc/kubernetes/pki/ca.key": "",
    "/etc/kubernetes/kubelet.conf": "{}",
    "/etc/kubernetes/kube-proxy.json": '{"mode": "nftables"}',
    "/etc/kubernetes/flannel.json": '{"Backend": {"Type": "vxlan"}}',
    "/etc/etcd/pki/peer.key": "",
    "/var/lib/etcd/member/wal/0.wal": "",
    "/var/lib/kubelet/config.yaml": "{}",
    "/var/lib/kubelet/pods/1/etc-hosts": "",
    "/var/log/pods/a/0.log": "",
    "/var/lib/containerd/io.containerd.metadata.v1.bolt/meta.db": "",
    "/etc/containerd/config.toml": "",
    "/run/containerd/containerd.sock": "",
    "/run/flannel/subnet.env": "",
    "/run/netns/cni-1": "",
    "/run/netns/mine": "",
    "/etc/cni/net.d/10-containerd-net.conflist": "{}",
    "/var/lib/cni/networks/multimaster/10.244.0.2": "",
    "/var/lib/cni/results/multimaster-1-eth0": "",
    "/usr/local/lib/multimaster/csr_approver.py": "",
    "/var/log/kubernetes/audit.log": "",
    "/run/multimaster/etcd.service.inputs": "{}",
    "/etc/sysctl.d/99-zz-multimaster.conf": "",
    "/etc/modules-load.d/multimaster.conf": "",
    "/etc/fstab": "",
    "/etc/sysctl.d/50-mine.conf": "",
    "/usr/local/bin/mine": "",
    "/etc/haproxy/haproxy.cfg": HEAD,
    "/etc/keepalived/keepalived.conf": HEAD,
    "/etc/systemd/system/haproxy.service.d/10-multimaster.conf": "[Service]\n",
    "/etc/systemd/system/keepalived.service.d/10-multimaster.conf": "[Service]\n",
    "/etc/systemd/system/kubelet.service.d/50-multimaster.conf": "[Service]\n",
    "/etc/systemd/system/etcd.service.d/50-multimaster.conf": "[Service]\n",
    "/etc/systemd/system/etcd.service.d/mine.conf": "[Service]\n",
    CTR: "",
    PROXY: "",
}
LINKS = {
    "/usr/local/bin/ctr": CTR,
    "/usr/local/bin/other": "/usr/bin/true",
    "/var/log/containers/a.log": "/var/log/pods/a/0.log",
}
MOUNTS = (
    "/",
    "/run/netns/cni-1",
    "/var/lib/kubelet/pods/1/volumes/s",
    "/var/lib/kubelet/pods/1/volumes/s/deep",
    "/run/containerd/io.containerd.runtime.v2.task/k8s.io/1/rootfs",
)
#: What stays of all that, programs apart.
STAYS = [
    "/etc/fstab",
    "/etc/sysctl.d/50-mine.conf",
    "/etc/systemd/system/etcd.service.d/mine.conf",
    "/run/netns/mine",
    "/usr/local/bin/mine",
    "/usr/local/bin/other",
]


class Cut(BaseException):
    """Stand for SIGKILL: nothing below may catch it."""


def unit_text(part):
    program = {"containerd.service": CTR[:-3] + "containerd", "kube-proxy.service": PROXY}.get(
        part.unit, part.mark + "x/1/program"
    )
    return f"[Service]\nExecStart={program} --flag\n[Install]\nWantedBy=multi-user.target\n"


class Units(FakeSystemd):
    """Knows units of packages too."""

    def _show(self, name):
        text = super()._show(name)
        if (self.root / "usr/lib/systemd/system" / name).exists():
            unit = self.units[name]
            text = text.replace("LoadState=not-found", "LoadState=loaded").replace(
                "UnitFileState=\n", f"UnitFileState={unit.enabled}\n"
            )
        return text


class Machine:
    """Runs programs, kills and removes; ``cut`` is the number of acts after which (or in the middle of which) all ends."""

    def __init__(self, root, bare=False):
        self.root, self.calls, self.acts, self.cut, self.halfway = root, [], 0, None, False
        self.units = Units(root)
        self.tasks, self.mounts, self.busy, self.stuck = [], ["/"], {}, set()
        self.links, self.tables, self.chains = [{"ifname": "lo"}], [("inet", "filter")], False
        self.failing = {}
        (root / "proc/self/ns").mkdir(parents=True)
        os.symlink("pid:[1]", root / "proc/self/ns/pid")
        self._write_mounts()
        self.process(1, 0, "/usr/lib/systemd/systemd")
        if not bare:
            self._fill()

    def _fill(self):
        for path, text in FILES.items():
            self.write(path, text)
        for path, target in LINKS.items():
            self.link(path, target)
        for part in plan.PARTS:
            if part.package:
                self.write("/usr/lib/systemd/system/" + part.unit, "[Service]\nExecStart=/usr/sbin/x\n")
                self.units.add(part.unit, active="active", enabled="enabled")
                (self.units.folder / part.unit).unlink()
            else:
                self.units.add(part.unit, unit_text(part), active="active", enabled="enabled")
        self.units.units["kube-scheduler.service"].active = "failed"
        self.tasks, self.mounts = ["pod1", "box1"], list(MOUNTS)
        self._write_mounts()
        shim = CTR[:-3] + "containerd-shim-runc-v2"
        self.process(70, 1, shim, "shim\0-namespace\0k8s.io\0-id\0pod1\0-address\0x\0")
        self.process(71, 70, "/pause")
        self.process(72, 71, "/child")
        self.process(80, 1, shim, "shim\0-id\0inside\0", space="pid:[2]")  # a shim of a node in a container on this host
        self.links += [
            {"ifname": "cni0"},
            {"ifname": "veth1", "master": "cni0"},
            {"ifname": "veth2", "master": "br0"},
            {"ifname": "flannel.1"},
            {"ifname": "br0"},
        ]
        self.tables += [("ip", "kube-proxy"), ("ip6", "kube-proxy"), ("ip", "flannel-ipv4"), ("ip", "mine")]

    def host(self):
        return Host(
            self,
            str(self.root),
            _systemd.Systemd(self, root=str(self.root), sleep=self.units.sleep, monotonic=self.units.monotonic),
            self.kill,
            self.remove,
            self.units.sleep,
            self.units.monotonic,
            lambda: None,
        )

    # What there is

    def path(self, path):
        return self.root / path.lstrip("/")

    def write(self, path, text=""):
        self.path(path).parent.mkdir(parents=True, exist_ok=True)
        self.path(path).write_text(text)

    def disk(self, *paths):
        """Mount disks of their own, as an administrator made them, before everything that is mounted deeper."""
        for path in paths:
            self.write(path + "/lost+found/x")
        self.mounts[1:1] = paths
        self._write_mounts()

    def link(self, path, target):
        self.path(path).parent.mkdir(parents=True, exist_ok=True)
        os.symlink(target, self.path(path))

    def process(self, pid, parent, program, arguments="", space="pid:[1]"):
        folder = self.root / f"proc/{pid}"
        (folder / "ns").mkdir(parents=True)
        (folder / "stat").write_text(f"{pid} (a) b) S {parent} 0 0")
        (folder / "cmdline").write_text(arguments)
        os.symlink(program, folder / "exe")
        os.symlink(space, folder / "ns/pid")

    def left(self):
        """Return every file, link and empty folder but /proc, programs and packages' units, sorted."""
        found = []
        for top, folders, files in os.walk(self.root):
            here = "/" + os.path.relpath(top, self.root)
            if here == "/.":
                here = ""
                folders.remove("proc")
            links = [name for name in folders if os.path.islink(os.path.join(top, name))]
            found += [f"{here}/{name}" for name in files + links]
        return sorted(path for path in found if not path.startswith(("/opt/multimaster/", "/usr/lib/")))

    def state(self):
        """Return all that a reset changes, to compare two hosts by."""
        return (
            self.left(),
            sorted(self.tasks),
            self.mounts,
            sorted(link["ifname"] for link in self.links),
            self.tables,
            sorted(path.name for path in (self.root / "proc").iterdir()),
            {name: (unit.active, unit.enabled) for name, unit in self.units.units.items()},
        )

    # What is done

    def act(self, do):
        """Do one thing, unless the run is cut off before it, or in its middle."""
        self.acts += 1
        if self.cut is not None and self.acts > self.cut:
            if self.halfway:
                do()
            raise Cut
        return do()

    def remove(self, path, empty):
        if self.cut is not None and self.acts == self.cut and self.halfway and os.path.isdir(path) and not empty:
            self.acts += 1
            for name in sorted(os.listdir(path))[:1]:
                _reset_host.remove(os.path.join(path, name), False)
            raise Cut
        inside = path[len(str(self.root)) :]
        assert not [point for point in self.mounts if point == inside or point.startswith(inside + "/")]
        self.act(lambda: _reset_host.remove(path, empty))

    def kill(self, pid, signal):
        assert signal == 9
        self.act(lambda: self._end(pid))

    def _end(self, pid):
        folder = self.root / f"proc/{pid}"
        if not folder.exists():
            raise ProcessLookupError
        if pid in self.stuck:
            return
        for stat in (self.root / "proc").glob("[0-9]*/stat"):  # a shim is the subreaper of what runs below it
            stat.write_text(stat.read_text().replace(f") S {pid} ", f") S {70 if pid > 70 else 1} "))
        _reset_host.remove(str(folder), False)

    def _write_mounts(self):
        (self.root / "proc/self/mounts").write_text("".join(f"x {point} x rw 0 0\n" for point in self.mounts))

    def __call__(self, argv, timeout):
        argv = list(argv)
        assert timeout <= 100
        self.calls.append(argv)
        for words, said in self.failing.items():
            if " ".join(argv).startswith(words):
                return _command.Result(tuple(argv), 1, "", said)
        if argv[0] in ("systemctl", "journalctl"):
            reading = argv[0] == "journalctl" or argv[1] == "show"
            return self.units(argv, timeout) if reading else self.act(lambda: self.units(argv, timeout))
        out = getattr(self, "_" + os.path.basename(argv[0]).replace("-", "_"))(*argv[1:])
        rc, out = out if isinstance(out, tuple) else (0, out)
        return _command.Result(tuple(argv), rc, out if rc == 0 else "", "" if rc == 0 else out)

    def _ctr(self, *words):
        assert words[:2] == ("-n", "k8s.io")
        if self.units.units["containerd.service"].active != "active":
            return 1, "connection refused"
        if words[2:] == ("tasks", "ls", "-q"):
            return "".join(f"{name}\n" for name in self.tasks)
        assert words[2:6] == ("tasks", "kill", "-s", "SIGKILL")
        return self.act(lambda: self.tasks.remove(words[6]) or "") if words[6] in self.tasks else (1, "not found")

    def _umount(self, *words):
        point = words[-1]
        if words[0] != "-l" and point in self.busy:
            return 32, "target is busy"
        assert not [other for other in self.mounts if other.startswith(point + "/")], "the deepest goes first"
        self.act(lambda: self.mounts.remove(point) or self._write_mounts())
        return ""

    def _nft(self, *words):
        if words == ("-j", "list", "tables"):
            return json.dumps(
                {
                    "nftables": [{"metainfo": {}}]
                    + [{"table": {"family": family, "name": name, "handle": 1}} for family, name in self.tables]
                }
            )
        assert words[:2] == ("delete", "table")
        self.act(lambda: self.tables.remove((words[2], words[3])))
        return ""

    def _kube_proxy(self, *words):
        assert words == ("--cleanup",)

        def clean():
            self.tables, self.chains = [table for table in self.tables if table[1] != "kube-proxy"], False

        self.act(clean)
        return ""

    def _iptables_save(self, *words):
        return ":KUBE-SERVICES - [0:0]\n" if self.chains else ":PREROUTING ACCEPT [0:0]\n"

    def _ip(self, *words):
        if words == ("-j", "link", "show"):
            return json.dumps(self.links)
        found = [link for link in self.links if link["ifname"] == words[2]]
        if not found:
            return 1, f'Cannot find device "{words[2]}"'
        self.act(lambda: self.links.remove(found[0]))
        return ""
