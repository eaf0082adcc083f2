# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import pathlib

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _arp, _haproxy, _host, _https, _membership

LINKS = [
    {
        "ifname": "lo",
        "link_type": "loopback",
        "address": "00:00:00:00:00:00",
        "addr_info": [
            {"family": "inet", "local": "127.0.0.1", "prefixlen": 8, "scope": "host"},
            {"family": "inet", "local": "192.0.2.10", "prefixlen": 32, "scope": "global"},
            {"family": "inet6", "local": "::1", "prefixlen": 128, "scope": "host"},
        ],
    },
    {
        "ifname": "eth0",
        "link_type": "ether",
        "address": "02:00:c0:00:02:0b",
        "addr_info": [
            {"family": "inet", "local": "192.0.2.10", "prefixlen": 24, "scope": "global"},
            {"family": "inet", "local": "192.0.2.11", "prefixlen": 24, "scope": "global"},
            {"family": "inet6", "local": "fe80::1", "prefixlen": 64, "scope": "link"},
            {"family": "inet6", "local": "2001:db8::b", "prefixlen": 64, "scope": "global"},
        ],
    },
    {"ifname": "flannel.1", "link_type": "ether", "address": "02:00:00:00:00:01", "addr_info": []},
]
ROUTES = [
    {"dst": "default", "gateway": "198.51.100.1", "dev": "eth1", "metric": 200},
    {"dst": "default", "gateway": "192.0.2.1", "dev": "eth0", "metric": 100, "flags": []},
]
UNITS = """Id=etcd.service
LoadState=loaded
ActiveState=active
MainPID=411

Id=kubelet.service
LoadState=loaded
ActiveState=failed
MainPID=0

Id=keepalived.service
LoadState=not-found
ActiveState=inactive
MainPID=0
"""
# The header and three sockets: 192.0.2.11:2379 and 0.0.0.0:22 listening, a connection from port 2379 that does not.
TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0B0200C0:094B 00000000:0000 0A 00000000:00000000 00:00000000 00000000   106        0 5551 1 0000000000000000 100 0 0 10 0
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 5552 1 0000000000000000 100 0 0 10 0
   2: 0B0200C0:094B 0C0200C0:A3F2 01 00000000:00000000 00:00000000 00000000   106        0 5553 1 0000000000000000 100 0 0 10 0
"""
TCP6 = """  sl  local_address remote_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
   0: 00000000000000000000000000000000:192B 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 6661 1
   1: 0000000000000000FFFF00000100007F:2812 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 6662 1
"""
ENDPOINT_FILES = ("/etc/haproxy/haproxy.cfg", "/etc/keepalived/keepalived.conf")
PEM = "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n"
FILES = {
    "/etc/machine-id": "3f0c2b9f8f0d4f0f9d0f6a2b6d0f1a11\n",
    "/etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\n',
    "/proc/meminfo": "MemTotal:        8141544 kB\nMemFree: 1 kB\n",
    "/proc/swaps": "Filename Type Size Used Priority\n",
    "/proc/net/tcp": TCP,
    "/proc/net/tcp6": TCP6,
    "/proc/411/comm": "etcd\n",
    "/etc/kubernetes/multimaster.json": '{"name": "prod"}',
}
LINKED = {
    "/proc/411/fd/3": "socket:[5551]",
    "/proc/411/exe": "/opt/multimaster/etcd/3.6.16/etcd",
}


class Picture:
    """A host made of dictionaries, in the place of _host.System."""

    def __init__(self, files=None, commands=None, paths=(), connects=None):
        self.files = dict(FILES, **(files or {}))
        self.commands = {"ip": json.dumps(LINKS), "route": json.dumps(ROUTES), "systemctl": UNITS}
        self.commands.update(commands or {})
        self.paths = set(paths) | set(self.files)
        self.connects = connects or {}
        self.ran, self.now = [], 0.0

    def read(self, path):
        return self.files.get(path)

    def exists(self, path):
        return path in self.paths

    def names(self, path):
        if path == "/proc":
            return ["1", "411", "self"]
        if path == "/proc/411/fd":
            return ["0", "3"]
        return sorted(name[len(path) + 1 :] for name in self.paths if name.startswith(path + "/"))

    def link(self, path):
        return LINKED.get(path)

    def run(self, argv):
        self.ran.append(argv)
        key = "route" if "route" in argv else argv[0]
        answer = self.commands.get(key)
        return answer if isinstance(answer, tuple) else (0, answer) if answer is not None else (127, "")

    def which(self, name):
        return "/usr/bin/" + name if name != "nft" else None

    def free_mib(self, path):
        return 41000

    def free_percent(self, path):
        return 61.25

    def connect_ms(self, address, port):
        times = self.connects.get((address, port))
        return times.pop(0) if times else None

    def clock(self):
        return 1763831820.25

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds

    def facts(self):
        return "m1", "x86_64", "6.1.0-30-amd64", "3.11.2", 4


SERVES, SILENT, UNASKED, ALONE = (
    {"ok": ok, "healthy": healthy, "asked": asked}
    for ok, healthy, asked in ((True, True, True), (False, False, True), (False, False, False), (True, False, True))
)


def observe(picture=None, **arguments):
    arguments.setdefault("etcd_status", lambda files, listeners: SERVES)
    return _host.observe(picture or Picture(), **arguments)


def test_a_fresh_look_has_everything_the_contract_names():
    seen = observe(endpoint_address="192.0.2.10")
    assert seen["hostname"] == "m1"
    assert seen["os"] == {"id": "debian", "like": [], "version_id": "12", "name": "Debian GNU/Linux 12 (bookworm)"}
    assert (seen["architecture"], seen["cpus"], seen["memory_mib"], seen["swap"], seen["cgroup"]) == ("amd64", 4, 7950, False, 1)
    assert seen["machine_id"] == "3f0c2b9f8f0d4f0f9d0f6a2b6d0f1a11"
    assert seen["clock"] == 1763831820.25
    assert seen["disk_free_percent"] == {"/var/lib/containerd": 61.25, "/var/lib/kubelet": 61.25}
    assert seen["users"] == []
    assert (seen["commands"]["openssl"], seen["commands"]["nft"]) == (True, False)
    assert seen["cluster"] == {"name": "prod"}
    assert seen["kubelet_credentials"] is False
    assert seen["arp"] is None
    assert json.loads(json.dumps(seen)) == seen


def test_three_programs_are_run_at_most_for_a_fresh_host():
    picture = Picture()
    observe(picture)
    assert [argv[0] for argv in picture.ran] == ["ip", "ip", "systemctl"]


def test_the_systems_that_one_descends_from_are_told():
    assert _host.parse_os_release('ID=linuxmint\nID_LIKE="ubuntu debian"\n')["like"] == ["ubuntu", "debian"]


def test_loopback_and_link_local_addresses_are_left_out_but_not_ours_on_lo():
    seen = observe(endpoint_address="192.0.2.10")
    assert [(item["interface"], item["address"], item["prefix"]) for item in seen["addresses"]] == [
        ("lo", "192.0.2.10", 32),
        ("eth0", "192.0.2.10", 24),
        ("eth0", "192.0.2.11", 24),
        ("eth0", "2001:db8::b", 64),
    ]
    assert seen["endpoint_address"] == {"held_on": ["lo", "eth0"]}


def test_the_default_address_is_the_nearest_routes_and_never_the_endpoint():
    seen = observe(endpoint_address="192.0.2.10")
    assert (seen["default_interface"], seen["default_address"]) == ("eth0", "192.0.2.11")


def test_macs_are_those_of_ethernet_interfaces():
    assert observe()["macs"] == ["02:00:00:00:00:01", "02:00:c0:00:02:0b"]


def test_a_host_where_nothing_can_be_read_is_observed_all_the_same():
    class Bare(Picture):
        def read(self, path):
            return None

        def run(self, argv):
            return 127, ""

        def names(self, path):
            return []

    seen = observe(Bare(), endpoint_address="192.0.2.10", probe_arp="always", peers={"m2": "192.0.2.12"})
    assert (seen["addresses"], seen["default_address"], seen["machine_id"], seen["memory_mib"]) == ([], "", "", 0)
    assert set(seen["units"].values()) == {"not-found"}
    assert seen["arp"] is None


@pytest.mark.parametrize(
    ("unit", "state"), [("etcd", "active"), ("kubelet", "failed"), ("keepalived", "not-found"), ("haproxy", "not-found")]
)
def test_units_have_systemds_state_or_not_found(unit, state):
    assert observe()["units"][unit] == state


def test_the_version_is_that_of_the_running_process():
    assert observe()["versions"] == {"etcd": "3.6.16"}


def test_the_version_of_a_unit_is_that_of_the_program_it_starts():
    class Written(Picture):
        def read(self, path):
            starts = {"kubelet": "/opt/multimaster/kubernetes/1.37.2/kubelet --v=2", "haproxy": "/usr/sbin/haproxy"}
            known = {f"/etc/systemd/system/{name}.service": f"[Service]\nExecStart={what}\n" for name, what in starts.items()}
            return known.get(path) or super().read(path)

    assert observe(Written())["unit_versions"] == {"kubelet": "1.37.2"}


def test_the_masters_that_its_balancer_and_vrrp_are_written_for_are_told():
    golden = pathlib.Path(__file__).parents[3] / "golden" / "api_endpoint"
    files = {path: (golden / path.strip("/").replace("/", "__")).read_text() for path in ENDPOINT_FILES}
    servers, peers = {"m1": "192.0.2.11", "m2": "192.0.2.12", "m3": "192.0.2.13"}, ["192.0.2.12", "192.0.2.13"]
    assert observe(Picture(files))["endpoint_files"] == {"source": "192.0.2.11", "peers": peers, "servers": servers}
    assert observe()["endpoint_files"] is None
    alone = {ENDPOINT_FILES[0]: files[ENDPOINT_FILES[0]]}
    assert observe(Picture(alone))["endpoint_files"] == {"source": "", "peers": [], "servers": servers}


@pytest.mark.parametrize(("state", "told"), [("active", ["m2"]), ("inactive", [])])
def test_who_is_drained_is_asked_of_a_balancer_that_runs(state, told):
    units = f"Id=haproxy.service\nLoadState=loaded\nActiveState={state}\nMainPID=0\n"
    assert observe(Picture(commands={"systemctl": units}), drained=lambda: ["m2"])["drained"] == told


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        ({"m1": ("up", True), "m2": ("drain", False), "m3": ("down", True)}, ["m2"]),
        ({"m1": ("up", True), "m2": ("drain", True), "m3": ("up", False)}, ["m2", "m3"]),  # cut between check and state
        (None, []),
    ],
)
def test_the_drained_are_those_whose_state_or_check_is_not_that_of_use(monkeypatch, seen, told):
    class Balancer:
        def servers(self):
            if seen is None:
                raise _haproxy.HaproxyError("no answer")
            return {name: _haproxy.Server(name, "", status, True, checked, 0, "", 0) for name, (status, checked) in seen.items()}

    monkeypatch.setattr(_haproxy, "Haproxy", Balancer)
    assert _host.read_drained() == told


def test_the_etcd_members_of_a_running_api_server_are_read_from_its_command_line():
    units = "Id=kube-apiserver.service\nLoadState=loaded\nActiveState=active\nMainPID=500\n"
    line = "/opt/kube-apiserver\0--etcd-servers=https://192.0.2.11:2379,https://192.0.2.12:2379\0--v=2\0"
    seen = observe(Picture({"/proc/500/cmdline": line}, {"systemctl": units}))
    assert seen["api_server"] == {"etcd_servers": ["https://192.0.2.11:2379", "https://192.0.2.12:2379"]}
    assert observe()["api_server"] is None


def test_listeners_have_their_process_and_connections_are_none():
    assert observe()["listening"] == [
        {
            "port": 2379,
            "address": "192.0.2.11",
            "process": "etcd",
            "executable": "/opt/multimaster/etcd/3.6.16/etcd",
        },
        {"port": 6443, "address": "::", "process": "", "executable": ""},
    ]


def test_a_mapped_listener_shows_its_address():
    assert _host.parse_listeners(TCP6, {10258}) == [("127.0.0.1", 10258, "6662")]


def test_etcd_is_not_asked_on_a_host_without_it():
    seen = observe(Picture(commands={"systemctl": ""}), etcd_status=lambda files, listeners: pytest.fail("asked"))
    assert seen["etcd"] == {"data": False, "record": None, "first_start": False, "unit": "not-found", "status": None, "stale": []}


def test_etcd_data_and_record_are_seen_while_it_is_down():
    record = {"token": "prod-1", "initial_cluster": {"m1": "https://192.0.2.11:2380"}}
    wal = "/var/lib/etcd/member/wal/0000000000000000-0000000000000000.wal"
    picture = Picture({"/etc/etcd/bootstrap.json": json.dumps(record)}, {"systemctl": ""}, paths=[wal])
    seen = observe(picture)["etcd"]
    assert (seen["data"], seen["record"], seen["status"]) == (True, record, SERVES)


@pytest.mark.parametrize(
    ("unit", "answers", "takes", "at"),
    [
        ("active", [SERVES], 0, [0]),
        # systemd restarts it, or its voters elect a leader
        ("active", [SILENT, SERVES], 0, [0, 2]),
        ("activating", [SILENT, SILENT, SERVES], 0, [0, 2, 4]),
        ("active", [ALONE, SERVES], 0, [0, 2]),
        ("active", [SILENT, SILENT, SILENT, SERVES], 0, [0, 2, 4]),
        # one that hangs
        ("active", [SILENT, SILENT, SILENT], 1, [0, 3]),
        ("active", [SILENT, SERVES], 3, [0, 5]),
        ("active", [SILENT, SERVES], 3.1, [0]),
        # it does not run, or who asks is not let in
        ("failed", [SILENT, SERVES], 0, [0]),
        ("inactive", [SILENT, SERVES], 0, [0]),
        ("active", [UNASKED, SERVES], 0, [0]),
    ],
)
def test_a_member_that_may_run_is_silent_only_after_repeated_looks(unit, answers, takes, at):
    wal = "/var/lib/etcd/member/wal/0000000000000000-0000000000000000.wal"
    picture = Picture(commands={"systemctl": UNITS.replace("ActiveState=active", f"ActiveState={unit}", 1)}, paths=[wal])
    looks, replies = [], iter(answers)

    def ask(_files, listeners):
        looks.append(picture.now)
        assert [one["port"] for one in listeners if one["process"] == "etcd"] == [2379]
        picture.now += takes
        return next(replies)

    seen = observe(picture, etcd_status=ask)
    assert seen["etcd"]["status"] is answers[len(at) - 1]
    assert looks == at
    assert seen["after_clock"] == picture.now, "the clock was read before"


def test_the_process_is_found_anew_for_each_look():
    picture, ports = Picture(), []

    def ask(_files, listeners):
        ports.append([one["port"] for one in listeners])
        picture.files["/proc/net/tcp"] = TCP.replace("0B0200C0:094B 00000000", "0B0200C0:094C 00000000")
        return SILENT

    observe(picture, etcd_status=ask)
    assert 2379 in ports[0] and 2380 in ports[1] and 2379 not in ports[1]


@pytest.mark.parametrize(
    ("asked", "answer", "stale"),
    [
        (True, (1, ""), []),
        (False, (0, ""), []),
        (False, (1, ""), [f"/etc/etcd/pki/{name}.crt" for name in ("operator-client", "peer", "server")]),
        (False, (127, ""), []),  # without openssl nobody knows
    ],
)
def test_of_a_member_that_could_not_be_asked_it_is_told_which_certificates_have_expired(asked, answer, stale):
    picture = Picture(commands={"openssl": answer}, paths=["/var/lib/etcd/member/wal/0.wal"])
    seen = observe(picture, etcd_status=lambda files, listeners: _host.no_status("it is silent", asked))
    assert seen["etcd"]["stale"] == stale


def test_a_member_folder_without_a_log_is_no_data():
    picture = Picture(commands={"systemctl": ""}, paths=["/var/lib/etcd/member", "/var/lib/etcd/member/snap/db"])
    assert observe(picture)["etcd"] == {
        "data": False,
        "record": None,
        "first_start": False,
        "unit": "not-found",
        "status": None,
        "stale": [],
    }


def test_what_a_first_start_needed_is_seen_while_it_is_there():
    assert observe(Picture(paths=[_membership.FIRST_START]))["etcd"]["first_start"] is True


def test_a_broken_record_reads_as_none():
    assert observe(Picture({"/etc/etcd/bootstrap.json": "{"}))["etcd"]["record"] is None


def test_a_member_without_certificates_says_so():
    status = _host.read_etcd_status(
        {"ca": "/none/ca.crt", "cert": "/none/c", "key": "/none/k"}, [{"port": 2379, "address": "::"}]
    )
    assert (status["ok"], status["healthy"], status["asked"]) == (False, False, False)
    assert "/none/ca.crt" in status["error"]


def test_a_member_that_does_not_listen_says_so():
    status = _host.read_etcd_status({}, [])
    assert "nothing listens on port 2379" in status["error"] and status["asked"]


def test_the_status_of_an_unasked_member_has_the_shape_of_a_real_one():
    from ansible_collections.multimaster.kubernetes.plugins.module_utils import _etcd

    def refuse(*_arguments):
        raise _https.TransportError("https://192.0.2.11:2379", "connection refused")

    assert sorted(_etcd.status_for_host_info("https://192.0.2.11:2379", refuse)) == sorted(_host.no_status("x"))


@pytest.mark.parametrize(
    ("addresses", "url"),
    [
        (["127.0.0.1", "192.0.2.11"], "https://192.0.2.11:2379"),
        (["::"], "https://127.0.0.1:2379"),
        (["2001:db8::b"], "https://[2001:db8::b]:2379"),
        ([], None),
    ],
)
def test_the_member_is_asked_at_its_node_address_first(addresses, url):
    assert _host.etcd_url([{"port": 2379, "address": address} for address in addresses]) == url


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ([], False),
        (["/etc/kubernetes/pki/README"], False),
        (["/etc/kubernetes/pki/ca.crt"], True),
        (["/etc/etcd/pki/server.key"], True),
    ],
)
def test_any_certificate_or_key_counts(paths, expected):
    assert observe(Picture(paths=paths))["certificates"] is expected


def test_the_etcd_client_ca_is_found_on_masters_and_on_members():
    one = observe(Picture({"/etc/etcd/pki/client-ca.crt": PEM}))["ca_fingerprints"]
    other = observe(Picture({"/etc/kubernetes/pki/etcd-client-ca.crt": PEM + PEM}))["ca_fingerprints"]
    assert one["etcd_client"] == ["039058c6f2c0cb492c533b0a4d14ef77cc0f78abccced5287d84a1a2011cfb81"]
    assert other["etcd_client"] == one["etcd_client"] * 2
    assert one["kubernetes"] == []


@pytest.mark.parametrize(("rc", "expected"), [(0, True), (1, False), (127, True)])
def test_an_expired_kubelet_certificate_is_no_credential(rc, expected):
    picture = Picture(commands={"openssl": (rc, "")}, paths=[_host.KUBELET_CERTIFICATE, _host.KUBELET_KUBECONFIG])
    assert observe(picture)["kubelet_credentials"] is expected


UNIT_OF_ETCD = {
    "/etc/systemd/system/etcd.service": "[Service]\nExecStart=/opt/etcd \\\n  --name=m1 \\\n  --data-dir=/var/lib/etcd\n"
}


@pytest.mark.parametrize(
    ("files", "paths", "subject", "expected"),
    [
        ({}, [_host.KUBELET_CERTIFICATE], "subject=O = system:nodes, CN = system:node:m1.example.org\n", "m1.example.org"),
        ({}, [_host.KUBELET_CERTIFICATE], "subject=O=system:nodes, CN=system:node:w1\n", "w1"),
        ({}, [_host.KUBELET_CERTIFICATE], "subject= /O=system:nodes/CN=system:node:w1\n", "w1"),
        ({}, [_host.KUBELET_CERTIFICATE], None, ""),  # without openssl
        ({}, [], "subject=CN = system:node:w1\n", ""),
        (UNIT_OF_ETCD, ["/var/lib/etcd/member/wal/0.wal"], None, "m1"),
        (UNIT_OF_ETCD, [], None, ""),  # its member has not begun
        ({}, ["/var/lib/etcd/member/wal/0.wal"], None, ""),
    ],
)
def test_a_host_is_called_as_its_node_or_its_member_is(files, paths, subject, expected):
    picture = Picture(files, {"openssl": subject} if subject else {}, paths)
    assert _host.node_name(picture) == expected


def test_the_round_trip_is_the_least_of_three_and_silent_peers_are_left_out():
    picture = Picture(connects={("192.0.2.12", 22): [1.5, 0.4, 0.9], ("192.0.2.13", 22): [0.5, 0.2]})
    seen = observe(picture, peers={"m2": "192.0.2.12", "m3": "192.0.2.13", "m4": "192.0.2.14"})
    assert seen["rtt_ms"] == {"m2": 0.4}


def test_arp_is_asked_on_the_interface_of_the_endpoints_subnet():
    asked = []

    def probe(interface, address):
        asked.append((interface, address))
        return ["02:00:00:00:00:99"]

    seen = observe(endpoint_address="192.0.2.200", probe_arp="always", arp_probe=probe)
    assert (asked, seen["arp"]) == ([("eth0", "192.0.2.200")], ["02:00:00:00:00:99"])


LISTED = [
    {"interface": name, "address": address, "prefix": prefix}
    for name, address, prefix in (("lo", "192.0.2.10", 32), ("eth0", "198.51.100.5", 24), ("eth1", "192.0.2.11", 24))
]


@pytest.mark.parametrize(
    "address,interface",
    [
        ("192.0.2.200", "eth1"),
        ("198.51.100.7", "eth0"),
        ("192.0.2.10", "eth1"),
        ("203.0.113.9", None),
        ("2001:db8::1", None),
    ],
)
def test_of_several_interfaces_the_one_in_whose_subnet_the_address_lies(address, interface):
    assert _host.interface_for(LISTED, address) == interface


@pytest.mark.parametrize(
    "probe_arp,bare,asks",
    [
        ("never", True, False),
        ("bare", True, True),
        ("bare", False, False),
        ("always", False, True),
    ],
)
def test_arp_is_asked_when_it_should_be(probe_arp, bare, asks):
    picture = Picture(paths=[] if bare else ["/etc/kubernetes/pki/ca.crt"])
    seen = observe(picture, endpoint_address="192.0.2.200", probe_arp=probe_arp, arp_probe=lambda interface, address: ["mac"])
    assert seen["certificates"] is not bare
    assert seen["arp"] == (["mac"] if asks else None)


def test_an_interface_that_cannot_be_asked_gives_no_arp_answer():
    def probe(interface, address):
        raise _arp.ArpError("no")

    assert observe(endpoint_address="192.0.2.200", probe_arp="always", arp_probe=probe)["arp"] is None
    assert observe(endpoint_address="203.0.113.9", probe_arp="always", arp_probe=probe)["arp"] is None


def test_swap_and_the_unified_hierarchy_are_seen():
    swaps = "Filename Type Size Used Priority\n/dev/vda2 partition 1 0 -2\n"
    seen = observe(Picture({"/proc/swaps": swaps}, paths=["/sys/fs/cgroup/cgroup.controllers"]))
    assert (seen["swap"], seen["cgroup"]) == (True, 2)


def test_name_servers_are_those_that_pods_can_ask_too():
    assert observe()["resolver"] == {"path": "/etc/resolv.conf", "nameservers": []}
    files = {"/etc/resolv.conf": "nameserver 127.0.0.53\n", "/run/systemd/resolve/resolv.conf": "nameserver 192.0.2.1\n"}
    seen = observe(Picture(files))["resolver"]
    assert seen == {"path": "/run/systemd/resolve/resolv.conf", "nameservers": ["192.0.2.1"]}


def test_the_disk_is_measured_with_etcds_write_size_and_nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(_host, "WAL_WRITES", 3)
    assert _host.fdatasync_p99_ms(str(tmp_path)) >= 0
    assert list(tmp_path.iterdir()) == []
    assert _host.fdatasync_p99_ms(str(tmp_path / "none")) is None


def test_the_real_system_answers(tmp_path):
    system = _host.System()
    (tmp_path / "a").write_text("x")
    assert system.read(str(tmp_path / "a")) == "x"
    assert system.read(str(tmp_path / "b")) is None
    assert system.names(str(tmp_path)) == ["a"]
    assert system.names(str(tmp_path / "b")) == []
    assert system.link(str(tmp_path / "a")) is None
    assert system.run(["true"]) == (0, "")
    assert system.run(["no-such-program-here"]) == (127, "")
    assert system.free_mib(str(tmp_path / "not" / "there")) > 0
    assert 0 < system.free_percent(str(tmp_path / "not" / "there")) <= 100
    assert system.free_percent("/proc/not-there") is None, "a file system without blocks has no share"
    assert system.connect_ms("127.0.0.1", 1) is None
    assert len(system.facts()) == 5


@pytest.mark.parametrize(
    ("passwd", "users"),
    [("", []), ("root:x:0:0::/:/bin/sh\netcd:x:997:997::/:\n", ["etcd"]), ("etcd:x:1:1\n", ["etcd"]), ("etcd2:x\n", [])],
)
def test_the_users_of_services_that_are_there(passwd, users):
    assert observe(Picture(files={"/etc/passwd": passwd}))["users"] == users
