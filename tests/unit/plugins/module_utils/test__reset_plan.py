# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of _reset_plan: whose is what, in which order it goes, what stands in the way."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _reset_plan as plan
from ansible_collections.multimaster.kubernetes.plugins.module_utils._cluster_record import PATH as RECORD
from ansible_collections.multimaster.kubernetes.plugins.module_utils._unit_plan import State

FOLDER, FILE = plan.Found("directory", names=("x",)), plan.Found()
UNIT = "[Service]\nExecStart=/opt/multimaster/containerd/2.3.7/containerd --config /etc/containerd/config.toml\n"


def seen(*paths, record="prod", **more):
    """Return a host with a record and these paths; a dict among them gives what stands there."""
    there = {} if record is None else {plan.HOME: plan.Found("directory", names=("multimaster.json",)), RECORD: FILE}
    for path in paths:
        there.update(path if isinstance(path, dict) else {path: FILE})
    return plan.Seen(record=record, paths=there, **more)


def with_unit(part, *paths, text=UNIT, active="active", record="prod", **more):
    """Return a host on which this component's unit is ours."""
    return seen(
        part.proof,
        *paths,
        record=record,
        texts={part.proof: text},
        unit_files={part.unit: part.proof},
        states={part.unit: State(part.unit, "loaded", active, file_state="enabled")},
        **more,
    )


def decide(host, cluster="prod", keep=True):
    return plan.decide(host, cluster, keep)


def removed(host, keep=True):
    """Return what goes beside the record and its folder, which always come last."""
    done = decide(host, keep=keep)
    assert not done.refused and done.remove[-2:] == (RECORD, plan.HOME)
    return list(done.remove[:-2])


def part(unit):
    return next(row for row in plan.PARTS if row.unit == unit)


# Whose host it is


def test_a_host_of_another_cluster_is_refused():
    done = decide(seen("/var/lib/etcd"), cluster="test")
    assert done.refused and not done.remove
    assert "belongs to cluster 'prod'" in done.reason and "not to 'test'" in done.reason


@pytest.mark.parametrize(
    "paths",
    [
        (),
        ("/opt/multimaster",),
        ("/var/log/pods", "/run/containerd", "/etc/cni/net.d/10-containerd-net.conflist"),
        ({"/var/lib/kubelet": plan.Found("directory")},),
    ],
)
def test_a_bare_host_is_left_alone(paths):
    done = decide(seen(*paths, record=None))
    assert not done.refused and not done.changed and done.kept == () and "nothing of a cluster" in done.reason


@pytest.mark.parametrize(
    "path",
    [
        "/etc/kubernetes/admin.conf",
        "/var/lib/etcd",
        "/etc/etcd",
        "/var/lib/kubelet",
        "/usr/local/lib/multimaster",
        "/etc/systemd/system/kubelet.service.d/50-multimaster.conf",
    ],
)
def test_traces_without_a_record_are_refused(path):
    done = decide(seen(path, record=None))
    assert done.refused and path in done.reason and "belongs to no cluster of ours" in done.reason


def test_a_unit_of_ours_without_a_record_is_refused():
    done = decide(with_unit(plan.RUNTIME, record=None))
    assert done.refused and "containerd.service" in done.reason


def test_somebody_elses_etcd_is_no_trace():
    host = seen("/var/lib/etcd", record=None, unit_files={"etcd.service": "/lib/systemd/system/etcd.service"})
    assert not decide(host).changed


def test_the_empty_folder_a_cut_off_run_left_goes():
    done = decide(seen({plan.HOME: plan.Found("directory")}, record=None))
    assert done.remove == (plan.HOME,) and plan.HOME in done.shells and "earlier reset" in done.reason


def test_programs_of_a_host_without_a_record_go_when_asked():
    host = seen("/opt/multimaster", {"/usr/local/bin/ctr": plan.Found("link", "/opt/multimaster/x/1/ctr")}, record=None)
    assert decide(host, keep=False).remove == ("/usr/local/bin/ctr", "/opt/multimaster")
    assert not decide(host).changed


# What is ours


@pytest.mark.parametrize("unit", [row.unit for row in plan.PARTS])
def test_a_unit_of_ours_is_stopped_disabled_and_goes_last_of_its_own(unit):
    row = part(unit)
    host = with_unit(row, *row.paths, text=f"ExecStart={row.mark}x")
    done = decide(host)
    assert done.stopped == [unit]
    verdict = (*done.stop, *done.runtime)[0]
    assert (verdict.action, verdict.disable) == ("stop", True) and bool(done.runtime) == (row is plan.RUNTIME)
    assert removed(host) == [*row.paths, row.proof]


def test_what_shows_that_a_cluster_was_there_goes_before_its_data():
    """A build after a reset that was cut off is not taken for a cluster whose disks are missing (_etcd_plan)."""
    order = [path for row in plan.PARTS for path in row.removals]
    data = order.index("/var/lib/etcd")
    assert order.index(plan.KUBELET_FOLDER) < data and order.index(f"{plan.UNITS}/kube-apiserver.service") < data


@pytest.mark.parametrize("unit", [row.unit for row in plan.PARTS])
def test_somebody_elses_unit_and_its_data_stay(unit):
    row = part(unit)
    host = seen(
        *row.paths,
        unit_files={unit: "/lib/systemd/system/" + unit},
        states={unit: State(unit, "loaded", "active", file_state="enabled")},
        pods=("p",),
        mounts=row.mounts,
    )
    done = decide(host)
    assert not done.stopped and not removed(host) and not done.unmount and not done.links
    assert bool(row.paths) == any("is not ours" in line for line in done.kept)


def test_a_unit_in_our_place_that_runs_something_else_is_not_ours():
    host = with_unit(plan.RUNTIME, "/var/lib/containerd", text="ExecStart=/usr/bin/containerd\n")
    assert not decide(host).stopped and not removed(host)


def test_what_lies_about_without_its_unit_is_ours():
    assert removed(seen("/var/lib/etcd")) == ["/var/lib/etcd"]


@pytest.mark.parametrize(
    "text,goes",
    [
        ("# Written by Ansible (role multimaster.kubernetes.api_endpoint); changes\nglobal\n", True),
        ("global\n# Written by Ansible (role multimaster.kubernetes.api_endpoint)\n", False),
        ("", False),
    ],
)
def test_a_packages_configuration_goes_only_when_its_first_line_is_ours(text, goes):
    path = "/etc/haproxy/haproxy.cfg"
    host = seen(path, texts={path: text}, unit_files={"haproxy.service": "/lib/systemd/system/haproxy.service"})
    assert removed(host) == ([path] if goes else [])
    assert goes or any(line.startswith(path) for line in decide(host).kept)


def test_links_to_our_programs_go_and_others_stay():
    found = {
        f"/usr/local/bin/{name}": plan.Found("link", target)
        for name, target in {
            "ctr": "/opt/multimaster/containerd/2/ctr",
            "sly": "/opt/multimaster/../../usr/bin/true",
            "top": "/opt/multimaster-2/x",
        }.items()
    }
    assert removed(seen(found)) == ["/usr/local/bin/ctr"]


def test_programs_stay_unless_told_otherwise():
    assert removed(seen("/opt/multimaster")) == []
    assert "/opt/multimaster: keep_binaries is true" in decide(seen("/opt/multimaster")).kept
    assert removed(seen("/opt/multimaster"), keep=False) == ["/opt/multimaster"]


def test_everything_in_the_clusters_folder_goes_one_by_one_and_the_record_last():
    assert removed(seen("/etc/kubernetes/pki", "/etc/kubernetes/a.json")) == ["/etc/kubernetes/pki", "/etc/kubernetes/a.json"]


@pytest.mark.parametrize("others,goes", [((), True), (("05-calico",), False)])
def test_a_shared_folder_goes_only_when_nothing_is_left_in_it(others, goes):
    config = "/etc/cni/net.d/10-containerd-net.conflist"
    host = seen(
        config,
        {
            "/etc/cni/net.d": plan.Found("directory", names=("10-containerd-net.conflist", *others)),
            "/etc/cni": plan.Found("directory", names=("net.d",)),
        },
    )
    assert removed(host) == [config, *(["/etc/cni/net.d", "/etc/cni"] if goes else [])]
    assert goes or any("05-calico" in line for line in decide(host).kept)


def test_what_stays_on_purpose_is_always_said():
    assert [line.partition(":")[0] for line in decide(seen()).kept] == [what for what, _why in plan.KEPT]


def test_where_a_removed_link_led_to_is_said():
    host = seen({"/var/lib/containerd": plan.Found("link", "/data/containerd")})
    assert removed(host) == ["/var/lib/containerd"]
    assert "/data/containerd: /var/lib/containerd is only a link to it" in decide(host).kept


# Mounts


@pytest.mark.parametrize("ours", [True, False])
def test_network_namespaces_that_containerd_made_go_and_those_of_somebody_elses_stay(ours):
    namespaces = ("/run/netns/cni-1", "/run/netns/cni-2")
    text = UNIT if ours else "ExecStart=/usr/bin/containerd\n"
    host = with_unit(plan.RUNTIME, *namespaces, "/run/netns/blue", text=text, mounts=namespaces)
    assert [path for path in removed(host) if path.startswith("/run/netns/")] == list(namespaces if ours else ())
    assert decide(host).unmount == (namespaces[::-1] if ours else ())


def test_mounts_go_the_deepest_first_and_the_later_one_of_two_first():
    kubelet, netns = "/var/lib/kubelet/pods/1", "/run/netns/cni-1"
    mounts = ("/", kubelet, kubelet + "/a/b", netns, netns, "/run/netns", "/var/lib/kubelet-2/x")
    assert decide(seen(mounts=mounts)).unmount == (kubelet + "/a/b", kubelet, netns, netns)


@pytest.mark.parametrize("point", ["/var/lib/etcd/deep", "/var/log/pods", "/etc/kubernetes/pki"])
def test_another_mount_at_or_below_a_path_refuses(point):
    done = decide(seen("/var/lib/etcd", "/var/log/pods", "/etc/kubernetes/pki", mounts=("/", point)))
    assert done.refused and f"{point} is a mount point" in done.reason and "unmount it" in done.reason


def disk(path, *names, points=(), **more):
    """Return a host with a disk of its own at a folder, with these names on it."""
    return seen({path: plan.Found("directory", names=names)}, mounts=("/", path, *points), **more)


@pytest.mark.parametrize(
    "path,names,goes",
    [
        ("/var/lib/etcd", ("lost+found", "member"), ("member",)),
        ("/var/lib/etcd", ("member.aside-2", "member.old", "member.aside-x", "backup"), ("member.aside-2",)),
        (
            "/var/lib/containerd",
            ("io.containerd.metadata.v1.bolt", "lost+found", "tmpmounts"),
            ("io.containerd.metadata.v1.bolt", "tmpmounts"),
        ),
        ("/var/lib/kubelet", ("config.yaml", "lost+found", "pods"), ("config.yaml", "pods")),
        ("/var/lib/kubelet", (), ()),
    ],
)
def test_a_disk_of_its_own_is_emptied_of_what_is_ours_and_stays(path, names, goes):
    host = disk(path, *names)
    assert removed(host) == [f"{path}/{name}" for name in goes] and not decide(host).unmount
    assert [line for line in decide(host).kept if line.startswith(f"{path}: a mount point of yours, which stays")]


def test_what_is_somebody_elses_on_a_disk_of_its_own_is_named():
    said = decide(disk("/var/lib/etcd", "member", "member.old", "lost+found", "a", "b", "c")).kept
    assert (
        "/var/lib/etcd: a mount point of yours, which stays mounted, and so does what is not ours on it (a, b, c and more)"
        in said
    )
    assert (
        "/var/lib/etcd: a mount point of yours, which stays mounted" in decide(disk("/var/lib/etcd", "member", "lost+found")).kept
    )


@pytest.mark.parametrize(
    "point,refused", [("/var/lib/etcd/member", True), ("/var/lib/etcd/member/wal", True), ("/var/lib/etcd/backup", False)]
)
def test_a_mount_on_a_disk_of_its_own_is_as_safe_as_elsewhere(point, refused):
    done = decide(disk("/var/lib/etcd", "member", "backup", points=(point,)))
    assert done.refused is refused and (point in done.reason) is refused and point not in done.remove


def test_a_disk_of_somebody_elses_unit_stays_whole():
    host = disk("/var/lib/containerd", "data", unit_files={"containerd.service": "/lib/systemd/system/containerd.service"})
    assert removed(host) == []


@pytest.mark.parametrize("names,telling", [((), False), (("lost+found",), False), (("lost+found", "member"), True)])
def test_only_what_is_ours_on_a_disk_of_its_own_tells_of_a_cluster_without_a_record(names, telling):
    done = decide(disk("/var/lib/etcd", *names, record=None))
    assert done.refused is telling and not done.changed and ("/var/lib/etcd/member" in done.reason) is telling


def test_the_kubelets_folder_mounted_on_itself_is_unmounted_and_a_disk_of_its_own_is_not():
    own = "/var/lib/kubelet"
    done = decide(seen(own, mounts=("/", own, own + "/pods/1"), binds=(own, "/var/lib")))
    assert done.unmount == (own + "/pods/1", own) and own in done.remove
    done = decide(disk(own, "pods", points=(own + "/pods/1",)))
    assert done.unmount == (own + "/pods/1",) and own not in done.remove and own + "/pods" in done.remove


OWN = "/var/lib/kubelet"
DISK, BTRFS = "36 35 98:0 / / rw - ext4 /dev/vda1 rw", "36 35 0:30 /@rootfs / rw - btrfs /dev/vda1 rw,subvol=/@rootfs"
VAR = "40 36 98:1 / /var rw - ext4 /dev/vdb1 rw"
MOUNTS = {
    # name: (rows of mountinfo, is the kubelet's folder mounted on itself and nothing else there)
    "the kubelet's": ((DISK, f"37 36 98:0 {OWN} {OWN} rw shared:1 - ext4 /dev/vda1 rw"), True),
    "the kubelet's, twice": ((DISK, f"37 36 98:0 {OWN} {OWN} rw - ext4 d rw", f"38 37 98:0 {OWN} {OWN} rw - ext4 d rw"), True),
    "the kubelet's, on a disk that holds more": ((DISK, VAR, f"37 40 98:1 /lib/kubelet {OWN} rw - ext4 /dev/vdb1 rw"), True),
    "the kubelet's, on btrfs": ((BTRFS, f"37 36 0:30 /@rootfs{OWN} {OWN} rw - btrfs /dev/vda1 rw"), True),
    "the kubelet's, in a folder of a disk": (
        (DISK, "40 36 98:1 /data /var/lib rw - ext4 d rw", f"37 40 98:1 /data/kubelet {OWN} rw - ext4 d rw"), True),
    "nothing": ((DISK,), False),
    "a disk": ((DISK, f"37 36 98:1 / {OWN} rw - ext4 /dev/vdb1 rw"), False),
    "a disk that was mounted twice": (
        (DISK, f"37 36 98:1 / {OWN} rw - ext4 /dev/vdb1 rw", f"38 37 98:1 / {OWN} rw - ext4 /dev/vdb1 rw"), False),
    "a folder of another place": ((DISK, f"37 36 98:0 /data/kubelet {OWN} rw - ext4 /dev/vda1 rw"), False),
    "a folder of another place, the kubelet's over it": (
        (DISK, f"37 36 98:0 /data/kubelet {OWN} rw - ext4 d rw", f"38 37 98:0 /data/kubelet {OWN} rw - ext4 d rw"), False),
    "a folder of another disk, of the same name": ((DISK, f"37 36 98:1 {OWN} {OWN} rw - ext4 /dev/vdb1 rw"), False),
    "a folder of the disk that is hidden by another": ((DISK, VAR, f"37 40 98:0 {OWN} {OWN} rw - ext4 /dev/vda1 rw"), False),
    "a subvolume": ((BTRFS, f"37 36 0:30 /@kubelet {OWN} rw - btrfs /dev/vda1 rw,subvol=/@kubelet"), False),
    "a disk over the kubelet's": (
        (DISK, f"37 36 98:0 {OWN} {OWN} rw - ext4 d rw", f"38 37 98:1 / {OWN} rw - ext4 /dev/vdb1 rw"), False),
    "what lies below is not seen": ((f"37 36 98:0 {OWN} {OWN} rw - ext4 /dev/vda1 rw",), False),
    "its own parent": ((f"37 37 98:0 / {OWN} rw - ext4 /dev/vda1 rw",), False),
    "a row that is cut off": ((DISK, f"37 36 98:0 {OWN}"), False),
}  # fmt: skip  # a case a row


@pytest.mark.parametrize(("rows", "own"), MOUNTS.values(), ids=MOUNTS)
def test_only_a_folder_that_is_mounted_on_itself_is_the_kubelets(rows, own):
    assert plan.parse_binds("".join(f"{row}\n" for row in rows)) == ((OWN,) if own else ())


@pytest.mark.parametrize("what", ["a folder of another place", "a subvolume", "a disk over the kubelet's"])
def test_what_somebody_mounted_for_the_kubelet_is_emptied_and_stays(what):
    rows = MOUNTS[what][0]
    done = decide(disk(OWN, "pki", points=(OWN + "/pods/1",), binds=plan.parse_binds("\n".join(rows))))
    assert done.unmount == (OWN + "/pods/1",) and OWN not in done.remove and OWN + "/pki" in done.remove


def test_a_mount_beside_a_path_is_no_obstacle():
    assert not decide(seen("/var/lib/etcd", mounts=("/var/lib/etcd-2", "/var/lib"))).refused


def test_nothing_goes_through_a_link():
    done = decide(seen({"/var/log/pods": plan.Found("directory", through="/var/log")}))
    assert done.refused and "/var/log/pods lies behind the symbolic link /var/log" in done.reason


# The network


def links(*names):
    return tuple(plan.Link(*name.split("@")) for name in names)


def test_the_pod_networks_interfaces_go_and_no_others():
    found = links("eth0", "veth1@cni0", "veth2@br0", "tap@cni0", "cni0", "flannel.1", "flannel.7", "br0")
    assert decide(seen(links=found)).links == ("veth1", "cni0", "flannel.1")


@pytest.mark.parametrize(
    "config,name",
    [
        ('{"Backend": {"Type": "vxlan", "VNI": 7}}', "flannel.7"),
        ('{"Backend": {"Type": "vxlan"}}', "flannel.1"),
        ("{", "flannel.1"),
        ("", "flannel.1"),
        ('{"Backend": 3}', "flannel.1"),
        ('{"Backend": {"Type": "wireguard"}}', "flannel-wg"),
    ],
)
def test_flannels_interface_has_the_name_its_configuration_gives_it(config, name):
    assert decide(seen(links=links(name), texts={plan.FLANNEL_CONFIG: config})).links == (name,)


def test_tables_of_ours_go_by_family_and_name():
    tables = (("ip", "kube-proxy"), ("inet", "kube-proxy"), ("ip6", "flannel-ipv6"), ("ip", "filter"))
    done = decide(seen(tables=tables))
    assert done.rules and done.tables == (("ip", "kube-proxy"), ("ip6", "flannel-ipv6"))
    assert done.removed[:3] == ["rules of kube-proxy", "table ip kube-proxy", "table ip6 flannel-ipv6"]


@pytest.mark.parametrize("chains", [True, False])
def test_chains_of_kube_proxy_are_for_it_to_clean(chains):
    assert decide(seen(chains=chains)).rules is chains


# Reading


def test_tables_and_links_are_read_from_json():
    assert plan.parse_tables('{"nftables": [{"metainfo": {}}, {"table": {"family": "ip", "name": "a"}}]}') == (("ip", "a"),)
    assert plan.parse_links('[{"ifname": "a", "master": "b"}, {}]') == (plan.Link("a", "b"),)
    assert plan.parse_tables("") == () and plan.parse_links("") == ()


@pytest.mark.parametrize(
    "text,path",
    [
        (UNIT, "/opt/multimaster/containerd/2.3.7/ctr"),
        ("ExecStart=/usr/bin/containerd\n", ""),
        ("", ""),
        ("ExecStart=/opt/multimaster/../../bin/x\n", ""),
    ],
)
def test_a_program_is_found_beside_the_one_its_unit_runs(text, path):
    assert plan.program(text, "ctr") == path


@pytest.mark.parametrize("config,wanted", [('{"mode": "iptables"}', True), ('{"mode": "nftables"}', False), ("", False)])
def test_kube_proxys_mode_is_read(config, wanted):
    assert plan.uses_iptables(config) is wanted


def test_the_diff_names_everything_that_goes():
    done = decide(with_unit(plan.RUNTIME, pods=("p1",), mounts=("/run/netns/cni-1",), links=links("cni0")))
    before = plan.diff(done)["before"].splitlines()
    assert before[:4] == ["unit containerd.service", "pod task p1", "mount /run/netns/cni-1", "link cni0"]
    assert before[-1] == plan.HOME and plan.diff(done)["after"] == ""
