# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test when an API server leaves a balancer, what is waited for, and what a check says instead."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _endpoint_server, _failure, _haproxy
from fake_haproxy import FakeHaproxy
from fake_master import BALANCER, World

UP, DOWN, DRAINED = {}, {"status": "DOWN", "check": "L4CON"}, {"status": "DRAIN", "check": "", "checked": False}


class Balancer:
    """Hold a balancer, a clock, and what changes in it at which second."""

    def __init__(self, later=(), **servers):
        self.fake, self.now, self.later, self.slept = FakeHaproxy(**servers), 0.0, dict(later), 0

    def sleep(self, seconds):
        self.slept += 1
        self.now += seconds
        for at in [at for at in self.later if at <= self.now]:
            self.fake.servers[self.later.pop(at)].update(status="UP", check="L7OK", checked=True)

    def bring(self, name, state, check=False, timeout=1.0, allow_outage=False, in_use=()):
        wanted = {"name": name, "state": state, "timeout": timeout, "allow_outage": allow_outage, "in_use": in_use}
        tool = _haproxy.Haproxy(connector=self.fake)
        return _endpoint_server.bring(tool, World(up=(BALANCER,)), wanted, check, self.sleep, lambda: self.now)

    def take_back(self, names, check=False):
        tool = _haproxy.Haproxy(connector=self.fake)
        return _endpoint_server.take_back(tool, World(up=(BALANCER,)), names, check, self.sleep)

    def up(self):
        """Return the servers that take new connections here."""
        return {name for name, one in _haproxy.Haproxy(connector=self.fake).servers().items() if one.up}

    @property
    def orders(self):
        return [command for command in self.fake.commands if not command.startswith("show")]


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ({"m2": UP}, ""),
        ({"m2": DOWN, "m3": UP}, ""),
        ({"m2": DOWN, "m3": DRAINED}, "(m2 is down, m3 is drain)"),
        ({"m2": {"check": "INI"}}, "(m2 is not checked yet)"),
        ({}, "(there is none)"),
    ],
)
def test_one_is_spared_while_another_is_up(others, said):
    servers = _haproxy.Haproxy(connector=FakeHaproxy(m1=UP, **others)).servers()
    found = _endpoint_server.not_spared(servers, "m1")
    assert bool(found) is bool(said) and said in found


@pytest.mark.parametrize(
    ("entry", "drained", "said"),
    [
        (UP, False, ""),
        (DRAINED, True, ""),
        ({"status": "DRAIN"}, True, "m1 is drain (L7OK Layer7 check passed) after 3 s, not drained"),
        ({"checked": False}, False, "m1 is up (L7OK Layer7 check passed) after 3 s, not up"),
        (DOWN, False, "m1 is down (L4CON Layer7 check passed) after 3 s, not up"),
        ({"check": ""}, False, "m1 is not checked yet (Layer7 check passed) after 3 s, not up"),
    ],
)
def test_a_server_is_there_when_haproxy_says_so(entry, drained, said):
    servers = _haproxy.Haproxy(connector=FakeHaproxy(m1=entry)).servers()
    assert _endpoint_server.not_there(servers["m1"], drained, 3.0) == said


def test_another_one_is_waited_for():
    balancer = Balancer({0.5: "m2"}, m1=UP, m2=DOWN)
    assert balancer.bring("m1", "drained").changed
    assert 0.5 <= balancer.now < 0.6 and balancer.fake.servers["m1"]["status"] == "DRAIN"


def test_when_none_comes_nothing_is_done():
    balancer = Balancer(m1=UP, m2=DOWN)
    with pytest.raises(_haproxy.HaproxyError, match=r"no other API server is up .* Next: bring one up"):
        balancer.bring("m1", "drained")
    assert 1.0 <= balancer.now < 1.1 and not balancer.orders


def test_a_check_looks_once_and_says_what_a_run_would_wait_for():
    balancer = Balancer(m1=UP, m2=DOWN)
    outcome = balancer.bring("m1", "drained", check=True, timeout=30)
    assert outcome.changed and outcome.before == outcome.after and not balancer.slept and not balancer.orders
    assert outcome.unsafe.startswith("m1 would not be drained now: no other API server is up")
    assert not balancer.bring("m1", "drained", check=True, allow_outage=True).unsafe
    assert not balancer.bring("m1", "ready", check=True).unsafe


def test_one_that_does_not_come_back_is_an_error_and_a_check_foresees_that_it_does():
    balancer = Balancer(m1=DRAINED, m2=UP)
    assert balancer.bring("m1", "ready", check=True).changed
    balancer.fake.servers["m2"].update(status="DOWN", check="L4CON")
    with pytest.raises(_haproxy.HaproxyError, match="m2 is down .* after 1 s, not up") as caught:
        balancer.bring("m2", "ready")
    said = _failure.message(caught.value)
    assert said.partition(". Next: ")[2].startswith("`journalctl -u kube-apiserver -n 50` on m2 ")
    assert "haproxy" not in said, "HAProxy did what it is for"


def test_where_a_drain_is_not_obeyed_haproxy_is_looked_at():
    balancer = Balancer(m1=UP, m2=UP)
    answer = balancer.fake.answer
    balancer.fake.answer = lambda said: answer(said) if said.startswith("show") else "\n"
    with pytest.raises(_haproxy.HaproxyError, match="after 1 s, not drained") as caught:
        balancer.bring("m1", "drained")
    assert ". Next: `systemctl status haproxy` and " in _failure.message(caught.value)


def test_a_server_that_is_not_there_is_nobodys_turn():
    outcome = Balancer(m1=UP).bring("m9", "drained")
    assert outcome.as_dict() == {
        "changed": False,
        "reason": "HAProxy here knows no server m9, only m1",
        "back": [],
        "before": None,
        "after": None,
    }


def cuts():
    """Yield (masters, who was left drained, the order of the turns): each set of drained masters, each order, 2 and 3 masters."""
    for names in (("m1", "m2"), ("m1", "m2", "m3")):
        sets = itertools.chain.from_iterable(itertools.combinations(names, size) for size in range(len(names) + 1))
        yield from ((names, set(left), order) for left in list(sets) for order in itertools.permutations(names))


@pytest.mark.parametrize(("names", "left", "order"), list(cuts()))
def test_whoever_was_left_drained_each_turn_has_another_server_up(names, left, order):
    """However many runs were cut off, and whoever goes first now."""
    balancer = Balancer(**{name: DRAINED if name in left else UP for name in names})
    for name in order:
        balancer.bring(name, "drained", in_use=names)
        assert balancer.up() == set(names) - {name}, "all others are in use, not only one of them"
        balancer.bring(name, "ready")
    assert balancer.up() == set(names)


def test_who_is_drained_already_waits_for_another_one_as_well():
    balancer = Balancer(m1=DRAINED, m2=DRAINED)
    with pytest.raises(_haproxy.HaproxyError, match="m2 is drain"):
        balancer.bring("m1", "drained")


@pytest.mark.parametrize("m2", [DRAINED, {"status": "MAINT", "check": "", "checked": False}, {"checked": False}])
def test_a_check_foresees_that_a_drain_is_taken_back_and_takes_none_back(m2):
    balancer = Balancer(m1=DRAINED, m2=m2, m3=UP)
    outcome = balancer.bring("m1", "drained", check=True, in_use=("m1", "m2", "m3"))
    assert outcome.changed and "m2 was left drained" in outcome.reason and not balancer.orders
    assert balancer.bring("m1", "drained", in_use=("m1", "m2", "m3")).reason == outcome.reason
    assert not balancer.bring("m1", "drained", in_use=("m1", "m2", "m3")).changed


def test_several_that_leave_are_drained_together_and_who_is_down_stays_so():
    balancer = Balancer(m1=UP, m2=UP, m3=UP, m4=DOWN)
    for name in ("m2", "m3"):
        balancer.bring(name, "drained", in_use=("m1", "m4", "m9"))
    assert balancer.up() == {"m1"}
    assert not [order for order in balancer.orders if "m4" in order or "m9" in order]


def test_a_server_that_comes_back_leaves_the_others_alone():
    balancer = Balancer(m1=DRAINED, m2=DRAINED)
    balancer.bring("m1", "ready", in_use=("m1", "m2"))
    assert balancer.up() == {"m1"}


MAINTAINED = {"status": "MAINT", "check": "", "checked": False}


@pytest.mark.parametrize(
    ("servers", "back"),
    [
        ({"m1": UP, "m2": UP}, []),
        ({"m1": DRAINED, "m2": UP}, ["m1"]),
        # the other one broke meanwhile
        ({"m1": DRAINED, "m2": DOWN}, ["m1"]),
        ({"m1": DRAINED, "m2": DRAINED}, ["m1", "m2"]),
        ({"m1": MAINTAINED, "m2": {"checked": False}}, ["m1", "m2"]),
        # one that leaves, and one that this balancer does not know
        ({"m1": UP, "m3": DRAINED}, []),
    ],
)
def test_whatever_a_cut_left_drained_of_those_that_stay_is_in_use_again(servers, back):
    balancer = Balancer(**servers)
    seen = balancer.take_back(["m1", "m2"], check=True)
    assert (seen.changed, list(seen.back), balancer.orders, balancer.slept) == (bool(back), back, [], 0)
    done = balancer.take_back(["m1", "m2"])
    assert done == seen and done.as_dict()["back"] == back
    assert balancer.up() == {name for name, entry in servers.items() if name in back or entry is UP}
    assert not balancer.take_back(["m1", "m2"]).changed


def test_a_server_is_checked_before_it_gets_connections_again():
    balancer = Balancer(m1=DRAINED, m2=DRAINED)
    at, answer = [], balancer.fake.answer
    balancer.fake.answer = lambda command: at.append((balancer.now, command.split()[0])) or answer(command)
    balancer.take_back(["m1", "m2"])
    assert [one for one in at if one[1] != "show"] == [
        (0, "enable"),
        (0, "enable"),
        (_endpoint_server.CHECKED, "set"),
        (_endpoint_server.CHECKED, "set"),
    ]


def test_a_host_without_a_balancer_and_one_that_says_nothing_end_no_run():
    balancer = Balancer(m1=DRAINED)
    tool = _haproxy.Haproxy(connector=balancer.fake)
    assert _endpoint_server.take_back(tool, World(), ["m1"], False).reason == "no balancer runs on this host"
    balancer.fake.down = True
    outcome = balancer.take_back(["m1"])
    assert not outcome.changed and "does not answer" in outcome.reason


def test_a_drain_that_cannot_be_taken_back_is_an_error():
    balancer = Balancer(m1=DRAINED)
    balancer.fake.refuse = "Permission denied"
    with pytest.raises(_haproxy.HaproxyError, match="Permission denied"):
        balancer.take_back(["m1"])
