# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Live through random requests and failures, with a controller that is cut off anywhere, and break no promise.

Machines fail between runs and in the middle of one: that run may stop with its reason, and may not break anything either.

The default takes seconds; `SIMULATION=500 pytest tests/unit/simulation` tries so many lives, each four times as long.
"""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from typing import NamedTuple

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _bootstrap, _join_order, _quorum
from cluster_model import Cluster, Machine, Stopped
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from observed import topology

LIVES = int(os.environ.get("SIMULATION", 0))
NAMES = ("m1", "m2", "m3", "m4", "m5", "m10")
ETCD_ONLY = ("e1", "e2", "e3", "e4", "e10")
# Acts that the longest plan takes: who is cut off later is not cut off.
LONGEST = 40
# What befalls a machine in the middle of a run: it loses its power, for good if the rest has a quorum, or its etcd hangs.
OFF, LOST, HUNG = "power off", "lost", "hung"


class Blow(NamedTuple):
    """What befalls which machine after so many acts of a run, and whether that is over after so many more."""

    what: str
    whom: str
    after: int
    lasts: int = 10_000


# Acts before something happens in a run: most often within the first few, which all runs have.
ACTS = st.integers(1, 8) | st.integers(1, LONGEST)


def some(names, least=1, most=2):
    return st.sets(st.sampled_from(sorted(names)), min_size=least, max_size=most)


def survives_each_zone(cluster, voters):
    """Return whether more voters are outside of each zone than in it: counted here, not as the rules under test do."""
    zones = [cluster.machines[name].zone for name in voters]
    return all(zones.count(zone) < len(zones) - zones.count(zone) for zone in zones)


class Life(RuleBasedStateMachine):
    """One cluster's life.

    Where `by_playbooks`, the operator does one thing at a time, with the playbook that is meant for it (`pending`). Else
    requests come whenever they like, and what is carried out is most often the plan itself.
    """

    cluster, sound, pending, by_playbooks, struck = None, False, "", False, False
    say = staticmethod(note)

    @initialize(
        by_playbooks=st.booleans(),
        stacked=st.booleans(),
        zones=st.lists(st.sampled_from("abc"), min_size=len(NAMES), max_size=len(NAMES)),
        even=st.sampled_from([False, False, False, True]),
        size=st.integers(1, 5),
    )
    def build(self, by_playbooks, stacked, zones, even, size):
        machines = [Machine(name, zone, member=stacked) for name, zone in zip(NAMES, zones)]
        if not stacked:
            machines = machines[:3] + [Machine(name, zone, master=False) for name, zone in zip(ETCD_ONLY, zones)]
        goal = set(sorted(m.name for m in machines if m.member)[:size]) | {m.name for m in machines[:size] if m.master}
        self.found(machines, goal, even, by_playbooks)

    def found(self, machines, goal, even=False, by_playbooks=True):
        """Found a cluster and bring it to rest."""
        self.cluster = cluster = Cluster(machines, even)
        cluster.goal = goal
        cluster.etcd.found(_join_order.wanted_roles(_quorum.Cluster(), cluster.wanted(())).voters)
        self.sound, self.by_playbooks, self.aside = True, by_playbooks, set()
        self.finish()

    # what is wanted

    def bare(self):
        """Return the machines outside that can be taken in."""
        cluster = self.cluster
        outside = set(cluster.machines) - cluster.goal - cluster.leaving - self.aside
        return {name for name in outside if cluster.machines[name].up and not cluster.machines[name].lost}

    def at_ease(self):
        """Return whether a request may come: with playbooks when the one before is done and etcd runs everywhere."""
        return not self.by_playbooks or not (self.pending or self.without_data())

    def may_leave(self, names):
        """Return whether a cluster would be left, with a master that works already."""
        left = [m for n, m in self.cluster.machines.items() if n in self.cluster.goal - names and m.up]
        return any(m.master and (m.api or not self.by_playbooks) for m in left) and any(m.member for m in left)

    def leave(self, names):
        """Take machines out."""
        if self.by_playbooks:
            names = self.alone(names)
        if names and self.may_leave(names):
            self.cluster.replacing = ("", "")
            self.cluster.goal -= names
            self.cluster.leaving |= names
            self.pending = "by_removal"

    def alone(self, names):
        """Put aside who has not joined yet, and return these names with those whose join is half done; none if that is all."""
        cluster, members = self.cluster, {member.host: member for member in self.cluster.etcd.listed()}
        half = {n for n in cluster.goal & set(members) if not members[n].name and n not in cluster.etcd.logs}
        machines = [cluster.machines[name] for name in cluster.goal - set(members)]
        strangers = {machine.name for machine in machines if not machine.api and (machine.member or machine.up)}
        if not names or not self.may_leave(names | half | strangers):
            return set()
        self.aside |= (half | strangers) - names
        cluster.goal -= strangers - half - names
        return names | half

    @precondition(lambda self: self.bare() and self.at_ease())
    @rule(data=st.data())
    def grow(self, data):
        self.cluster.goal |= data.draw(some(self.bare()), "take in")
        self.pending = "by_site"

    @precondition(lambda self: self.at_ease())
    @rule(data=st.data())
    def shrink(self, data):
        self.leave(data.draw(some(self.cluster.goal), "take out"))

    @precondition(lambda self: self.at_ease() and self.by_playbooks)
    @rule(data=st.data())
    def change_a_setting(self, data):
        """Let a voter have to restart; of two it gives way, of others nobody cares here."""
        voters = {member.host for member in self.cluster.etcd.voters()} & self.cluster.goal
        if len(self.cluster.etcd.listed()) == 2 and voters:
            self.cluster.restarting = data.draw(st.sampled_from(sorted(voters)), "restart")
            self.pending = "by_site"

    @precondition(lambda self: self.bare() and not self.by_playbooks)
    @rule(data=st.data())
    def replace(self, data):
        """Take a host out and another one in by one plan."""
        self.cluster.goal |= data.draw(some(self.bare(), most=1), "take in")
        self.leave(data.draw(some(self.cluster.goal, most=1), "take out"))

    @precondition(lambda self: self.by_playbooks and self.at_ease() and self.successions())
    @rule(data=st.data())
    def replace_by_another(self, data):
        """Let a bare machine take the place of one, dead or healthy, that is like it."""
        self.succeed(*data.draw(st.sampled_from(self.successions()), "replace"))

    @precondition(lambda self: self.by_playbooks and not self.pending and self.bereft())
    @rule(data=st.data())
    def replace_by_itself(self, data):
        """Let a new machine, or one whose etcd has lost its disk, take its own place."""
        name = data.draw(st.sampled_from(sorted(self.bereft())), "replace")
        if self.cluster.machines[name].lost:
            self.cluster.new_disk(name)
        self.succeed(name, "")

    def successions(self):
        """Return (who goes, who comes) of the hosts that are alike, where a master stays that works."""
        machines = self.cluster.machines
        return [
            (old, new)
            for old in sorted(self.cluster.goal)
            for new in sorted(self.bare())
            if self.may_leave({old})
            and all(getattr(machines[old], one) == getattr(machines[new], one) for one in ("zone", "master", "member"))
        ]

    def bereft(self):
        return (self.lost() | self.without_data()) & self.cluster.goal

    def succeed(self, node, by):
        if by:
            self.cluster.goal = self.cluster.goal - {node} | {by}
            self.cluster.leaving.add(node)
        self.cluster.replacing, self.pending = (node, by), "by_replacement"

    def comes(self):
        """Return whom a replacement that is asked for brings in."""
        node, by = self.cluster.replacing
        return {by or node} if self.pending == "by_replacement" else set()

    def asked(self):
        """Return the playbook for what is asked for."""
        return self.pending if self.comes() else "by_removal" if self.cluster.leaving else "by_site"

    @precondition(lambda self: self.lost() & self.cluster.goal)
    @rule()
    def give_the_lost_up(self):
        self.leave(self.lost() & self.cluster.goal)

    # what befalls the machines

    def lost(self):
        return {name for name, machine in self.cluster.machines.items() if machine.lost}

    def down(self):
        return {name for name, machine in self.cluster.machines.items() if not machine.up and not machine.lost}

    def up(self):
        return {name for name in self.cluster.goal | self.cluster.leaving if self.cluster.machines[name].up}

    def without_data(self):
        """Return the machines whose member ran and has lost its data."""
        etcd = self.cluster.etcd
        return {member.host for member in etcd.listed() if member.name and member.host not in etcd.logs} - self.lost()

    def half_in(self):
        """Return the masters that stay and are not all of one: new ones, on which a run was cut off, and those built anew."""
        machines = {name: self.cluster.machines[name] for name in self.cluster.masters()}
        return {name for name, machine in machines.items() if machine.api is None or not machine.joined} - self.lost()

    def can_spare(self, name):
        """Return whether the rest has a quorum without this machine, for good."""
        cluster, living = self.cluster, [m for m in self.cluster.etcd.living() if m.host != name]
        return len(living) > len(cluster.etcd.voters()) - len(living) and self.may_leave({name})

    def all_run(self):
        """Return whether no machine is off but those that are lost, and no etcd hangs."""
        return not self.down() and not self.cluster.etcd.hung

    def targets(self, what):
        """Return the machines that this may befall."""
        etcd = self.cluster.etcd
        return {name for name in etcd.running if etcd.of(name)} if what == HUNG else self.up()

    def strike(self, what, name):
        if what == HUNG:
            self.cluster.hang(name)
        else:
            self.cluster.machines[name].lost = what == LOST and self.can_spare(name)
            self.cluster.power_off(name)

    @precondition(lambda self: self.up() and self.all_run())
    @rule(data=st.data(), what=st.sampled_from([OFF, LOST, HUNG]))
    def fail(self, data, what):
        if self.targets(what):
            self.strike(what, data.draw(st.sampled_from(sorted(self.targets(what)))))

    @precondition(lambda self: not self.all_run())
    @rule()
    def boot(self):
        for name in self.down():
            self.cluster.boot(name)
        for name in sorted(self.cluster.etcd.hung):
            self.cluster.wake(name)

    @precondition(lambda self: self.lost() - self.cluster.leaving)
    @rule(data=st.data())
    def new_disk(self, data):
        """Build a lost machine anew, under its own name."""
        self.cluster.new_disk(data.draw(st.sampled_from(sorted(self.lost() - self.cluster.leaving))))

    @precondition(lambda self: self.targets(HUNG) and not self.without_data() and self.at_ease())
    @rule(data=st.data())
    def lose_etcds_disk(self, data):
        name = data.draw(st.sampled_from(sorted(self.targets(HUNG))))
        if self.cluster.etcd.of(name).learner or self.can_spare(name):
            self.cluster.etcd.wipe(name)
            self.cluster.settle()

    @precondition(lambda self: self.cluster.etcd.running)
    @rule(data=st.data(), entries=st.sampled_from([1, 1000]))
    def live(self, data, entries):
        """Let some hosts be slow, somebody else lead, entries be written, and covers expire."""
        hosts = sorted(self.cluster.etcd.running)
        self.cluster.etcd.slow = data.draw(some(hosts, least=0), "slow")
        self.cluster.etcd.elect(data.draw(st.sampled_from(hosts), "leader"))
        self.cluster.etcd.write(entries)
        self.let_covers_expire()

    def let_covers_expire(self):
        for part in self.cluster.segment.parts.values():
            part.cover = False

    # what the controller does

    @rule(data=st.data(), by_plan=st.booleans(), cut=st.integers(0, LONGEST), what=st.sampled_from(["", OFF, LOST, HUNG]))
    def run(self, data, by_plan, cut, what):
        """Run the playbook that is meant for it, or take the steps of the plan; both may be struck in the middle."""
        blow = None
        if what and self.targets(what):
            whom = data.draw(st.sampled_from(sorted(self.targets(what))), what)
            blow = Blow(what, whom, *data.draw(st.tuples(ACTS, ACTS), "after and for how many acts"))
        if by_plan and not self.by_playbooks:
            self.converge("by_plan", cut, blow)
        else:
            self.converge(self.asked(), cut, blow)

    def stand_still(self):
        """Return the masters that are up and take no part in what others share, as a move that was cut off leaves one."""
        parts = {name: self.cluster.segment.parts[name] for name in self.cluster.masters(self.up())}
        return [name for name, part in parts.items() if not part.vrrp] if any(part.vrrp for part in parts.values()) else []

    @precondition(
        lambda self: (self.at_ease() or self.stand_still()) and any(p.vrrp for p in self.cluster.segment.parts.values())
    )
    @rule(cut=st.integers(0, 6) | st.just(LONGEST))
    def move_the_address(self, cut):
        """Ask for it: it is refused, or done, or cut off, and then asked for again or mended by site.yml before anything else.

        It is cut off once: where each master but the holder stands still, site.yml alone goes on.
        """
        said = self.converge("by_move", LONGEST if self.stand_still() else cut)
        if not said:
            old, new = self.cluster.moved
            assert old != new and len(old) == len(new) == 1, f"the address was held by {old} and is held by {new}"
        elif self.stand_still() and not self.pending:
            self.pending = "by_site"

    def befall(self, blow, done):
        """Let it happen when its moment has come, if all is well until then, and let it be over later."""
        if done == blow.after and self.all_run() and blow.whom in self.targets(blow.what):
            self.say(f"  {blow.what}: {blow.whom}")
            self.struck = True
            self.strike(blow.what, blow.whom)
        elif self.struck and done == blow.after + blow.lasts:
            self.say("  that is over")
            self.boot()
        self.check()

    def converge(self, order, cut=10_000, blow=None):
        """Run until the end, or until the controller is cut off or stops; return what it stopped with."""
        cluster, self.struck = self.cluster, False
        self.check_plan()
        self.see_to_it_that_the_dead_stay_off()
        acts, done = getattr(cluster, order)(), 0
        self.say(f"{order} for {sorted(cluster.goal)} without {sorted(cluster.leaving)}")
        while done < cut:
            if blow:
                self.befall(blow, done)
            before = self.promises()
            try:
                act = next(acts, None)
            except Stopped as why:
                self.say(f"  stopped: {why}")
                return str(why)
            if act is None:
                return "" if order == "by_move" else self.done()
            self.say(f"  {act}")
            self.keep(before, act)
            done += 1
        return "cut off"

    def done(self):
        """Go on with those who were put aside."""
        self.cluster.goal |= self.aside
        self.pending, self.aside = "by_site" if self.aside else "", set()
        return ""

    def see_to_it_that_the_dead_stay_off(self):
        """Do what the plan of remove_node.yml asks a person to do with hosts that leave and cannot be reached."""
        if self.cluster.etcd.serves():
            for name in self.cluster.leaving:
                self.cluster.machines[name].lost |= not self.cluster.machines[name].up

    def check_plan(self):
        """The same input gives the same plan, in whatever order it comes."""
        cluster = self.cluster
        observed, wanted = cluster.observe(), cluster.wanted(set(cluster.machines))
        backwards = replace(observed, members=observed.members[::-1])
        turned = replace(wanted, hosts=wanted.hosts[::-1], leaving=wanted.leaving[::-1], api_servers=wanted.api_servers[::-1])
        plan, same = (_join_order.preview(*of) for of in ((observed, wanted), (backwards, turned)))
        assert [one.step for one in plan] == [one.step for one in same]

    def promises(self):
        """Return what holds now and must still hold after one act of ours."""
        cluster, ready = self.cluster, self.cluster.ready_servers()
        living = {member.client_url for member in cluster.etcd.living()}
        return {
            "a majority of the voters lives": cluster.etcd.has_quorum(),
            "somebody leads": cluster.etcd.serves(),
            "somebody answers at the address": bool(cluster.segment.answering()),
            "the API answers at the address": cluster.segment.serves(),
            **{f"the API server of {name} reaches a voter": name in ready for name in cluster.machines},
            **{f"the API server of {name} uses a voter": living & set(u) for name, u in cluster.running_servers().items()},
        }

    def keep(self, before, act):
        """Want every promise that held before an act of ours to hold after it."""
        now, stopped = self.promises(), act.removeprefix("stop ")
        if act.endswith(" in vain"):  # nobody looks whether its own member still serves before it is drained
            stopped = "the API server of {} ".format(act.split()[1])
        broken = [promise for promise, held in before.items() if held and not now.get(promise) and stopped not in promise]
        self.sound = not broken
        assert self.sound, f"after {act}: not so any more: {broken}"
        self.cluster.settle()
        self.check()

    @invariant()
    def check(self):
        """Want one holder at most, whatever happens."""
        if self.cluster:
            self.sound = self.sound and len(self.cluster.segment.holders()) < 2
            assert self.sound, f"the address is held by {self.cluster.segment.holders()}"

    def finish(self):
        """Mend what can be mended, then want the goal to be reached without another word."""
        self.boot()
        self.cluster.etcd.slow = set()
        self.cluster.settle()
        self.let_covers_expire()
        self.give_the_lost_up()
        if self.by_playbooks:
            # what etcd_member says of a member without its data comes to this: it is removed, and joins as a new one
            # but for one that is replaced by itself
            if self.without_data() - (self.comes() & {self.cluster.replacing[0]}):
                self.leave(self.without_data())
                self.aside |= self.without_data() & self.cluster.leaving
            if self.half_in() - self.comes() and (self.cluster.leaving or self.comes()) or self.asked() == "by_removal":
                # what a removal says beside a host that is half in the cluster: take it out as well, then bring it in again
                self.leave(self.half_in())
                self.aside |= self.half_in() & self.cluster.leaving
            orders = [self.asked(), "by_site"]
        else:
            orders = ["by_plan"]
        for order in orders:
            said = self.converge(order)
            assert not said, said
        self.at_rest()

    def at_rest(self):
        cluster, etcd = self.cluster, self.cluster.etcd
        shown = topology(cluster)
        assert (shown.plan.steps, shown.plan.refusals, shown.etcd.obstacles) == ((), (), ()), shown.plan.lines()
        assert shown.etcd.action == _bootstrap.NONE, shown.etcd.reason
        observed, wanted = cluster.observe(), cluster.wanted(cluster.goal)
        assert _join_order.preview(observed, wanted) == ()
        assert cluster.leaving == set() and not cluster.gives_way()
        voters, members = {m.host for m in etcd.voters()}, {m.host for m in etcd.listed()}
        assert members == {name for name in cluster.goal if cluster.machines[name].member}
        assert len(members - voters) == (0 if cluster.even_voters else 1 - len(members) % 2)
        assert survives_each_zone(cluster, voters) or not self.could_survive(members, len(voters)), f"{voters} are spread badly"
        assert all(etcd.up(member) for member in etcd.listed())
        assert sorted(cluster.running_servers()) == cluster.masters()
        for name, urls in cluster.running_servers().items():
            assert {url[8:-5] for url in urls} == ({name} if name in voters else voters)
        assert not any(cluster.machines[name].leftover for name in cluster.goal), "the next run would record it"
        holders = cluster.segment.holders()
        assert len(holders) == 1 and set(holders) <= set(cluster.masters())
        assert cluster.segment.serves()
        parts = [cluster.segment.parts[name] for name in cluster.masters()]
        direct = len(parts) == 1
        assert all((part.direct, part.vrrp, part.balancer) == (direct, not direct, not direct) for part in parts)
        others = [part for name, part in cluster.segment.parts.items() if part.up and name not in cluster.goal]
        assert not any(part.direct_on or part.vrrp_on or part.vrrp or part.address for part in others)

    def could_survive(self, members, votes):
        return any(survives_each_zone(self.cluster, some) for some in itertools.combinations(sorted(members), votes))

    def teardown(self):
        if self.sound:  # else a second failure would hide the first
            self.finish()


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=LIVES or 30,
    stateful_step_count=60 if LIVES else 15,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
