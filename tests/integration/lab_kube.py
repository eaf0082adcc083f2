# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real kube-apiserver on loopback with a real etcd behind it, without any kubelet or controller."""

from __future__ import annotations

import subprocess

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _https, _kube
from lab_etcd import EtcdLab, free_ports, wait_for
from lab_pki import Authority

BINARY = "dl.k8s.io/release/v1.36.3/bin/linux/*/kube-apiserver"


class KubeLab:
    """One API server; ``admin`` may do everything, ``nobody`` nothing."""

    def __init__(self, etcd_binary, binary, folder):
        self.binary, self.folder, self.process = binary, folder, None
        self.etcd = EtcdLab(etcd_binary, folder / "etcd")
        (self.member,) = self.etcd.bootstrap("a")
        self.authority = Authority(folder / "pki", "ca")
        self.serving = self.authority.issue("apiserver", "kube-apiserver")
        self.admin = self.authority.issue("admin", "admin", "system:masters")
        self.nobody = self.authority.issue("nobody", "nobody")
        self.accounts = self.authority.issue("accounts", "service-accounts")
        (port,) = free_ports(1)
        self.port, self.server = port, f"https://127.0.0.1:{port}"

    def start_and_wait(self):
        self.start()
        self.wait()

    def wait(self):
        """Wait until it is ready and has made its own roles."""
        wait_for(self._ready_of(self.client()), 180, "the API server")

    def picture(self):
        """Return all that is kept behind the API, as plain data to compare, without what an API server writes for itself.

        That is its sign of life, and the key outside of its registry at which it notes every five minutes how far it compacted.
        """
        seen = self.etcd.picture()
        kept = {key: at for key, at in seen["keys"].items() if key.startswith("/registry/") and "/apiserver-" not in key}
        return {**seen, "keys": kept}

    def _ready_of(self, kube):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError("kube-apiserver ended: " + (self.folder / "apiserver.log").read_text()[-500:])
            try:
                return kube.readyz()[0] and kube.may_do_anything()
            except _kube.KubeError:
                return False

        return ready

    def start(self):
        etcd = self.etcd
        argv = [
            self.binary,
            "--bind-address=127.0.0.1",
            f"--secure-port={self.port}",
            "--advertise-address=127.0.0.1",
            f"--etcd-servers={self.member.client_url}",
            f"--etcd-cafile={etcd.client_ca.cert}",
            f"--etcd-certfile={etcd.operator[0]}",
            f"--etcd-keyfile={etcd.operator[1]}",
            f"--client-ca-file={self.authority.cert}",
            f"--tls-cert-file={self.serving[0]}",
            f"--tls-private-key-file={self.serving[1]}",
            "--authorization-mode=RBAC",
            f"--service-account-key-file={self.accounts[0]}",
            f"--service-account-signing-key-file={self.accounts[1]}",
            "--service-account-issuer=https://lab.invalid",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--enable-bootstrap-token-auth=true",
            "--endpoint-reconciler-type=none",
        ]
        with open(self.folder / "apiserver.log", "ab") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log)

    def params(self, who=None):
        """Return the connection parameters of a module."""
        cert, key = who or self.admin
        return {"server": self.server, "ca": self.authority.cert, "client_cert": cert, "client_key": key}

    def client(self, who=None, retry_seconds=0.0):
        opener = _https.https_opener(self.authority.cert, *(who or self.admin))
        return _kube.Kube(self.server, opener, retry_seconds)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(20)

    def close(self):
        self.stop()
        self.etcd.close()
