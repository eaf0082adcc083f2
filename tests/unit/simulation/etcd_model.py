# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Play etcd: members, write-ahead logs, elections, and what etcd itself refuses.

Written from Raft and from etcd 3.6 (server/etcdserver/server.go: mayAddMember, mayPromoteMember, mayRemoveMember), never
from the rules under test: a majority is counted here as "more inside than outside". What must not happen at all raises
`Broken`; what etcd would answer with an error raises `Refused`.
"""

from __future__ import annotations

from dataclasses import dataclass

# --max-learners of the etcd role; the share of the leader's log that a learner must have (readyPercentThreshold).
MAX_LEARNERS, IN_SYNC = 2, 0.9


class Broken(AssertionError):
    """A promise of the cluster was broken."""


class Refused(Exception):
    """etcd's error for a request."""


class NotInSync(Refused):
    """The one error that only wants patience."""


@dataclass
class Member:
    """One member of the committed configuration; without a name it has never run."""

    id: str
    host: str
    learner: bool = True
    name: str = ""

    @property
    def peer_url(self):
        return f"https://{self.host}:2380"

    @property
    def client_url(self):
        return f"https://{self.host}:2379"


@dataclass
class Log:
    """A write-ahead log on a host's disk: whose it is, and the last entry that is safely in it."""

    member: str
    index: int = 0


class Etcd:
    """The members, whoever runs them."""

    def __init__(self):
        self.members, self.logs, self.running, self.hung = {}, {}, set(), set()
        self.leader, self.committed, self.slow = "", 0, set()
        self._ran, self._numbers = set(), 0

    # what is so

    def listed(self):
        return list(self.members.values())

    def of(self, host):
        """Return the member of a host, or None."""
        return next((member for member in self.listed() if member.host == host), None)

    def up(self, member):
        """Return whether the member runs, with its own log, and answers."""
        return member.host in self.running - self.hung and self.logs[member.host].member == member.id

    def voters(self):
        return [member for member in self.listed() if not member.learner]

    def living(self):
        return [member for member in self.voters() if self.up(member)]

    def has_quorum(self):
        return len(self.living()) > len(self.voters()) - len(self.living())

    def serves(self):
        """Return whether anything can be committed at this moment."""
        return self.has_quorum() and any(member.id == self.leader for member in self.living())

    def serving_urls(self):
        """Return the client URLs that answer: those of living voters; a learner serves no clients."""
        return {member.client_url for member in self.living() if member.name} if self.serves() else set()

    def index(self, member):
        return self.logs[member.host].index if self.up(member) else 0

    # what happens by itself

    def settle(self):
        """Let removed members exit, a leader be elected where there is none, and who runs publish its name and URL."""
        for host in sorted(self.running - self.hung):
            if self.logs[host].member not in self.members:
                self.running.discard(host)
        if not self.serves():
            self.leader = ""
            self.elect()
        if self.serves():
            self._replicate()
            for member in self.listed():
                if self.up(member) and member.host not in self.slow:
                    member.name = member.host

    def elect(self, favourite=""):
        """Elect who gets a majority's votes: a voter votes only for a log that is not behind its own (Raft, 5.4.1)."""
        if not self.has_quorum():
            return
        able = []
        for one in self.living():
            votes = [other for other in self.living() if self.index(other) <= self.index(one)]
            if len(votes) > len(self.voters()) - len(votes):
                able.append(one)
        if not able:
            raise Broken("nobody can be elected, although a majority lives")
        leader = min(able, key=lambda member: (member.host != favourite, member.host))
        if self.index(leader) < self.committed:
            raise Broken(f"{leader.host} leads and lacks what was committed")
        self.leader = leader.id
        self._commit()

    def write(self, entries):
        """Commit entries; members on slow hosts get them only when a majority needs them."""
        if self.serves():
            self.committed += entries
            self._replicate()

    def catch_up(self):
        """Let slow hosts catch up."""
        slow, self.slow = self.slow, set()
        self.settle()
        self.slow = slow

    def _commit(self):
        if not self.serves():
            raise Refused("etcdserver: request timed out (no majority)")
        self.committed += 1
        self._replicate()

    def _replicate(self):
        """Bring the leader, a majority at least, and every host that is not slow up to date."""
        first = [member for member in self.living() if member.id == self.leader]
        others = sorted((m for m in self.living() if m.id != self.leader), key=lambda m: (m.host in self.slow, m.host))
        for number, member in enumerate([*first, *others]):
            if member.host not in self.slow or number <= len(self.voters()) - number:
                self.logs[member.host].index = self.committed
        for member in self.listed():
            if member.learner and self.up(member) and member.host not in self.slow:
                self.logs[member.host].index = self.committed

    # what is asked of etcd

    def add(self, host):
        """Add a learner and return its id."""
        if self.of(host):
            raise Refused("etcdserver: Peer URLs already exists")
        if len(self.listed()) - len(self.voters()) >= MAX_LEARNERS:
            raise Refused("etcdserver: too many learner members in cluster")
        living, voters = len(self.living()), len(self.voters())
        if voters > 1 and living <= voters + 1 - living:
            raise Refused("etcdserver: unhealthy cluster")
        self._commit()
        self._numbers += 1
        member = Member(f"{host}#{self._numbers}", host)
        self.members[member.id] = member
        return member.id

    def promote(self, member_id):
        """Make a learner a voter."""
        member = self.members[member_id]
        if not member.learner:
            raise Refused("etcdserver: can only promote a learner member")
        if not self.up(member) or self.index(member) < IN_SYNC * self.committed:
            raise NotInSync("etcdserver: can only promote a learner member which is in sync with leader")
        living, voters = len(self.living()) + 1, len(self.voters()) + 1
        if living <= voters - living:
            raise Refused("etcdserver: unhealthy cluster")
        self._commit()
        member.learner = False

    def remove(self, member_id):
        """Remove a member; it exits. Where it led, nobody leads until there is an election."""
        member = self.members[member_id]
        if not member.learner:
            left = [other for other in self.voters() if other is not member]
            started = [other for other in left if other.name]
            if len(started) <= len(left) - len(started):
                raise Refused("etcdserver: re-configuration failed due to not enough started members")
            living = [other for other in left if self.up(other)]
            if self.up(member) and len(living) <= len(left) - len(living):
                raise Refused("etcdserver: unhealthy cluster")
        self._commit()
        if self.up(member):
            self.running.discard(member.host)
        del self.members[member_id]
        if self.leader == member_id:
            self.leader = ""

    def move_leader(self, member_id):
        """Give the leadership to a living voter, which catches up first."""
        member = self.members[member_id]
        if member.learner or not self.up(member):
            raise Refused("etcdserver: bad leader transferee")
        self._commit()
        self.logs[member.host].index = self.committed
        self.leader = member_id

    # what is done on a host

    def found(self, hosts):
        """Form a cluster of these hosts."""
        for host in hosts:
            self._numbers += 1
            member = Member(f"{host}#{self._numbers}", host, learner=False)
            self.members[member.id] = member
            self.logs[host] = Log(member.id)
            self.running.add(host)
            self._ran.add(member.id)
        self.settle()

    def start(self, host, without_log=False):
        """Start etcd on a host: with its log, or without one where the unit's assertion was lifted for this start."""
        if host not in self.logs:
            member = self.of(host)
            if not without_log or member is None:
                return
            if member.id in self._ran:
                raise Broken(f"{host} starts empty as a member that has run: it could vote against what it acknowledged")
            self.logs[host] = Log(member.id)
            self._ran.add(member.id)
        if self.logs[host].member in self.members:
            self.running.add(host)

    def stop(self, host):
        self.running.discard(host)
        self.hung.discard(host)

    def wipe(self, host):
        """Stop etcd on a host and take its data away."""
        self.stop(host)
        self.logs.pop(host, None)

    def hang(self, host):
        """Let etcd run on a host and answer nobody, neither clients nor the other members."""
        self.hung.add(host)

    def wake(self, host):
        self.hung.discard(host)
