# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Break the rules on purpose, one at a time, and want the tests that name them to fail.

Each mutant is a copy in memory, put where Python looks for the module, in a child process that then runs those tests; nothing
is written. (The quorum rule has more mutants of its own, see test__quorum.py: there a proof must catch them.)
"""

from __future__ import annotations

import importlib.util
import os
import pathlib
import sys
import tempfile
import typing

import pytest

UNIT = pathlib.Path(__file__).resolve().parent
SOURCES = UNIT.parents[1] / "plugins" / "module_utils"
COLLECTION = "ansible_collections.multimaster"
PACKAGE = COLLECTION + ".kubernetes.plugins.module_utils"
# Nothing that costs time and that a test which only has to fail does without.
OPTIONS = (
    *("-x", "-q", "--no-header", "--noconftest", "--assert=plain", "--capture=no", f"--rootdir={UNIT}"),
    *("-p", "no:cacheprovider", "-p", "no:unraisableexception", "-p", "no:warnings"),
)


class Mutant(typing.NamedTuple):
    """A deliberate mistake: in which file, what stands there, what instead, and the tests that must fail."""

    file: str
    text: str
    instead: str
    tests: str


QUORUM, JOIN_ORDER, MEMBERSHIP = "_quorum", "_join_order", "_membership"
GIVING_WAY = "test_giving_way.py"
ENDPOINT, ENDPOINT_PLAN, TOPOLOGY = "_endpoint", "_endpoint_plan", "_topology"
MUTANTS = {
    # the quorum rule
    "restart: > for >=": Mutant(
        QUORUM, "RESTART: (without >= quorum(n)", "RESTART: (without > quorum(n)", "test__quorum.py::test_case"
    ),
    "remove: > for >=": Mutant(
        QUORUM, "REMOVE: (without >= quorum(n - 1)", "REMOVE: (without > quorum(n - 1)", "test__quorum.py::test_case"
    ),
    "add a learner: > for >=": Mutant(QUORUM, "or h >= quorum(n + 1)", "or h > quorum(n + 1)", "test__quorum.py::test_case"),
    "promote: > for >=": Mutant(QUORUM, "(h + 1 >= quorum(n + 1)", "(h + 1 > quorum(n + 1)", "test__quorum.py::test_case"),
    "remove: q(n) for q(n - 1)": Mutant(
        QUORUM, "REMOVE: (without >= quorum(n - 1)", "REMOVE: (without >= quorum(n)", "test__quorum.py::test_case"
    ),
    "nobody asks whether a change can be committed": Mutant(
        QUORUM, "if step.kind != RESTART and not h >= quorum(n):", "if False:", "test__quorum.py::test_case"
    ),
    "the leader is removed while it leads": Mutant(
        QUORUM,
        "heir = _heir(cluster, target) if leads else None",
        "heir = None",
        "test__quorum.py::test_the_leadership_goes_to_the_most_up_to_date_healthy_voter",
    ),
    "a learner counts as a voter": Mutant(
        QUORUM, "for member in self.members if member.voter", "for member in self.members", "test__quorum.py::test_case"
    ),
    "unknown health counts as healthy": Mutant(
        QUORUM,
        "for member in self.voters if member.healthy is True",
        "for member in self.voters if member.healthy is not False",
        "test__quorum.py::test_case",
    ),
    "half the voters, rounded up, are a quorum": Mutant(
        QUORUM, "return voters // 2 + 1", "return (voters + 1) // 2", "test__quorum.py::test_case"
    ),
    # the order of joins and leaves
    "the leader does not leave last": Mutant(
        JOIN_ORDER,
        "return member.healthy is not True, member.id != observed.leader_id, voting.count",
        "return member.healthy is not True, voting.count",
        "test__join_order.py::test_leave_order",
    ),
    "voters grow by one": Mutant(JOIN_ORDER, "else min(2, places)", "else 1", "test__join_order.py::test_plan"),
    "even voters are left": Mutant(
        JOIN_ORDER,
        "if (len(hosts) + len(others)) % 2 or wanted.even_voters or not candidates:",
        "if True:",
        "test__join_order.py::test_wanted_roles",
    ),
    "an API server is pointed elsewhere after what it uses is gone": Mutant(
        JOIN_ORDER,
        "for target in going:\n        return _repoint_before(observed, wanted, target) or Step(REMOVE, target, why)",
        "for target in going:\n        return Step(REMOVE, target, why)",
        "test__join_order.py::test_repoint",
    ),
    "so too for one that lost its data": Mutant(
        JOIN_ORDER,
        "for target, why in removals:\n        return _repoint_before(observed, wanted, target) or Step(REMOVE, target, why)",
        "for target, why in removals:\n        return Step(REMOVE, target, why)",
        "test__join_order.py::test_repoint",
    ),
    "an API server is pointed at a member that is down": Mutant(
        JOIN_ORDER,
        "if set(used) != set(urls) and (_serves(observed.members, urls) or not _serves(observed.members, used)):",
        "if set(used) != set(urls):",
        "test__join_order.py::test_repoint",
    ),
    "add before remove: a lost disk goes unnoticed": Mutant(
        JOIN_ORDER,
        "return host.data is False and member.healthy is not True and not _never_ran(member)",
        "return False",
        "test__join_order.py::test_plan",
    ),
    "add before remove: a half-done join is done again while a member is dead": Mutant(
        JOIN_ORDER, "        if host.data:\n            return Step(START", "        if True:\n            return Step(START",
        "test__join_order.py::test_plan",
    ),
    "one that cannot be looked at is to stand by": Mutant(
        JOIN_ORDER, "if name in present & seen)", "if name in present)", "test__join_order.py::test_plan"
    ),
    "an inventory that is short takes members out": Mutant(
        JOIN_ORDER,
        "return [member for member in observed.members if any(member.called(target) for target in wanted.leaving)]",
        "return [m for m in observed.members if not any(h.peer_url in m.peer_urls for h in wanted.staying)]",
        "test__join_order.py::test_plan",
    ),
    # one member's moves
    "a member starts without its data": Mutant(
        MEMBERSHIP, "if own.data or mine.id == own.added:", "if True:", "test__membership.py"
    ),
    "a voter that lost its data is quietly replaced": Mutant(
        MEMBERSHIP, "if not mine.is_learner and mine.client_urls:", "if False:", "test__membership.py"
    ),
    "data of a living member are a leftover": Mutant(
        TOPOLOGY,
        '.get("etcd_leftover")) and not serves',
        '.get("etcd_leftover"))',
        "test__topology.py::test_data_that_etcd_serves_are_no_leftover_of_a_former_member",
    ),
    # who gives way
    "a voter that drifts restarts in place": Mutant(
        TOPOLOGY,
        "names = {host.name for host in hosts if host.member and host.name in drifted}",
        "names = set()",
        f"{GIVING_WAY}::test_the_plan_says_it_step_by_step",
    ),
    "a voter that is rolled restarts in place": Mutant(
        TOPOLOGY,
        "names |= {host.name for host in hosts if host.member and host.name in request.nodes}",
        "pass",
        f"{GIVING_WAY}::test_the_plan_says_it_step_by_step",
    ),
    "a voter of another version restarts in place": Mutant(
        TOPOLOGY,
        "names |= {host.name for host in staying if running[host.name] != settings.etcd_version}",
        "pass",
        f"{GIVING_WAY}::test_the_plan_of_an_upgrade_says_it_in_one_step_and_does_the_same",
    ),
    "a learner gives way": Mutant(
        TOPOLOGY,
        "if host.peer_url in present and present[host.peer_url].voter), key=rank)",
        "if host.peer_url in present), key=rank)",
        f"{GIVING_WAY}::test_who_does_not_vote_restarts_and_nobody_changes_places",
    ),
    "of two voters the heir of a run that was cut off gives way": Mutant(
        TOPOLOGY,
        "return present[host.peer_url] != cluster.leader, host.name",
        "return host.name",
        f"{GIVING_WAY}::test_of_two_voters_that_both_have_to_restart_the_other_is_left_to_the_next_run",
    ),
    "of two voters that have to restart the other is forgotten": Mutant(
        TOPOLOGY,
        "names[0], heir, tuple(names[1:]))",
        "names[0], heir)",
        f"{GIVING_WAY}::test_of_two_voters_that_both_have_to_restart_the_other_is_left_to_the_next_run",
    ),
    "who gives way is rolled before it has": Mutant(
        TOPOLOGY,
        "return tuple(sorted(({giving.old} | out) & set(request.nodes) - set(giving.later)))",
        "return tuple(sorted(out & set(request.nodes)))",
        f"{GIVING_WAY}::test_the_plan_says_it_step_by_step",
    ),
    "a learner that a cut left stopped is never to vote": Mutant(
        TOPOLOGY,
        "    if old:\n        cluster = _learners_started(cluster, staying, observed)\n",
        "",
        f"{GIVING_WAY}::test_a_learner_that_a_cut_left_stopped_is_started_and_votes",
    ),
    "an API server is pointed at its learner before that votes": Mutant(
        TOPOLOGY,
        "_join_order.etcd_endpoints(host.node_name, present.members or members)",
        "_join_order.etcd_endpoints(host.node_name, members)",
        f"{GIVING_WAY}::test_without_a_cut_one_run_is_enough",
    ),
    "nobody gives way to one that cannot be seen": Mutant(
        TOPOLOGY,
        "all(observed.get(host.name) and (host.peer_url in present or host.etcd_leftover) for host in members)",
        "True",
        f"{GIVING_WAY}::test_no_permission_lets_a_voter_restart_in_place_while_a_learner_stands_by",
    ),
    # the endpoint
    "a newcomer runs VRRP before those who run it know it": Mutant(
        ENDPOINT, "(not s.holds, not s.vrrp, s.name)", "(not s.holds, s.name)",
        "test__endpoint.py::test_turns_the_holder_then_who_runs_vrrp_then_newcomers",
    ),
    "keepalived comes up at boot before its turn": Mutant(
        ENDPOINT_PLAN, "if seen.vrrp_enabled and not seen.vrrp_up:", "if False:", "test__endpoint_plan.py::test_steps"
    ),
    "keepalived comes back at boot on the way out": Mutant(
        ENDPOINT_PLAN, "elif seen.vrrp_up or seen.vrrp_enabled:", "elif seen.vrrp_up:", "test__endpoint_plan.py::test_steps"
    ),
    "the last holder lets go": Mutant(
        ENDPOINT_PLAN,
        "elif state in (YIELDED, ABSENT) and seen.held and not seen.vrrp_up and not allow_loss:",
        "elif False:",
        "test__endpoint_plan.py::test_refused",
    ),
    "the address is taken while another host answers for it": Mutant(
        ENDPOINT_PLAN, "elif state == DIRECT and seen.others:", "elif False:", "test__endpoint_plan.py::test_refused"
    ),
    "VRRP starts while another holds the address by its own unit": Mutant(
        ENDPOINT,
        "    if holding:\n"
        "        return EndpointStep(BALANCED, holding.name, \"its address becomes the balancer's, in place\")\n",
        "",
        "test__endpoint.py::test_case",
    ),
}  # fmt: skip


def source(file):
    return (SOURCES / f"{file}.py").read_text(encoding="utf-8")


def forget():
    """Drop the collection and the tests from what is imported, so that all of it is imported anew, and as it is written.

    The pytest that runs here rewrites assertions of what is imported, for messages that nobody reads.
    """
    sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__name__ != "AssertionRewritingHook"]
    for name, module in list(sys.modules.items()):
        where = getattr(module, "__file__", None) or ""
        if name.startswith(COLLECTION) or where.startswith(f"{UNIT}{os.sep}"):
            del sys.modules[name]


def install(file, text):
    """Put a module with this text where Python looks for it."""
    package = importlib.import_module(PACKAGE)
    spec = importlib.util.spec_from_file_location(f"{PACKAGE}.{file}", SOURCES / f"{file}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    setattr(package, file, module)
    exec(compile(text, str(SOURCES / f"{file}.py"), "exec"), module.__dict__)


def outcome(tests, file=None, text=""):
    """Run tests in a child process, with one module's text in place of its own; return pytest's exit code and output."""
    folder = UNIT / "plugins" / "module_utils"
    with tempfile.TemporaryFile("w+") as output:
        child = os.fork()
        if not child:
            code = pytest.ExitCode.INTERNAL_ERROR
            try:
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
                forget()
                if file:
                    install(file, text)
                os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
                code = pytest.main([*OPTIONS, *(str(folder / test) for test in tests)])
            finally:
                sys.stdout.flush()
                os._exit(code)
        _pid, status = os.waitpid(child, 0)
        output.seek(0)
        return os.waitstatus_to_exitcode(status), output.read()


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_caught(name):
    mutant = MUTANTS[name]
    text = source(mutant.file)
    assert text.count(mutant.text) == 1, "the source has changed: mend the list of mutants"
    code, said = outcome([mutant.tests], mutant.file, text.replace(mutant.text, mutant.instead))
    assert code == pytest.ExitCode.TESTS_FAILED, f"{mutant.tests} does not notice it:\n{said}"


def test_the_same_tests_pass_on_the_sources_as_they_are():
    code, said = outcome(sorted({mutant.tests for mutant in MUTANTS.values()}), QUORUM, source(QUORUM))
    assert code == pytest.ExitCode.OK, said
