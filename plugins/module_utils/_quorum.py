# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Judge one step on an etcd cluster before it is taken: is quorum kept, and what is survived afterwards?

Solves: a restart or a change of membership at the wrong moment takes the whole cluster down. Leaves out: reading the
cluster (``_etcd``), the order of several steps (``_join_order``), waiting for safety (module ``etcd_quorum``).

With n voters the quorum is q(n) = n // 2 + 1, the smallest number of which any two groups overlap (Raft, section 5.2).
h counts the voters proven healthy by a fresh linearizable read through each one's own URL; unknown is unhealthy.

    ======================  ========================================  =========================================
    step                    safe if and only if                       in words
    ======================  ========================================  =========================================
    restart voter x         h without x >= q(n)                       the others carry the cluster meanwhile
    restart a learner       always                                    a learner has no vote
    remove voter x          h >= q(n), n - 1 >= 1 and                 committed by the present voters, and the
                            h without x >= q(n - 1)                   rest carries the smaller cluster
    remove a learner        h >= q(n)                                 committed by the present voters
    add a learner           h >= q(n) and                             so many that the newcomer may fail as the
                            (n = 1 or h >= q(n + 1))                  voter it is to become (etcd's own rule)
    promote a learner       h >= q(n) and h + 1 >= q(n + 1)           committed by the present voters, and with
                                                                      the newcomer the larger cluster is carried
    update voter x          h >= q(n) and                             committed by the present voters; the others
                            (n = 1 or h without x >= q(n))            carry the cluster until they reach it anew
    update a learner        h >= q(n)                                 committed by the present voters
    ======================  ========================================  =========================================

The row "add a learner" is ``isConnectedToQuorumAfterAddingNewMemberSince`` of etcd 3.6.16 and 3.7.3 (both in
``server/etcdserver``), which counts voters connected for 5 s; here a voter counts when it served a linearizable read,
and etcd itself, asked, adds the 5 s. The rows for remove and promote are at least as strict as etcd's. (The second
half of promote follows from the first; it is kept, as etcd keeps it, because it says what the step is for.)

Refused besides, whatever the step: see ``_SENTENCES``, which holds what is said for each refusal and what to do then. (That
somebody else is at work, by his lock or his cordon, is ``_lock``'s to refuse, before each step.)
The tests prove the table by enumerating every cluster of up to seven voters against the definition of a majority.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

RESTART = "restart"
REMOVE = "remove"
ADD_LEARNER = "add_learner"
PROMOTE = "promote"
UPDATE = "update"
KINDS = (RESTART, REMOVE, ADD_LEARNER, PROMOTE, UPDATE)

# What the etcd role passes as --max-learners: newcomers become voters in pairs.
MAX_LEARNERS = 2

LOST_QUORUM_RUNBOOK = "docs/runbooks/etcd-lost-quorum.md"
AT_RISK_RUNBOOK = "docs/runbooks/quorum-at-risk.md"
# The alarm that a member's data differ from the others', and whose it is where no majority of the data agrees: the id of nobody
# (``checkPeerHashes`` of etcd 3.6.16 and 3.7.3).
CORRUPT, NOBODY = "CORRUPT", "0"
# What to do about each alarm. With one raised the API takes no write, and so no lock: what ends it is done by hand. It stays when
# its member is removed (etcd's alarm store knows nothing of members), so the member is out of use first, then it is disarmed, and
# then replaced as any that lost its data, behind the gate.
_ALARM_NEXT = {
    "NOSPACE": f"compact, defragment one member after the other, then disarm ({AT_RISK_RUNBOOK}, section 4)",
    CORRUPT: f"stop etcd there, put its data aside, disarm, then replace_node.yml for its host ({AT_RISK_RUNBOOK}, section 6)",
}
# Of two voters, both well, nobody is missing who could be brought back. What helps is that one of them does not vote.
_STANDS_BY = "-e multimaster_even_voters=false, so that one of the two stands by as a learner; or add a third member first"
EVEN_NEXT = f"run with {_STANDS_BY}"
_CORRUPT_SOMEWHERE = f"no majority of the data agrees, so that etcd names no member: remove none ({AT_RISK_RUNBOOK}, section 6)"

# For each refusal: what is wrong, and the next step.
_SENTENCES = {
    "nobody": (
        "no voter was seen, so there is no cluster to judge",
        "check that the etcd hosts answer on their client URLs; a cluster that was never built is built by site.yml",
    ),
    "cluster_ids": (
        "the members answer for {count} different clusters ({ids})",
        "find the host that carries another cluster's data and take it out of the inventory; touch neither before",
    ),
    "leaderless": (
        "the cluster has no leader, so nothing can be committed",
        "wait for an election (seconds); if none comes, see " + LOST_QUORUM_RUNBOOK,
    ),
    "alarm": (
        "{alarm} is raised on {member}",
        "repair that first: {remedy}",
    ),
    "stray_learner": (
        "{member} is a learner that no host of the inventory accounts for, and it takes a learner's place",
        "only if nobody is adding it just now: {removal}",
    ),
    "no_target": (
        "there is no member {target}",
        "read the members again; the step may already have been taken",
    ),
    "many_targets": (
        "{count} members are called {target}",
        "name the member by its id",
    ),
    "exists": (
        "{target} is a member already",
        "start or promote it; one that lost its data is taken out and added anew by replace_node.yml",
    ),
    "voter_already": (
        "{target} is a voter already",
        "nothing to do; read the members again",
    ),
    "learners_full": (
        "there are {count} learners already and etcd takes {limit}",
        "promote or remove one first",
    ),
    "not_in_sync": (
        "the learner {target} is not proven to be running and in sync",
        "start etcd on it and wait until it follows the leader",
    ),
    "uncommitted": (
        "{healthy} of {voters} voters are healthy and {majority} must agree to any change of membership",
        "bring back {missing}; if that is impossible, see " + LOST_QUORUM_RUNBOOK,
    ),
    "restart": (
        "without {target} {living} of {counted} voters would be healthy and {quorum} are needed",
        "bring back {missing} first",
    ),
    "even_restart": (
        "without {target} {living} of {counted} voters would be healthy and {quorum} are needed: of two, neither can be spared",
        EVEN_NEXT,
    ),
    "outage": (
        "{target} is the only voter: while it restarts the whole API is away",
        "allow it for this run (-e etcd_allow_outage=true), or have three etcd members first: of three voters one can be spared",
    ),
    "gives_way": (
        "{target} is the only voter and {learners} stands by: it does not restart in place, {learners} votes instead of it first",
        "see to it that {learners} runs, then run the same command again: it lets {target} and {learners} change places",
    ),
    "last_voter": (
        "{target} is the last voter: removing it removes the cluster",
        "add another etcd member and let it become a voter first",
    ),
    "remove": (
        "after removing {target} {living} of {counted} voters would be healthy and {quorum} are needed",
        "bring back {missing} first, or remove the dead member before this one",
    ),
    "add_learner": (
        "{healthy} of {voters} voters are healthy and {quorum} must be before another joins: it may fail once it votes",
        "bring back {missing}, or remove the dead member first: replacing is remove, wipe, add",
    ),
    "promote": (
        "with {target} as a voter {living} of {counted} would be healthy and {quorum} are needed",
        "bring back {missing} first",
    ),
    "update": (
        "while {target} is not reached at another address {living} of {counted} voters would be healthy and {quorum} are needed",
        "bring back {missing} first",
    ),
    "even_update": (
        "while {target} is not reached at another address {living} of {counted} voters would be healthy and {quorum} are needed: "
        "of two, neither can be spared",
        f"run site.yml at the old address with {_STANDS_BY}",
    ),
}


def hex_id(member_id: str) -> str:
    """Return a member's id as etcdctl shows and takes it; etcd's JSON gateway tells it in decimal."""
    return f"{int(member_id):x}" if member_id.isdecimal() else member_id


def removal(member_id: str) -> str:
    """Return the command that removes exactly this member; `e` is etcdctl with the certificates that it needs."""
    return f"on an etcd host, with `e` of {AT_RISK_RUNBOOK}, section 4: `e member remove {hex_id(member_id)}`"


def alarm_next(member_id: str, alarm: str) -> str:
    """Return what to do about an alarm; one that nobody here knows is looked up."""
    if (member_id, alarm) == (NOBODY, CORRUPT):
        return _CORRUPT_SOMEWHERE
    return _ALARM_NEXT.get(alarm, f"look it up, then disarm ({AT_RISK_RUNBOOK}, section 4)")


def alarm_of(member_id: str, name: str = "") -> str:
    """Return whose alarm it is, in words: by the name, where one is known."""
    return name or ("no member in particular" if member_id == NOBODY else hex_id(member_id))


def alarm_words(member_id, alarm, name=""):
    """Return what was found, what is wanted and what to do about an alarm that is raised."""
    said, following = alarm_of(member_id, name), alarm_next(member_id, alarm)
    return f"etcd has raised {alarm} on {said}: no write is taken", "no alarm", f"{following[0].upper()}{following[1:]}."


def quorum(voters: int) -> int:
    """Return how many of so many voters must agree; 1 for none, so that nothing never has a quorum."""
    return voters // 2 + 1


@dataclass(frozen=True)
class Member:
    """One member of the list, with what was proven of it.

    ``healthy``: for a voter, a linearizable read through its own URL succeeded just now; for a learner, it runs and
    follows the leader. None is unknown and counts as unhealthy. A member that was added and never started has no name.
    ``zone``: that of its host, "" where it is not known.
    """

    id: str
    name: str = ""
    is_learner: bool = False
    healthy: bool | None = None
    raft_index: int = 0
    peer_urls: tuple = ()
    client_urls: tuple = ()
    zone: str = ""

    @property
    def voter(self):
        """Return whether it has a vote."""
        return not self.is_learner

    @property
    def started(self):
        """Return whether it ever ran, as etcd itself tells it: by its name."""
        return bool(self.name)

    @property
    def label(self):
        """Return how to call it in a sentence."""
        return self.name or f"the unnamed member {hex_id(self.id)} ({', '.join(self.peer_urls) or 'no URL'})"

    def called(self, target):
        """Return whether `target` is its id, its name or one of its peer URLs."""
        return bool(target) and (target in (self.id, self.name) or target in self.peer_urls)


@dataclass(frozen=True)
class Cluster:
    """What is known of the cluster at this moment.

    ``alarms`` are (member id, alarm). ``ours`` names the members the inventory accounts for, by name or peer URL: a
    learner outside is a stray.
    """

    members: tuple = ()
    leader_id: str = ""
    cluster_ids: tuple = ()
    alarms: tuple = ()
    ours: frozenset = frozenset()

    @property
    def voters(self):
        """Return the members with a vote."""
        return tuple(member for member in self.members if member.voter)

    @property
    def learners(self):
        """Return the members without a vote."""
        return tuple(member for member in self.members if member.is_learner)

    @property
    def healthy(self):
        """Return the voters proven healthy."""
        return tuple(member for member in self.voters if member.healthy is True)

    @property
    def leader(self):
        """Return the leading voter, or None."""
        return next((member for member in self.voters if self.leader_id and member.id == self.leader_id), None)

    @property
    def strays(self):
        """Return the members that no host of the inventory accounts for."""
        return tuple(m for m in self.members if not any(m.called(known) for known in self.ours))

    def called(self, target):
        """Return the members of this id, name or peer URL."""
        return tuple(member for member in self.members if member.called(target))

    def name_of(self, member_id):
        """Return what a member is called, "" when it is none of the list."""
        return next((member.label for member in self.called(member_id)), "")


@dataclass(frozen=True)
class Step:
    """One step: its kind, the member (id, name or peer URL; for add_learner the newcomer's name), and why.

    ``urls`` are the etcd URLs to use from now on, in a plan's step that points an API server elsewhere
    (``_join_order.REPOINT``).
    """

    kind: str
    target: str
    why: str = ""
    urls: tuple = ()


@dataclass(frozen=True)
class Survival:
    """How many voters there are, how many are healthy, and what follows."""

    voters: int
    healthy: int

    @property
    def quorum(self):
        """Return how many must agree."""
        return quorum(self.voters)

    @property
    def failures(self):
        """Return how many more voters may fail; negative when that many are missing already."""
        return self.healthy - self.quorum

    def __str__(self):
        state = f"survives {self.failures} more" if self.failures >= 0 else "has no quorum"
        return f"{self.healthy} of {self.voters} voters healthy, quorum {self.quorum}, {state}"

    def as_dict(self):
        """Return plain data."""
        return {"voters": self.voters, "healthy": self.healthy, "quorum": self.quorum, "survives": self.failures}


@dataclass(frozen=True)
class Refusal:
    """One thing that forbids the step: its code, the sentence, and what to do."""

    code: str
    reason: str
    next_step: str


@dataclass(frozen=True)
class Verdict:
    """Whether the step is safe, every reason why not, and the cluster before, during and after it.

    ``during`` is the worst moment of the step. ``move_leader_to``: the step is safe once this member leads; move the
    leadership there, observe and judge again. ``outage``: safe only because the API's outage was allowed.
    """

    step: Step
    safe: bool
    refusals: tuple
    before: Survival
    during: Survival
    after: Survival
    move_leader_to: Member | None = None
    outage: bool = False

    @property
    def reason(self):
        """Return all reasons of a refusal, or what makes the step safe, in one sentence."""
        if not self.safe:
            return "; ".join(one.reason for one in self.refusals)
        if self.outage:
            return "the only voter restarts: an outage of the API, which was allowed"
        return f"during the step {self.during}"

    @property
    def next_step(self):
        """Return what to do: the remedies of a refusal, or the leadership to move first."""
        if not self.safe:
            return "; ".join(dict.fromkeys(one.next_step for one in self.refusals))
        return f"move the leadership to {self.move_leader_to.label} first" if self.move_leader_to else ""

    def as_dict(self):
        """Return plain data for a module's result."""
        return {
            "step": {"kind": self.step.kind, "target": self.step.target, "why": self.step.why},
            "safe": self.safe,
            "reason": self.reason,
            "next_step": self.next_step,
            "refusals": [asdict(one) for one in self.refusals],
            "before": self.before.as_dict(),
            "during": self.during.as_dict(),
            "after": self.after.as_dict(),
            "move_leader_to": self.move_leader_to.id if self.move_leader_to else "",
            "outage": self.outage,
        }


class _Refusals(list):
    """Collect refusals; sentences come from one table."""

    def add(self, code, **values):
        reason, next_step = (sentence.format(**values) for sentence in _SENTENCES[code])
        self.append(Refusal(code, reason, next_step))


def judge(cluster: Cluster, step: Step, allow_outage: bool = False) -> Verdict:
    """Judge a step on the projected cluster and return the verdict with all its reasons.

    ``allow_outage`` (etcd_allow_outage of the role) allows one thing only: restarting the only voter while nobody stands by.
    Raises ValueError on an unknown kind of step.
    """
    if step.kind not in KINDS:
        raise ValueError(f"unknown kind of step {step.kind!r}, known are {', '.join(KINDS)}")
    refusals = _Refusals()
    _refuse_state(cluster, step, refusals)
    target = _refuse_target(cluster, step, refusals)
    before, during, after = _project(cluster, step, target)
    outage = _refuse_quorum(cluster, step, target, allow_outage, refusals)
    safe = not refusals
    leads = safe and target is not None and target == cluster.leader and step.kind in (RESTART, REMOVE)
    heir = next_leader(cluster, target) if leads else None
    return Verdict(step, safe, tuple(refusals), before, during, after, heir, outage and safe)


def _refuse_state(cluster, step, refusals):
    """Refuse what no step may be taken on."""
    if not cluster.voters:
        refusals.add("nobody")
    elif cluster.leader is None:
        refusals.add("leaderless")
    if len(set(cluster.cluster_ids)) > 1:
        ids = sorted(set(cluster.cluster_ids))
        refusals.add("cluster_ids", count=len(ids), ids=", ".join(ids))
    for member_id, alarm in cluster.alarms:
        whose = alarm_of(member_id, cluster.name_of(member_id))
        refusals.add("alarm", alarm=alarm, member=whose, remedy=alarm_next(member_id, alarm))
    for member in cluster.strays:
        if member.is_learner and not (step.kind == REMOVE and member.called(step.target)):
            refusals.add("stray_learner", member=member.label, removal=removal(member.id))


def _refuse_target(cluster, step, refusals):
    """Find the member the step is about (None for a newcomer) and refuse a target that does not fit the step."""
    found = cluster.called(step.target)
    if len(found) > 1:
        refusals.add("many_targets", target=step.target, count=len(found))
        return None
    target = found[0] if found else None
    if step.kind == ADD_LEARNER:
        if target:
            refusals.add("exists", target=target.label)
        if len(cluster.learners) >= MAX_LEARNERS:
            refusals.add("learners_full", count=len(cluster.learners), limit=MAX_LEARNERS)
    elif target is None:
        refusals.add("no_target", target=step.target)
    elif step.kind == PROMOTE and target.voter:
        refusals.add("voter_already", target=target.label)
    elif step.kind == PROMOTE and target.healthy is not True:
        refusals.add("not_in_sync", target=target.label)
    return target


def _project(cluster, step, target):
    """Return the cluster's survival before, at the worst moment of, and after the step."""
    n, h = len(cluster.voters), len(cluster.healthy)
    before = Survival(n, h)
    if target is not None and target.voter:
        without = len([member for member in cluster.healthy if member != target])
        if step.kind == RESTART or (step.kind == UPDATE and n > 1):
            return before, Survival(n, without), before
        if step.kind == REMOVE:
            return before, Survival(n - 1, without), Survival(n - 1, without)
    elif target is not None and step.kind == PROMOTE:
        return before, Survival(n + 1, h), Survival(n + 1, h + 1)
    return before, before, before


def _refuse_quorum(cluster, step, target, allow_outage, refusals):
    """Apply the table of the module's docstring; return whether an outage had to be allowed."""
    n, h = len(cluster.voters), len(cluster.healthy)
    without = len([member for member in cluster.healthy if member != target])
    table = {  # kind of step: (safe, the voters that it is about, how many of them would be healthy)
        RESTART: (without >= quorum(n), n, without),
        REMOVE: (without >= quorum(n - 1), n - 1, without),
        ADD_LEARNER: (n == 1 or h >= quorum(n + 1), n + 1, h),
        PROMOTE: (h + 1 >= quorum(n + 1), n + 1, h + 1),
        UPDATE: (n == 1 or without >= quorum(n), n, without),
    }
    safe, counted, living = table[step.kind]
    ill = [member for member in cluster.voters if member.healthy is not True]
    missing = [member.label for member in ill if member != target] or [member.label for member in ill]
    said = {
        "target": target.label if target else step.target,
        "missing": ", ".join(missing) or "its voters",
        "voters": n,
        "healthy": h,
        "majority": quorum(n),
        "counted": counted,
        "living": living,
        "quorum": quorum(counted),
        "learners": ", ".join(member.label for member in cluster.learners),
    }
    if step.kind != RESTART and not h >= quorum(n):
        refusals.add("uncommitted", **said)
    if step.kind in (RESTART, REMOVE, UPDATE) and (target is None or target.is_learner):
        return False
    if step.kind == RESTART and n == 1 and cluster.learners:
        # No permission helps: an outage that somebody else can prevent is none to be allowed.
        refusals.add("gives_way", **said)
        return False
    if step.kind == RESTART and n == 1:
        if not allow_outage:
            refusals.add("outage", **said)
        return True
    if step.kind == REMOVE and not n - 1 >= 1:
        refusals.add("last_voter", **said)
    elif not safe:
        pair = h == n == 2 and step.kind in (RESTART, UPDATE)
        refusals.add(f"even_{step.kind}" if pair else step.kind, **said)
    return False


def next_leader(cluster, leader):
    """Return the most up-to-date healthy voter besides the leader (by name among equals), or None."""
    others = [member for member in cluster.healthy if member != leader]
    return min(others, key=lambda member: (-member.raft_index, member.name, member.id), default=None)


@dataclass(frozen=True)
class ZoneLoss:
    """What the loss of one zone does: ``left`` healthy voters outside it, of ``voters`` in all.

    ``avoidable``: so many voters spread evenly over these zones would survive the loss of any one of them.
    """

    zone: str
    survives: bool
    voters: int
    left: int
    avoidable: bool

    @property
    def reason(self):
        """Return the finding as a sentence."""
        left = f"without zone {self.zone or '(none)'} {self.left} of {self.voters} voters are left"
        if self.survives:
            return f"{left} and {quorum(self.voters)} are needed: quorum is kept"
        other = "another placement would keep it" if self.avoidable else "no placement over these zones would keep it"
        return f"{left} and {quorum(self.voters)} are needed: quorum is lost, and {other}"


def zone_losses(members_by_zone) -> tuple:
    """Return a ZoneLoss for each zone with voters, by name; zones known but empty count as places to spread to.

    The arithmetic: n voters in z zones survive the loss of any zone iff the fullest holds at most n - q(n), and the
    fullest holds at least ceil(n / z).
    """
    voters = {zone: [m for m in members if m.voter] for zone, members in members_by_zone.items()}
    n = sum(len(members) for members in voters.values())
    healthy = {zone: sum(member.healthy is True for member in members) for zone, members in voters.items()}
    avoidable = bool(voters) and -(-n // len(voters)) <= n - quorum(n)
    losses = []
    for zone in sorted(zone for zone, members in voters.items() if members):
        left = sum(healthy.values()) - healthy[zone]
        losses.append(ZoneLoss(zone, left >= quorum(n), n, left, avoidable))
    return tuple(losses)


def voter_losses(voters, known=()) -> tuple:
    """Return a ZoneLoss for each zone of these voters, () where one's zone is not known; `known` as in `placement_losses`."""
    if not all(member.zone for member in voters):
        return ()
    zones = {*(member.zone for member in voters), *known}
    return zone_losses({zone: [member for member in voters if member.zone == zone] for zone in zones})


def placement_losses(zones, known=()) -> tuple:
    """Return a ZoneLoss for each zone of a placement, given as the zone of each voter, all of them healthy.

    ``known``: zones that voters could be spread to besides.
    """
    return zone_losses({zone: (Member("", healthy=True),) * zones.count(zone) for zone in {*zones, *known}})
