# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Say which release files a host needs, where they are published and where they go.

The table below is the only place that knows the file names of the upstream projects. A mirror keeps the publishers'
host names as its first folder (`<mirror>/dl.k8s.io/release/…`), so any plain recursive copy of the official hosts serves.
Every file goes into a folder named after its version: a new version lies ready before anything stops, the old one
is there to go back to, and a unit file names the exact program it runs.
"""

from __future__ import annotations

ROOT = "/opt/multimaster"

# Versions that are not a user's decision: tested together with the Kubernetes and etcd versions of the support matrix.
VERSIONS = {
    "cni-plugins": "1.9.1",
    "containerd": "2.3.7",
    "coredns": "1.14.7",
    "flannel": "0.27.4",
    "pause": "3.10.2",
    "runc": "1.5.2",
}

# The publisher of flannel offers no checksum file, so the digests of its release are known here; a mirror has the file, which
# its keeper makes. They were taken from a public deployment that pins the same files and not from a download of our own.
PINNED = {
    ("flannel", "0.27.4"): {
        "amd64": "fc1233aac3ad2707d14c9ae42016b5402753f755f0d07cc5c41dc4190e95d299",
        "arm64": "aa4f59bff09603ad10634c5a930afa57631dd99d8da0b7baeaadc655f00831b7",
    },
}

# Images of the cluster itself: component, reference. A mirror keeps their archives under `images/`.
IMAGES = (
    ("pause", "registry.k8s.io/pause:{version}"),
    ("coredns", "registry.k8s.io/coredns/coredns:v{version}"),
)

KUBERNETES = "dl.k8s.io/release/v{version}/bin/linux/{arch}"
GITHUB = "github.com/{project}/releases/download/v{version}"


def _kubernetes(names):
    """Return rows for plain Kubernetes binaries, each with its own checksum file."""
    return [
        {
            "component": "kubernetes",
            "url": KUBERNETES + "/" + name,
            "checksum": KUBERNETES + "/" + name + ".sha256",
            "dest": name,
        }
        for name in names
    ]


def _archive(component, project, name, checksum, members):
    """Return the row of one archive of a project's release page."""
    base = GITHUB.replace("{project}", project)
    return {"component": component, "url": base + "/" + name, "checksum": base + "/" + checksum, "members": members}


# Which files make which kind of host. Sources: the projects' own release pages.
SETS = {
    "master": _kubernetes(["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"]),
    "member": [
        _archive(
            "etcd",
            "etcd-io/etcd",
            "etcd-v{version}-linux-{arch}.tar.gz",
            "SHA256SUMS",
            {"etcd-v{version}-linux-{arch}/" + name: name for name in ("etcd", "etcdctl", "etcdutl")},
        )
    ],
    "node": _kubernetes(["kubelet", "kube-proxy"])
    + [
        _archive(
            "containerd",
            "containerd/containerd",
            "containerd-{version}-linux-{arch}.tar.gz",
            "containerd-{version}-linux-{arch}.tar.gz.sha256sum",
            {"bin/" + name: name for name in ("containerd", "containerd-shim-runc-v2", "ctr")},
        ),
        {
            "component": "runc",
            "url": GITHUB.replace("{project}", "opencontainers/runc") + "/runc.{arch}",
            "checksum": GITHUB.replace("{project}", "opencontainers/runc") + "/runc.sha256sum",
            "dest": "runc",
        },
        _archive(
            "cni-plugins",
            "containernetworking/plugins",
            "cni-plugins-linux-{arch}-v{version}.tgz",
            "cni-plugins-linux-{arch}-v{version}.tgz.sha256",
            {name: name for name in ("bridge", "host-local", "loopback", "portmap", "ptp")},
        ),
    ],
    "flannel": [
        {
            "component": "flannel",
            "url": GITHUB.replace("{project}", "flannel-io/flannel") + "/flanneld-{arch}",
            "checksum": GITHUB.replace("{project}", "flannel-io/flannel") + "/flanneld-{arch}.sha256",
            "dest": "flanneld",
        }
    ],
}

# Programs people call by name on a host.
LINKS = {
    "master": {"kubectl": "kubernetes"},
    "member": {"etcdctl": "etcd", "etcdutl": "etcd"},
    "node": {"ctr": "containerd"},
    "flannel": {},
}


def sets_for(master, worker, member, network_plugin):
    """Return the names out of SETS, in its order, that a host with these parts (booleans) needs."""
    node = master or worker
    needed = {"master": master, "member": member, "node": node, "flannel": node and network_plugin == "flannel"}
    return [name for name in SETS if needed[name]]


def folder(component, version):
    """Return the folder a component's version is installed in."""
    return "{0}/{1}/{2}".format(ROOT, component, version)


def base_url(source):
    """Return what stands before the publisher's host name: `https:/` for `release`, else the mirror itself.

    A folder is one of the host's own, such as a mounted share: nothing is copied from the controller.
    """
    if source == "release":
        return "https:/"
    return ("file://" if source.startswith("/") else "") + source.rstrip("/")


def artifacts(sets, versions, architecture, source):
    """Return the list of release files for a host.

    sets: names out of SETS; versions: {component: version without v}; architecture: amd64 or arm64;
    source: `release`, the base URL of a mirror or an absolute folder. Raises KeyError for a component without a version.
    """
    wanted = []
    for name in sets:
        for row in SETS[name]:
            component = row["component"]
            version = versions[component]
            fill = {"version": version, "arch": architecture}
            target = folder(component, version)
            entry = {"url": base_url(source) + "/" + row["url"].format(**fill)}
            pinned = PINNED.get((component, version), {}).get(architecture) if source == "release" else None
            if pinned:
                entry["sha256"] = pinned
            else:
                entry["checksum_url"] = base_url(source) + "/" + row["checksum"].format(**fill)
            if "dest" in row:
                entry["dest"] = target + "/" + row["dest"]
            else:
                entry["extract"] = {member.format(**fill): target + "/" + file for member, file in row["members"].items()}
            wanted.append(entry)
    return wanted


def links(sets, versions):
    """Return {link in /usr/local/bin: its target} for the programs people call on a host."""
    return {
        "/usr/local/bin/" + program: folder(component, versions[component]) + "/" + program
        for name in sets
        for program, component in LINKS[name].items()
    }


def versions(chosen):
    """Return {component: version}: the chosen ones (Kubernetes, etcd) and those tested with them."""
    return dict(VERSIONS, **chosen)


def image(component):
    """Return the full reference of one of the cluster's own images."""
    return dict(IMAGES)[component].format(version=VERSIONS[component])


def image_archives(source):
    """Return the image archives a node imports; none for `release`, whose images the runtime pulls by itself."""
    if source == "release":
        return []
    archives = []
    for component, reference in IMAGES:
        url = "{0}/images/{1}-{2}.tar".format(base_url(source), component, VERSIONS[component])
        archives.append({"reference": reference.format(version=VERSIONS[component]), "url": url, "checksum_url": url + ".sha256"})
    return archives
