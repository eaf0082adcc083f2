# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Play a cluster, what befalls its machines, and the controller that changes it by the real decisions.

What the controller does comes in single acts, each a generator's step: who stops asking for the next one plays a controller
that is cut off there, between steps or inside of one. Before each act on etcd's membership `_quorum.judge` is asked on what
is so at that moment. The order is either that of the plan (`by_plan`), or that of the playbooks (`by_site`, `by_removal`,
`by_replacement`, `by_move`: docs/adr/0007 and playbooks/phases).
"""

from __future__ import annotations

import types
from dataclasses import dataclass

import observed
from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _endpoint,
    _endpoint_plan,
    _join_order,
    _membership,
    _quorum,
    _request,
)
from endpoint_model import Conf, Part, Segment
from etcd_model import Etcd, NotInSync, Refused

# Looks at a member that does not come on, before the controller gives up.
PATIENCE = 6


class Stopped(Exception):
    """The controller stops with a message: a gate refused, or something was not as it must be."""


@dataclass
class Machine:
    """One host; `api`: the etcd URLs of its API server (None: it has none), `lost`: it never comes back as it was.

    `joined`: its kubelet has its certificate; `replaces`: what its record says of whose place it takes.
    """

    name: str
    zone: str = ""
    master: bool = True
    member: bool = True
    up: bool = True
    lost: bool = False
    leftover: bool = False
    api: tuple | None = None
    joined: bool = False
    replaces: str = ""


class Cluster:
    """Machines, the etcd on them, the endpoint, and what is wanted: `goal` and `leaving` are names of machines.

    `replacing`: whom by_replacement replaces, and by whom, "" for a new machine under the old name. `moved`: who had the address
    before and after the last by_move.
    """

    def __init__(self, machines, even_voters=False):
        self.machines = {machine.name: machine for machine in machines}
        self.etcd, self.segment = Etcd(), Segment(self.ready)
        self.segment.parts = {name: Part() for name in self.machines}
        self.goal, self.leaving, self.even_voters, self.restarting = set(), set(), even_voters, ""
        self.replacing, self.moved = ("", ""), ()
        self.answered = set()  # at the beginning of the run: who is silent later stops it, who was silent already does not

    # what is so

    def masters(self, names=None):
        return sorted(name for name in (self.goal if names is None else names) if self.machines[name].master)

    def running_servers(self):
        """Return {master: etcd URLs in use} of the API servers that run."""
        return {name: m.api for name, m in self.machines.items() if m.up and m.api is not None}

    def ready(self, name):
        """Return whether a master's API server reaches a voter that serves."""
        return bool(set(self.running_servers().get(name, ())) & self.etcd.serving_urls())

    def ready_servers(self):
        serving = self.etcd.serving_urls()
        return {name for name, used in self.running_servers().items() if serving & set(used)}

    # what befalls the machines

    def power_off(self, name):
        self.machines[name].up = False
        self.etcd.stop(name)
        self.segment.power_off(name)
        self.settle()

    def boot(self, name):
        self.machines[name].up = True
        self.etcd.start(name)
        self.settle()
        self.segment.boot(name)
        self.settle()

    def hang(self, name):
        self.etcd.hang(name)
        self.settle()

    def wake(self, name):
        self.etcd.wake(name)
        self.settle()

    def new_disk(self, name):
        """Let a machine come back bare, as one that was built anew."""
        machine = self.machines[name]
        machine.up, machine.lost, machine.leftover, machine.api = True, False, False, None
        machine.joined, machine.replaces = False, ""
        self.etcd.wipe(name)
        self.segment.forget(name)
        self.settle()

    def settle(self):
        self.etcd.settle()
        self.segment.settle()

    # what the controller sees

    def observe(self):
        """Return the cluster as it proves itself; nobody when there is no quorum to confirm the list."""
        etcd = self.etcd
        if not etcd.serves():
            return _quorum.Cluster(ours=self._ours())
        members = tuple(
            _quorum.Member(
                member.id,
                member.name,
                member.learner,
                etcd.up(member) if self.machines[member.host].up else None,
                etcd.index(member),
                (member.peer_url,),
                (member.client_url,) if member.name else (),
            )
            for member in etcd.listed()
        )
        return _quorum.Cluster(members, etcd.leader, ("c",), ours=self._ours())

    def _ours(self):
        known = sorted(name for name in self.goal | self.leaving if self.machines[name].member)
        return frozenset(known) | {f"https://{name}:2380" for name in known}

    def wanted(self, servers):
        """Return what `_etcd_plan` hands to `_join_order`; `servers`: the masters whose API servers count."""
        names = sorted(name for name in self.goal | self.leaving if self.machines[name].member)
        return _join_order.Wanted(
            hosts=tuple(self._host(self.machines[name]) for name in names),
            even_voters=self.even_voters,
            leaving=tuple(f"https://{name}:2380" for name in sorted(self.leaving)),
            api_servers=tuple((name, urls) for name, urls in self.running_servers().items() if name in servers),
            stand_by=self.restarting if self.gives_way() else "",
        )

    def gives_way(self):
        """Return whether who has to restart is a voter of two that both stay and have run: `_giving_way` tells it by that.

        Where both are to vote neither gives way, and the restart is refused by the gate.
        """
        etcd, names = self.etcd, {name for name in self.goal | self.leaving if self.machines[name].member}
        known = {m.host for m in etcd.listed()} | {name for name in names if self._leftover(name)}
        member = etcd.of(self.restarting) if self.restarting else None
        pair = len(names) == 2 and known == names and not self.even_voters
        return pair and bool(member) and not member.learner and not self.leaving

    def _host(self, machine):
        name, data = machine.name, machine.name in self.etcd.logs
        urls = f"https://{name}:2380", f"https://{name}:2379"
        return _join_order.Host(name, machine.zone, *urls, data if machine.up else None, self._leftover(name))

    def _leftover(self, name):
        """Return whether a host's record says so and etcd does not prove the contrary, as `_topology` has it."""
        return self.machines[name].leftover and name not in self.etcd.running

    def plan(self):
        """Return the plan in which leaving API servers are pointed elsewhere too."""
        return _join_order.preview(self.observe(), self.wanted(set(self.machines)))

    def urls_at_rest(self, name):
        """Return the etcd URLs that an API server has when the plan is done, as `_topology` works them out."""
        roles = _join_order.at_rest(self.observe(), self.wanted(self.goal))
        voters = [_quorum.Member(n, n, client_urls=(f"https://{n}:2379",)) for n in roles.voters]
        return _join_order.etcd_endpoints(name, voters)

    # the controller, in the plan's order

    def by_plan(self):
        """Take the steps of the plan one after another.

        Then API servers start, and who comes gets its part in the endpoint before anybody leaves.
        """
        self._begin()
        self._see_quorum()
        plan = self.plan()
        yield from self._prepare()
        for one in plan:
            yield from self.take(one.step)
        yield from self._start_servers()
        together = self.masters() + self._leaving_masters()
        if not all(self.segment.takes_part(name) for name in self.masters()):
            yield from self._endpoint(together, self._turns(together))
        yield from self._join_nodes()
        yield from self._yield_address()
        yield from self._stop_servers()
        yield from self._endpoint(self.masters(), self._turns(self.masters()))
        yield from self._retire()

    # the controller, in the order of the playbooks

    def by_site(self):
        """Do what site.yml does: etcd grows, API servers start or are pointed elsewhere, a voter too many gives way."""
        self._preflight()
        plan, turns, first = [one.step for one in self.plan()], self._turns(self.masters()), self._parts_first()
        demote = [self._host_of(step.target) for step in plan if step.kind == _quorum.REMOVE]
        if self.leaving or set(demote) - self.goal:
            raise Stopped("site.yml takes no host out")
        yield from self._prepare()
        yield from self._grow(plan, demote)
        yield from self._start_servers()
        if first:
            yield from self._endpoint(self.masters(), turns)
        yield from self._point_servers(self.masters())
        for name in demote:
            yield from self._demote(name)
        yield from self._endpoint(self.masters(), turns)
        yield from self._join_nodes()

    def by_removal(self):
        """Do what remove_node.yml does: as site.yml, with the address, API servers and members of who leaves in between."""
        yield from self._by_request(_request.Request(_request.REMOVE, tuple(sorted(self.leaving))))

    def by_replacement(self):
        """Do what replace_node.yml does: as remove_node.yml, but the newcomer's node joins before anybody leaves."""
        node, by = self.replacing
        yield from self._by_request(_request.Request(_request.REPLACE, (node,), by))

    def by_move(self):
        """Do what move_endpoint.yml does: the holder lets the address go and comes back as a backup; who stands still, last."""
        self._begin()
        made = observed.topology(self, _request.Request(_request.MOVE))
        if made.plan.refusals:
            raise Stopped(f"request-refused: {made.plan.refusals}")
        before, orders, listed = self.segment.holders(), dict(made.order), self.masters(self.goal | self.leaving)
        for name in orders["move"]:
            yield from self._always(self._bring(name, _endpoint_plan.YIELDED), self._bring(name, _endpoint_plan.BALANCED, listed))
        for name in orders["stand_by"]:
            yield from self._bring(name, _endpoint_plan.BALANCED, listed)
        self.moved = before, self.segment.holders()

    @staticmethod
    def _always(acts, after):
        """Do the second after the first, also where that stops; whoever is cut off does neither."""
        try:
            yield from acts
        except Stopped:
            yield from after
            raise
        yield from after

    def _by_request(self, request):
        self._preflight(request.renewed)
        made = observed.topology(self, request)
        if made.plan.refusals:
            raise Stopped(f"request-refused: {made.plan.refusals}")
        plan = [one.step for one in _join_order.preview(self.observe(), self.wanted(self.goal))]
        turns, first, orders = self._turns(self.masters()), self._parts_first(), dict(made.order)
        removed = [self._host_of(step.target) for step in plan if step.kind == _quorum.REMOVE]
        forgotten = made.forgotten["members"]
        yield from self._forget(forgotten, [one for one in made.leaving if one.name in orders["leaving_stranded"]])
        yield from self._prepare()
        yield from self._record(request)
        demote = [name for name in removed if name in self.goal and name not in forgotten]
        yield from self._grow(plan, demote)
        yield from self._start_servers()
        if first:
            yield from self._endpoint(self.masters(), turns)
        yield from self._point_servers(self.masters())
        yield from self._join_nodes()
        yield from self._yield_address()
        yield from self._stop_servers()
        for name in [name for name in removed if name in self.leaving and name not in forgotten]:
            yield from self._remove(name)
        for name in demote:
            yield from self._demote(name)
        yield from self._endpoint(self.masters(), turns)
        yield from self._retire()
        for name in request.renewed:
            self._reach(name)
            self.machines[name].replaces = ""
            yield f"{name} takes nobody's place any more"

    def _forget(self, members, stranded):
        """Do what playbooks/phases/forget.yml does: point API servers that leave elsewhere, then remove members that are dead."""
        for host in stranded:
            yield from self._repoint(host.name, host.etcd_now)
        for name in members:
            yield from self._remove(name)

    def _prepare(self):
        """Record that no data are a former member's where etcd proves it, as role host_preparation does."""
        for name in sorted(self.goal & self.answered):
            if self.machines[name].leftover and not self._leftover(name):
                self._reach(name)
                self.machines[name].leftover = False
                yield f"{name} has no leftover"

    def _record(self, request):
        """Record whose place the new machine takes, as playbooks/phases/prepare.yml does."""
        for name in filter(None, (request.by, *request.renewed)):
            if self.machines[name].replaces != request.nodes[0]:
                self._reach(name)
                self.machines[name].replaces = request.nodes[0]
                yield f"{name} has its record"

    def _join_nodes(self):
        """Let kubelets get their certificates, as playbooks/phases/nodes.yml does."""
        self._reach(*self.masters())
        for name in self.masters():
            if not self.machines[name].joined:
                self.machines[name].joined = True
                yield f"the kubelet of {name} has its certificate"

    def _preflight(self, renewed=()):
        """Refuse what preflight refuses; of a machine that is renewed the former member may be dead."""
        self._begin()
        down = sorted(name for name in self.goal if not self.machines[name].up)
        if down:
            raise Stopped(f"host-unreachable: {down}")
        self._see_quorum()
        staying = self.goal - {name for name in renewed if name not in self.etcd.logs}
        down = [m.host for m in self.etcd.listed() if m.name and m.host in staying and not self.etcd.up(m)]
        if down:
            raise Stopped(f"etcd does not start: {down}")
        obstacles = [one for one in _join_order.obstacles(self.observe(), self.wanted(self.goal)) if one.host not in renewed]
        if obstacles:
            raise Stopped(f"etcd-obstacle: {obstacles}")

    def _begin(self):
        self.answered = {name for name, machine in self.machines.items() if machine.up}

    def _see_quorum(self):
        if not self.etcd.serves():
            raise Stopped("etcd-refused: no quorum")

    def _grow(self, plan, demote):
        """Join and promote in batches, in the order `grow` of `_topology`."""
        join = [s.target for s in plan if s.kind in (_quorum.ADD_LEARNER, _join_order.START) and s.target not in demote]
        promote = [self._host_of(s.target) for s in plan if s.kind == _quorum.PROMOTE]
        voters = _join_order.at_rest(self.observe(), self.wanted(self.goal)).voters
        order = [name for name in dict.fromkeys([*(n for n in promote if n not in join), *join]) if name not in demote]
        size = _join_order.together(sum(m.learner and m.host not in promote for m in self.etcd.listed()))
        self._reach(*(name for name in self.goal if self.machines[name].member))
        for first in range(0, len(order), size):
            for name in order[first : first + size]:
                yield from self._join(name)
            for name in order[first : first + size]:
                if name in voters:
                    yield from self._promote(name)

    def _point_servers(self, names):
        self._reach(*names)
        urls = {name: self.urls_at_rest(name) for name in names}
        for name, used in self.running_servers().items():
            if name in urls and set(used) != set(urls[name]):
                yield from self._repoint(name, urls[name])

    # single steps

    def take(self, step):
        """Take a step of the plan, act by act."""
        if step.kind in (_quorum.ADD_LEARNER, _join_order.START):
            yield from self._join(step.target)
        elif step.kind == _quorum.PROMOTE:
            yield from self._promote(self._host_of(step.target))
        elif step.kind == _quorum.REMOVE:
            name = self._host_of(step.target)
            yield from self._remove(name, comes_back=name in self.goal)
        else:
            yield from self._repoint(step.target, step.urls)

    def _host_of(self, target):
        """Return the machine of a member that is named by its id, its name or its peer URL."""
        return next((m.host for m in self.etcd.listed() if target in (m.id, m.name, m.peer_url)), target)

    def _reach(self, *names):
        """Want these hosts to answer: a play is over where one of its hosts does not (any_errors_fatal)."""
        silent = [name for name in names if not self.machines[name].up]
        if silent:
            raise Stopped(f"{silent} cannot be reached")

    def _own(self, name, added=""):
        member, log = self.etcd.of(name), self.etcd.logs.get(name)
        answers = name in self.etcd.running - self.etcd.hung and self.etcd.serves()
        status = types.SimpleNamespace(member_id=log.member, raft_applied_index=log.index) if answers else None
        unit = "running" if name in self.etcd.running else "down"
        return _membership.Own(name, f"https://{name}:2380", log is not None, unit, status, added if member else "")

    def _judged(self, kind, target):
        """Return the gate's verdict, which is safe, or stop."""
        verdict = _quorum.judge(self.observe(), _quorum.Step(kind, target))
        if not verdict.safe:
            raise Stopped(f"{kind} {target}: {verdict.reason}")
        return verdict

    def _moves(self, decide):
        """Yield moves of `_membership` until it says done; a bounded number of times."""
        for _look in range(PATIENCE):
            observed = self.observe()
            if not observed.members:
                raise Stopped("no member served a linearizable read")
            move = decide(observed.members, self.etcd.committed)
            if move.kind == _membership.DONE:
                return
            if move.kind == _membership.REFUSE:
                raise Stopped(f"{move.reason}: {move.next_step}")
            yield move
            self.etcd.catch_up()
            self.settle()
        raise Stopped(f"not in time: {move.reason}")

    def _join(self, name):
        """Bring a host's member to a learner in sync, as module etcd_member does; a voter stays one."""
        added, machine, etcd, wipe = "", self.machines[name], self.etcd, self._leftover(name)
        self._reach(name)

        def decide(members, index):
            return _membership.toward_learner(members, self._own(name, added), index, wipe)

        for move in self._moves(decide):
            self._reach(name)
            if move.kind == _membership.ADD:
                self._judged(_quorum.ADD_LEARNER, name)
                added = etcd.add(name)
            elif move.kind == _membership.REMOVE:
                self._judged(_quorum.REMOVE, move.target)
                etcd.remove(move.target)
            elif move.kind == _membership.WIPE:
                etcd.wipe(name)
            elif move.kind == _membership.START:
                etcd.start(name, without_log=name not in etcd.logs)
            yield f"{move.kind} {name}"
        if wipe:
            machine.leftover = False
            yield f"{name} has no leftover"

    def _promote(self, name):
        for move in self._moves(lambda members, index: _membership.toward_voter(members, self._own(name), index)):
            if move.kind == _membership.PROMOTE:
                self._judged(_quorum.PROMOTE, move.target)
                try:
                    self.etcd.promote(move.target)
                except NotInSync:  # the gate allows it; etcd looks closer, and is asked again
                    continue
                yield f"promote {name}"

    def _remove(self, name, comes_back=False):
        """Remove a host's member; of one that is to come back it is recorded first that the data are its own."""
        machine = self.machines[name]
        if comes_back and name in self.answered and name in self.etcd.logs:
            self._reach(name)
            machine.leftover = True
            yield f"{name} has a leftover"
        for move in self._moves(lambda members, _index: _membership.toward_absent(members, self._own(name))):
            if comes_back and name in self.answered:
                self._reach(name)  # it does that itself
            heir = self._judged(_quorum.REMOVE, move.target).move_leader_to
            if heir:
                self.etcd.move_leader(heir.id)
                yield f"{heir.name} leads"
            else:
                self.etcd.remove(move.target)
                yield f"remove {name}"

    def _demote(self, name):
        yield from self._remove(name, comes_back=True)
        yield from self._join(name)
        if name == self.restarting:
            self.restarting = ""  # it starts with what is written

    def _repoint(self, name, urls):
        """Let an API server use these members; one that does not become ready stays drained, and the run stops there."""
        self._reach(name)
        self.machines[name].api = tuple(urls)
        ready = self.ready(name)
        yield f"repoint {name}" if ready else f"repoint {name} in vain"
        if not ready:
            raise Stopped(f"the API server of {name} does not become ready")

    def _start_servers(self):
        for name in self.masters():
            if self.machines[name].api is None:
                yield from self._repoint(name, self.urls_at_rest(name))

    def _leaving_masters(self):
        return [name for name in self.masters(self.leaving) if name in self.answered]

    def _stop_servers(self):
        for name in self._leaving_masters():
            self._reach(name, *self.masters())
            if not any(self.ready(other) for other in self.masters()):  # endpoint_server drains none beside which nobody is up
                raise Stopped(f"nobody else serves: {name} is not drained")
            if self.machines[name].api is not None:
                self.machines[name].api = None
                yield f"stop the API server of {name}"

    def _retire(self):
        """End the part of who leaves in the endpoint, then leave the machine bare."""
        for name in self._leaving_masters():
            yield from self._bring(name, _endpoint_plan.ABSENT)
        for name in sorted(self.leaving):
            machine = self.machines[name]
            if name in self.answered:
                self._reach(name)
                self.etcd.wipe(name)
                machine.leftover, machine.joined, machine.replaces = False, False, ""
            self.leaving.discard(name)
            yield f"{name} is out"

    # the endpoint

    def _turns(self, masters):
        parts = [(name, self.segment.parts[name]) for name in masters]
        states = [_endpoint.MasterState(n, ("eth0",) if part.address else (), vrrp=part.vrrp) for n, part in parts]
        return _endpoint.holder_first(states)

    def _parts_first(self):
        """Return whether masters get their parts before any has its turn, as `_topology` tells it."""
        both = self.masters(), self._leaving_masters()
        parts = {name: self.segment.parts[name] for names in both for name in names}
        states = {
            name: _endpoint.MasterState(name, ("eth0",) if part.address else (), part.balancer, part.vrrp)
            for name, part in parts.items()
        }
        staying, leaving = ([states[name] for name in names] for names in both)
        modes = (_endpoint.wanted_state(names) for names in (self.masters(self.goal | self.leaving), both[0]))
        return _endpoint.before_turns(staying, [(one, one.name in self.running_servers()) for one in leaving], *modes)

    def _endpoint(self, masters, turns):
        """Bring the masters into their parts, in the order of playbooks/phases/endpoint.yml."""
        mode = _endpoint.wanted_state(masters)
        for name in masters if mode == _endpoint.BALANCED else ():
            yield from self._bring(name, _endpoint_plan.PREPARED, masters)
        for name in turns:
            yield from self._bring(name, mode, masters)

    def _yield_address(self):
        """Let the address go to a master that stays; who has it goes last."""
        for name in sorted(self._leaving_masters(), key=lambda n: (self.segment.parts[n].address, n)):
            yield from self._bring(name, _endpoint_plan.YIELDED)

    def _bring(self, name, state, masters=()):
        """Bring one master into its part, as `_endpoint_flow.bring` does; `masters` share the endpoint."""
        self._reach(name)
        segment, peers = self.segment, tuple(other for other in masters if other != name)
        plan = self._agreed(name, state, peers)
        if state in (_endpoint_plan.PREPARED, _endpoint_plan.BALANCED):
            segment.install(name)
            segment.write(name, Conf(tuple(masters), peers, _endpoint.priorities(masters)[name]))
            plan = self._agreed(name, state, peers)
            if not any(step.kind == "stop_vrrp" for step in plan.steps[:1]):  # done in the same moment
                yield f"{name}: files"
        for step in plan.steps:
            self._reach(name)
            try:
                segment.take(name, step)
            except Refused as error:
                raise Stopped(f"{step.kind} on {name}: {error}") from error
            yield f"{name}: {step.kind}"
        if plan.changed and state != _endpoint_plan.PREPARED:
            try:
                segment.prove(name, state)
            except Refused as error:
                raise Stopped(f"{name}: {error}") from error
        if state in (_endpoint_plan.DIRECT, _endpoint_plan.ABSENT):
            segment.write(name, None)
            yield f"{name}: no configuration of keepalived"

    def _agreed(self, name, state, peers):
        plan = _endpoint_plan.plan(self.segment.seen(name, peers), state)
        if plan.refusals:
            raise Stopped(f"{state} on {name}: {plan.reason}")
        return plan
