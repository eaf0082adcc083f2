# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Break the rules on purpose, one at a time, and want the tests that name them to fail.

A mutant's file is one of module_utils or plugin_utils, and so are its tests.

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
UTILITIES = ("module_utils", "plugin_utils")
SOURCES = [UNIT.parents[1] / "plugins" / folder for folder in UTILITIES]
TESTS = [*(UNIT / "plugins" / folder for folder in UTILITIES), UNIT / "simulation"]
COLLECTION = "ansible_collections.multimaster"
PACKAGE = COLLECTION + ".kubernetes.plugins"
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
CANARY, PLAN, TURNS, VERSIONS, SICK = "_canary", "_plan", "_turns", "_host_versions", "_upgrade_refusals"
PAIRS = "test__giving_way.py"
CASES = PAIRS + "::test_of_every_group_each_voter_that_has_to_restart_is_spared_gives_way_or_waits"
SPARED = PAIRS + "::test_who_can_be_spared_is_judged_on_who_is_there_in_the_turns"
TURN_BY_TURN = "test_turns.py::test_no_member_restarts_in_a_turn_while_an_api_server_in_use_has_it_alone"
PARTS_FIRST = "test__endpoint.py::test_masters_get_their_parts_before_the_turns_where_one_is_alone_behind_the_address"
ENDPOINT, ENDPOINT_PLAN, TOPOLOGY = "_endpoint", "_endpoint_plan", "_topology"
ETCD_PLAN, GIVING_WAY, ROLLING = "_etcd_plan", "_giving_way", "_rolling"
LOCK, LOCK_FILE, LOCK_FLOW, LOCK_PLACES, DOWNGRADE = "_lock", "_lock_file", "_lock_flow", "_lock_places", "_downgrade"
STOPPED = "test__host_versions.py::test_a_program_that_does_not_run_has_its_units_version_as_far_as_that_goes"
HANGING = "test__upgrade_refusals.py::test_nobody_is_stopped_beside_members_that_hang_unless_enough_are_left"
UPGRADE, UPGRADE_VIEW, SKEW, DRAIN, BOOTSTRAP, TIMING = "_upgrade", "_upgrade_view", "_skew", "_drain", "_bootstrap", "_timing"
PREFLIGHT, HEALTH_ETCD, HEALTH_VIEW = "_preflight_cluster", "_health_etcd", "_health_view"
PREFLIGHT_INVENTORY, SPREAD = "_preflight_inventory", "_spread"
ZONE_EMPTIED = "test__preflight_inventory.py::test_a_removal_that_makes_the_loss_of_a_zone_fatal_is_refused_unless_it_is_allowed"
HEALTH_API, HEALTH_NODES, DRIFT = "_health_api", "_health_nodes", "_health_drift"
CONTROL_ALONE = "test__upgrade_view.py::test_the_control_plane_alone_keeps_each_version_of_a_node_once"
MANY = "test_many_hosts.py::test_twice_the_nodes_are_about_twice_the_work"
IN_ORDER = "test__upgrade.py::test_the_plan_in_order"
REFUSED = "test__upgrade_refusals.py::test_what_is_not_done_is_refused_with_its_reason"
SIDE_BY_SIDE = "test__skew.py::test_side_by_side"
HOPS = "test__skew.py::test_hop"
PODS = "test__drain.py::test_every_kind_of_pod"
ANSWERS = "test__drain.py::test_every_answer_to_an_eviction"
HAPPENED = "test__health.py::test_what_happened_is_found"
LEFT = "test__health_drift.py::test_nothing_is_told_while"
TIMED = "test__timing.py::test_case"
FOUNDED = "test__bootstrap.py::test_case"
SPREAD_OF_FOUR = "test_every_blow.py::test_who_stands_by_of_four_is_one_whose_vote_would_cost_the_survival_of_a_zone"
MOVED = "test_every_blow.py::test_a_move_that_is_cut_off_is_finished_by_the_same_command_and_by_site[3]"
REPLACED = "test_every_blow.py::test_a_replacement_is_cut_off_after_any_act_and_the_same_command_ends_it"
MUTANTS = {
    # the cluster that is played
    "life: zones do not say who stands by": Mutant(
        JOIN_ORDER, "return bool(zones) and all(loss.survives", "return True or all(loss.survives", SPREAD_OF_FOUR
    ),
    "life: the plan at rest is not empty": Mutant(
        TOPOLOGY, "registered = node and host.name not in joining", "registered = node and host.name in joining", SPREAD_OF_FOUR
    ),
    "life: the address does not move": Mutant(TOPOLOGY, '"move": moved, "stand_by"', '"move": [], "stand_by"', MOVED),
    "life: who stands still since a move was cut off does so for ever": Mutant(
        TOPOLOGY, '"stand_by": stopped, "may_hold"', '"stand_by": [], "may_hold"', MOVED
    ),
    "life: a replacement that was cut off is not begun": Mutant(
        TOPOLOGY, '.get("replaces") in request.nodes', '.get("replaces") in ()', REPLACED + "[m1-m4-it_dies]"
    ),
    "life: who is renewed keeps its dead member": Mutant(
        TOPOLOGY, "in etcd.dead if name in (*request.leaving, *request.renewed)", "in etcd.dead if name in request.leaving",
        REPLACED + "[m1--it_is_installed_anew]",
    ),
    # the quorum rule
    "restart: > for >=": Mutant(
        QUORUM, "RESTART: (without >= quorum(n)", "RESTART: (without > quorum(n)", "test__quorum.py::test_case"
    ),
    "remove: > for >=": Mutant(
        QUORUM, "REMOVE: (without >= quorum(n - 1)", "REMOVE: (without > quorum(n - 1)", "test__quorum.py::test_case"
    ),
    "two healthy voters: somebody is to be brought back": Mutant(
        QUORUM, 'f"even_{step.kind}" if pair else step.kind', "step.kind", "test__quorum.py::test_case"
    ),
    "uncommitted: who is to go is not to be brought back": Mutant(
        QUORUM, "member != target] or [member.label for member in ill]", "member != target]", "test__quorum.py::test_what_is_said"
    ),
    "a kernel setting of the user's puts ours away": Mutant(
        "_kernel_plan", "both = {**{key: value for key, value in ours.items() if sysctl_path(key) not in named}, **theirs}",
        "both = theirs or ours", "test__kernel_plan.py::test_a_users_settings_stand_beside_ours",
    ),
    "a kernel setting in another spelling stands beside ours": Mutant(
        "_kernel_plan", "if sysctl_path(key) not in named}", "if key not in theirs}",
        "test__kernel_plan.py::test_a_users_settings_stand_beside_ours",
    ),
    "a plan of site.yml is silent on what it does not compare": Mutant(
        PLAN, "{_request.CONVERGE: NOT_COMPARED, ", "{", "test__plan.py::test_what_a_plan_does_not_compare_is_said",
    ),
    "a removal is silent on what restarts for other reasons": Mutant(
        PLAN, "_request.REMOVE: AS_SITE_YML, ", "", "test__plan.py::test_what_a_plan_does_not_compare_is_said",
    ),
    "a replacement is silent on what restarts for other reasons": Mutant(
        PLAN, ", _request.REPLACE: AS_SITE_YML}", "}", "test__plan.py::test_what_a_plan_does_not_compare_is_said",
    ),
    "of hosts that are silent together each is told to leave alone": Mutant(
        "_preflight_hosts", "node={','.join(together)}", "node={name}",
        "test__preflight_hosts.py::test_hosts_that_are_silent_together_are_taken_out_together",
    ),
    "a flag in another spelling passes": Mutant(
        "_role_inputs", "if flag_name(flag) != flag:", "if False:",
        "test__role_inputs.py::test_a_flag_in_another_spelling_than_ours_is_refused",
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
        "heir = next_leader(cluster, target) if leads else None",
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
    "who could not be asked goes as dead": Mutant(
        JOIN_ORDER,
        " and m not in untold]",
        "]",
        "test__join_order.py::test_who_could_not_be_asked_does_not_go_as_dead_and_is_an_obstacle",
    ),
    "who does not run may serve": Mutant(
        "_etcd_scene",
        ' and etcd["unit"] not in _membership.NOT_RUNNING',
        "",
        "test__etcd_scene.py::test_a_member_may_serve_where_it_could_not_be_asked_and_its_unit_may_run",
    ),
    "who is further is ahead of who knows a newer term": Mutant(
        "_etcd_scene",
        "return bool(serves), term, index",
        "return bool(serves), index, term",
        "test__etcd_scene.py::test_which_member_is_ahead",
    ),
    "two join beside a learner that takes a place": Mutant(
        JOIN_ORDER,
        "max(1, min(2, MAX_LEARNERS - standing))",
        "2",
        "test_growth.py::test_whoever_is_to_join_joins_in_the_batches_of_the_playbook",
    ),
    "a learner that names a dead leader serves": Mutant(
        "_etcd_scene",
        'healthy=status["healthy"] and not status["is_learner"],',
        'healthy=status["healthy"],',
        "test_lost_quorum.py::test_the_lone_voter_that_is_dead_is_not_taken_out_as_if_the_standby_served",
    ),
    "a run begins where nobody who stays could tell of another's lock": Mutant(
        TOPOLOGY,
        "return tuple(sorted(serving)) if serving <= leaving else ()",
        "return ()",
        "test__plan.py::test_no_run_begins_where_only_masters_that_leave_could_tell_of_anothers_lock",
    ),
    "a lock looks past the API servers that leave": Mutant(
        TOPOLOGY,
        "for host in placed if host.master)\n    lock_places",
        "for host in bare if host.master)\n    lock_places",
        "test__plan.py::test_no_run_begins_where_only_masters_that_leave_could_tell_of_anothers_lock",
    ),
    "a voter restarts while the standby beside it leaves": Mutant(
        GIVING_WAY,
        "        return FEW\n",
        "        return ENOUGH\n",
        PAIRS + "::test_while_another_member_leaves_a_voter_that_cannot_be_spared_is_left_to_the_next_run",
    ),
    "a voter restarts that another API server has alone and keeps": Mutant(
        GIVING_WAY, "unmoved = gone if len(members) > 2 else everybody", "unmoved = gone", SPARED
    ),
    "a voter restarts that an API server is about to start with": Mutant(
        GIVING_WAY, " or (group.starting and not many)", "", SPARED
    ),
    "a voter restarts beside only one other while a member leaves": Mutant(
        GIVING_WAY, "group.voting < 3", "group.voting < 2", CASES
    ),
    "a voter gives way to one that comes back and restarts": Mutant(
        GIVING_WAY, "COMING_BACK: _all_wait", "COMING_BACK: _one_gives_way", CASES
    ),
    "a lone voter is said to have somebody to give way to": Mutant(GIVING_WAY, "NO_PAIR: _nobody", "NO_PAIR: _all_wait", CASES),
    "a voter restarts that the API server of a master that leaves has alone": Mutant(
        GIVING_WAY, "if group.leaving or many:", "if group.leaving:", SPARED
    ),
    "a dead member that leaves counts among two": Mutant(GIVING_WAY, "if not early & set(member.peer_urls)", "if True", SPARED),
    "a lone voter restarts while a second one joins": Mutant(
        GIVING_WAY,
        "JOINING: _all_wait",
        "JOINING: _nobody",
        TURN_BY_TURN + "[1 grows to 2]",
    ),
    "an API server moves off a member before that restarts only where both are on masters": Mutant(
        TURNS, "if _etcd_scene.alone_on(url, now) and", "if False and", TURN_BY_TURN + "[etcd of its own grows from 1 to 3]"
    ),
    "who is to keep the only member lets it wait for its turn": Mutant(
        TURNS, " and not _etcd_scene.alone_on(url, then)]", "]", "test__turns.py::test_case"
    ),
    "a roll takes the only member from an API server": Mutant(
        PLAN,
        "        yield from _has_it_alone(scene)\n",
        "",
        "test__plan.py::test_no_roll_takes_the_only_member_from_an_api_server_that_is_to_have_others",
    ),
    "a roll is refused for an API server that has its member alone for ever": Mutant(
        PLAN,
        " & misled - {name})",
        " - {name})",
        "test__plan.py::test_a_member_that_is_to_be_the_only_one_of_an_api_server_may_be_rolled_as_ever",
    ),
    "the last master behind the address has its turn before others get their parts": Mutant(
        "_topology_fact", '"first": topology.endpoint_first', '"first": False', TURN_BY_TURN + "[1 grows to 3]"
    ),
    "masters get their parts first while one that leaves has its own": Mutant(ENDPOINT, " and not others)", ")", PARTS_FIRST),
    "masters get their parts first where nobody is alone": Mutant(ENDPOINT, "len(behind) < 2", "len(behind) < 3", PARTS_FIRST),
    "a learner that a cut left stopped is started only where somebody gives way": Mutant(
        ETCD_PLAN,
        "    cluster = _giving_way.learners_started(",
        "    if old:\n        cluster = _giving_way.learners_started(",
        "test__etcd_plan.py::test_a_learner_that_a_cut_left_stopped_is_started_and_votes",
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
        "in _removals(observed, wanted):\n        return _repoint_before(observed, wanted, target) or Step(REMOVE, target, why)",
        "in _removals(observed, wanted):\n        return Step(REMOVE, target, why)",
        "test__join_order.py::test_repoint",
    ),
    "an API server is pointed at a member that is down": Mutant(
        JOIN_ORDER,
        "moves = set(used) != set(urls) and (_serves(members, urls) or not _serves(members, used))",
        "moves = set(used) != set(urls)",
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
    "only who lost its data goes before any is added": Mutant(
        JOIN_ORDER,
        "if m.healthy is not True and m not in untold]",
        "if False]",
        "test__plan.py::test_a_replacement_in_order",
    ),
    # replacements
    "a new machine's own member is forgotten": Mutant(
        TOPOLOGY,
        "name for name, _target in etcd.dead if name in (*request.leaving, *request.renewed))",
        "name for name in (*dict(etcd.dead), *(set(joining) & set(request.renewed))))",
        "test__plan.py::test_a_new_machine_under_the_old_name_comes_in_wherever_the_run_was_cut_off",
    ),
    "a dead member is removed on a dead host only": Mutant(
        TOPOLOGY,
        "for name, _target in etcd.dead if name in (*request.leaving, *request.renewed)",
        "for name, _target in etcd.dead if name not in [host.name for host in going if host.alive]",
        "test__plan.py::test_what_is_forgotten_is_what_the_plan_says_first",
    ),
    "a master whose member is dead leaves with a kubelet that hears nothing": Mutant(
        TOPOLOGY, "if living and not living & set(", "if False and set(", "test__plan.py::test_a_replacement_in_order"
    ),
    "a replacement is never over": Mutant(
        TOPOLOGY,
        "if host.replaces in coming - {host.name}",
        "if False",
        "test__plan.py::test_a_replacement_is_over_when_the_one_replaced_comes_back_in",
    ),
    "a member that is out says nothing of who took it out": Mutant(
        TOPOLOGY,
        "    if any(_new_member(host, observed.get(host.name)) for host in again):",
        "    if False:",
        "test__plan.py::test_a_new_machine_under_the_old_name_comes_in_wherever_the_run_was_cut_off",
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
    "the gate judges what was read at the beginning": Mutant(
        "_membership_flow",
        "        return _quorum.judge(cluster_of(observed, self._ours)",
        "        self.old = getattr(self, 'old', observed)\n        return _quorum.judge(cluster_of(self.old, self._ours)",
        "test__etcd_flows.py::test_a_voter_that_dies_between_two_changes_is_missed_before_the_second",
    ),
    "what is done again and again is never waited for": Mutant(
        "_membership_flow",
        "if (done, move.target) not in before:",
        "if True:",
        "test__membership_flow.py::test_an_act_that_succeeds_and_changes_nothing_is_bounded",
    ),
    "an etcd that ends again and again is started until the time is over": Mutant(
        MEMBERSHIP,
        "if _unit_plan.loops(own.starts, own.seconds):",
        "if False:",
        "test__etcd_flows.py::test_a_start_that_never_lasts_is_given_up_with_what_the_unit_said",
    ),
    "a founding waits its whole time for an etcd that ends again and again": Mutant(
        "_etcd_flows",
        "if _unit_plan.loops(restarts, seconds):",
        "if False:",
        "test__etcd_flows.py::test_a_founding_whose_etcd_ends_again_and_again_is_given_up",
    ),
    "data of a living member are a leftover": Mutant(
        TOPOLOGY,
        '.get("etcd_leftover")) and not serves',
        '.get("etcd_leftover"))',
        "test__topology.py::test_data_that_etcd_serves_are_no_leftover_of_a_former_member",
    ),
    "a member leaves whose name begins as the one that is named": Mutant(
        MEMBERSHIP,
        "if own.name and m.name == own.name), None)",
        "if own.name and m.name.startswith(own.name)), None)",
        "test__etcd_flows.py::test_the_member_that_is_named_leaves_and_not_one_whose_name_begins_so",
    ),
    "an API server whose etcd is dead is asked": Mutant(
        TOPOLOGY,
        "return name not in answering, not",
        "return not",
        "test__topology.py::test_an_api_server_whose_etcd_is_dead_is_asked_only_when_no_other_is_better",
    ),
    "a host asks an API server whose etcd is dead while its own is away": Mutant(
        "_topology_fact",
        "for name in topology.speakers if",
        "for name in topology.masters if",
        "test__topology.py::test_an_api_server_whose_etcd_is_dead_is_asked_only_when_no_other_is_better",
    ),
    "how etcd was founded stays on disk": Mutant(
        "_etcd_host",
        "for path in (self.paths.drop_in, self.paths.record) if",
        "for path in (self.paths.record,) if",
        "test__etcd_flows.py::test_of_a_founding_nothing_is_left_that_a_later_start_would_read",
    ),
    "an etcd that is slow to stop ends the run just when systemd kills it": Mutant(
        "_etcd_host",
        '("systemctl", *argv), _systemd.BLOCKING)',
        '("systemctl", *argv), 90.0)',
        "test__etcd_host.py::test_a_wipe_waits_longer_for_etcd_to_stop_than_systemd_does_before_it_kills",
    ),
    # who gives way
    "a voter that drifts restarts in place": Mutant(
        GIVING_WAY,
        "names = {host.name for host in hosts if host.member and host.name in drifted}",
        "names = set()",
        f"{PAIRS}::test_the_plan_says_it_step_by_step",
    ),
    "a voter that is rolled restarts in place": Mutant(
        GIVING_WAY,
        "names |= {host.name for host in hosts if host.member and host.name in request.nodes}",
        "pass",
        f"{PAIRS}::test_the_plan_says_it_step_by_step",
    ),
    "a voter of another version restarts in place": Mutant(
        GIVING_WAY,
        "names |= {host.name for host in staying if running[host.name] != settings.etcd_version}",
        "pass",
        f"{PAIRS}::test_the_plan_of_an_upgrade_says_it_in_one_step_and_does_the_same",
    ),
    "a roll promises a swap that it does not do": Mutant(
        PLAN,
        "scene.giving if scene.giving[0] in scene.late else",
        "scene.giving if True else",
        "test__giving_way.py::test_a_roll_promises_nothing_of_a_voter_that_it_was_not_asked_to_restart",
    ),
    "a learner gives way": Mutant(
        GIVING_WAY,
        "host.name) for host, member in there if member.voter)",
        "host.name) for host, member in there)",
        f"{PAIRS}::test_who_does_not_vote_restarts_and_nobody_changes_places",
    ),
    "of two voters the heir of a run that was cut off gives way": Mutant(
        GIVING_WAY,
        "sorted((member != cluster.leader, host.name)",
        "sorted((False, host.name)",
        f"{PAIRS}::test_of_two_voters_that_both_have_to_restart_the_other_is_left_to_the_next_run",
    ),
    "of two voters that have to restart the other is forgotten": Mutant(
        GIVING_WAY,
        "old, heir, tuple(later))",
        "old, heir)",
        f"{PAIRS}::test_of_two_voters_that_both_have_to_restart_the_other_is_left_to_the_next_run",
    ),
    "who gives way is rolled before it has": Mutant(
        ROLLING,
        "return tuple(sorted(({giving.old} | out) & set(request.nodes) - set(giving.later)))",
        "return tuple(sorted(out & set(request.nodes)))",
        f"{PAIRS}::test_the_plan_says_it_step_by_step",
    ),
    "a learner that a cut left stopped is never to vote": Mutant(
        ETCD_PLAN,
        "    cluster = _giving_way.learners_started(cluster, staying, observed)\n",
        "",
        f"{PAIRS}::test_a_learner_that_a_cut_left_stopped_is_started_and_votes",
    ),
    "an API server is pointed at its learner before that votes": Mutant(
        TOPOLOGY,
        "_join_order.etcd_endpoints(host.node_name, present.members or members)",
        "_join_order.etcd_endpoints(host.node_name, members)",
        f"{PAIRS}::test_without_a_cut_one_run_is_enough",
    ),
    "nobody gives way to one that cannot be seen": Mutant(
        GIVING_WAY,
        " and all(observed.get(host.name) for host in members)",
        "",
        f"{PAIRS}::test_no_permission_lets_a_voter_restart_in_place_while_a_learner_stands_by",
    ),
    # the endpoint
    "a holder restarts what answers there although another could take the address": Mutant(
        ENDPOINT_PLAN, "seen.held and heirs and", "seen.held and not heirs and",
        "test__endpoint_plan.py::test_a_holder_lets_another_have_the_address_before_what_answers_there_restarts",
    ),
    "a holder whose address is not seen stops without waiting for who takes it": Mutant(
        ENDPOINT_PLAN, '(seen.vrrp_state == "holder" or seen.held)', "seen.held", "test__endpoint_plan.py::test_steps"
    ),
    "every balancer reloads at once": Mutant(
        ENDPOINT_PLAN, 'in ("restart", "reload") and seen.vrrp_up', '== "restart" and seen.vrrp_up',
        "test__endpoint_plan.py::test_steps",
    ),
    "a newcomer runs VRRP before those who run it know it": Mutant(
        ENDPOINT, "(not s.holds, not s.vrrp, s.name)", "(not s.holds, s.name)",
        "test__endpoint.py::test_turns_the_holder_then_who_runs_vrrp_then_newcomers",
    ),
    "VRRP starts elsewhere before the holder has the address by it": Mutant(
        ENDPOINT, "(not s.holds, not s.vrrp, s.name)", "(not s.vrrp, s.name)",
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
    "an address is moved though two have it": Mutant(
        ENDPOINT, "if len(held) != 1:", "if not held:", "test__endpoint.py::test_an_address_that_stays_where_it_is"
    ),
    "a master without keepalived is counted on to take the address": Mutant(
        ENDPOINT,
        '(("HAProxy", state.balancer), ("keepalived", state.vrrp)) if not runs',
        '(("HAProxy", state.balancer),) if not runs',
        "test__endpoint.py::test_who_does_not_take_part_is_no_heir",
    ),
    "a move leaves keepalived stopped where one that was cut off stopped it": Mutant(
        ENDPOINT, "if state.reachable and state.balancer and not state.vrrp", "if False",
        "test__endpoint.py::test_who_does_not_take_part_is_no_heir",
    ),
    "who lacks its part in the endpoint is not planned for": Mutant(
        "_host_scene", 'bool(states & {"inactive", "failed", "not-found"})', "False",
        "test__plan.py::test_a_master_whose_part_in_the_endpoint_stands_still_gets_it_by_a_step",
    ),
    "an address is moved though nobody could take it": Mutant(
        ENDPOINT, "    if not heirs:\n", "    if False:\n", "test__endpoint.py::test_who_does_not_take_part_is_no_heir"
    ),
    "the address of the only master is moved": Mutant(
        ENDPOINT,
        "    if mode == DIRECT:\n        why",
        "    if False:\n        why",
        "test__endpoint.py::test_an_address_that_stays_where_it_is",
    ),
    "the last by priority is said to take the address": Mutant(
        ENDPOINT,
        "sorted(states, key=lambda name: -rank[name])",
        "sorted(states, key=lambda name: rank[name])",
        "test__endpoint.py::test_the_heir_of_a_move_is_the_first_of_the_others_by_priority",
    ),
    "a worker is a master as soon as it is listed": Mutant(
        TOPOLOGY,
        "lacking = not serves or (growing",
        "lacking = (growing",
        "test__plan.py::test_a_worker_that_becomes_a_master_is_planned_and_registers_no_more",
    ),
    "a master whose kubelet has to register is new": Mutant(
        TOPOLOGY,
        "serves = host.master and _host_scene.has_api_server(seen)",
        "serves = False",
        "test__plan.py::test_a_master_that_serves_only_registers",
    ),
    "who has the address with VRRP has it alone": Mutant(
        TOPOLOGY,
        "alone = mode == _endpoint.DIRECT and not",
        "alone = mode == _endpoint.DIRECT or not",
        "test__plan.py::test_the_address_of_two_is_the_balancers_already_when_one_of_them_is_installed_anew",
    ),
    "a move does what else the inventory asks for": Mutant(
        PLAN,
        "    if request.kind == _request.MOVE:\n        return _move(",
        "    if False:\n        return _move(",
        "test__plan.py::test_a_move_in_order",
    ),
    "a move goes on though it is refused": Mutant(
        PLAN,
        "        yield from _endpoint.move(scene.parts, scene.masters, scene.mode).refusals\n",
        "",
        "test__plan.py::test_a_move_that_is_refused_says_why_and_moves_nobody",
    ),
    "a master that cannot be reached is asked who has the address": Mutant(
        TOPOLOGY,
        "[part.name for part in parts if part.reachable]",
        "[part.name for part in parts]",
        "test__plan.py::test_a_move_is_of_the_holder_and_asks_whom_it_can_reach",
    ),
    "of two masters one is asked to change places for a move": Mutant(
        TOPOLOGY,
        "if request.kind != _request.MOVE:  # which",
        "if True:  # which",
        "test__plan.py::test_a_move_restarts_nobody_so_nobody_changes_places",
    ),
    "who cannot be looked at is never the quicker heir": Mutant(
        ENDPOINT,
        "first.name if first and first.reachable else None",
        "first.name if first else None",
        "test__endpoint.py::test_the_first_heir_is_known_unless_one_that_cannot_be_looked_at_may_be_quicker",
    ),
    "nobody holds the address, says a plan that did not see them all": Mutant(
        ENDPOINT, "(not held and not all(state.reachable for state in observed))", "False", "test__endpoint.py::test_holder"
    ),
    "a zone that is lost may be lost": Mutant(
        "_plan_state", "if loss.survives and loss.left < healthy", "if loss.survives", "test__plan_state.py::test_etcd"
    ),
    "a restart leaves etcd as it was all the time": Mutant(
        PLAN,
        "during = _plan_state.etcd(_plan_state.without(cluster, verdicts[name].step.target))",
        "during = before",
        "test__plan.py::test_a_restart_says_what_etcd_is_meanwhile",
    ),
    "an API server is pointed elsewhere in the cluster of another moment": Mutant(
        PLAN,
        "        if step.kind == _join_order.REPOINT:",
        "        if False:",
        "test__plan.py::test_each_step_finds_what_the_one_before_it_left",
    ),
    "who restarts keeps the address": Mutant(
        PLAN,
        "    if step.kind == RESTART and scene.mode == _endpoint.BALANCED and step.host == holder:\n",
        "    if False:\n",
        "test__plan.py::test_a_restart_after_which_another_has_the_address_says_so",
    ),
    # one operation at a time
    "a lock that ended is held for ever": Mutant(
        LOCK, "    if expired:\n        return Verdict(TAKE_OVER", "    if False:\n        return Verdict(TAKE_OVER",
        "test__lock.py::test_judge",
    ),
    "a lock ends though clocks may differ": Mutant(
        LOCK, "now > lease.ends + CLOCK_SECONDS", "now > lease.ends", "test__lock.py::test_judge"
    ),
    "a lock without an end that can be read has ended": Mutant(
        LOCK,
        "expired = lease.ends is not None and now > lease.ends + CLOCK_SECONDS",
        "expired = lease.ends is None or now > lease.ends + CLOCK_SECONDS",
        "test__lock.py::test_judge",
    ),
    "whoever is gone, the lock is taken over": Mutant(
        LOCK, "if lease.run.holder == gone:", "if gone:", "test__lock.py::test_judge"
    ),
    "a run that lost its lock takes it again when the other's has ended": Mutant(
        LOCK,
        "if lease is not None and lease.run.holder and lease.run.holder != me.holder:",
        "if False:",
        "test__lock.py::test_a_lock_is_kept_or_was_lost",
    ),
    "a run whose lock was removed takes it again": Mutant(
        LOCK,
        "if me.holder and (lease is None or not lease.run.holder):\n        return Verdict(\n            REFUSE",
        "if False:\n        return Verdict(\n            REFUSE",
        "test__lock.py::test_a_lock_is_kept_or_was_lost",
    ),
    "another's lock is released": Mutant(
        LOCK,
        'if lease.run.holder == me.holder:\n        return Verdict(RELEASE',
        'if True:\n        return Verdict(RELEASE',
        "test__lock.py::test_judge_release",
    ),
    "a process is judged gone from another controller": Mutant(
        LOCK,
        "if (run.controller, run.boot) != (me.controller, me.boot):",
        "if run.boot != me.boot:",
        "test__lock.py::test_a_process_is_gone_only_where_its_number_is_known_to_mean_something",
    ),
    "a process is judged gone after a reboot of its controller": Mutant(
        LOCK,
        "if (run.controller, run.boot) != (me.controller, me.boot):",
        "if run.controller != me.controller:",
        "test__lock.py::test_a_process_is_gone_only_where_its_number_is_known_to_mean_something",
    ),
    "a process that cannot be looked at is gone": Mutant(
        LOCK,
        "started not in (UNKNOWN, run.started)",
        "started != run.started",
        "test__lock.py::test_a_process_is_gone_only_where_its_number_is_known_to_mean_something",
    ),
    "a longer step is begun on a shorter step's lock": Mutant(
        LOCK, " or seconds > had", "", "test__lock.py::test_a_renewal_is_due"
    ),
    "a renewal that nobody remembers is not due": Mutant(
        LOCK, "return passed is None or not 0", "return passed is not None and not 0", "test__lock.py::test_a_renewal_is_due"
    ),
    "a lock ends with the bound of its step": Mutant(
        LOCK, "return seconds + MARGIN_SECONDS", "return seconds",
        "test__lock.py::test_what_is_not_due_leaves_the_coming_step_its_bound_and_half_of_the_margin",
    ),
    "the only API server is away with its lock": Mutant(
        LOCK, "return (CLUSTER,) if masters > 1 else PLACES", "return (CLUSTER,)",
        "test__lock.py::test_where_a_run_holds_its_lock",
    ),
    "an API server whose certificate has expired keeps the run out that renews it": Mutant(
        LOCK_PLACES, "if self.else_host and error.unverified:", "if False:",
        "test__lock_places.py::test_the_host_stands_in_for_an_api_server_whose_certificate_is_not_accepted",
    ),
    "whoever does not answer is taken for one whose certificate has expired": Mutant(
        LOCK_PLACES, "if self.else_host and error.unverified:", "if self.else_host:",
        "test__lock_places.py::test_the_host_stands_in_for_an_api_server_whose_certificate_is_not_accepted",
    ),
    "a node is called as its host is now": Mutant(
        TOPOLOGY, 'seen.get("node_name") or seen.get("hostname")', 'seen.get("hostname")',
        "test__topology.py::test_a_node_keeps_its_name_when_the_hostname_has_changed",
    ),
    "an authority signs that nobody trusts yet": Mutant(
        "_pki", "and wanted[0] not in found", "and False", "test__pki.py::test_an_authority_signs_only_when_the_host_trusts_it",
    ),
    "the controller-manager is given two certificates to sign with": Mutant(
        "_pki", "if ca == SIGNERS and len(wanted) > 1", "if False",
        "test__pki.py::test_an_authority_signs_only_when_the_host_trusts_it",
    ),
    "a master that is not ready waits until others were stopped": Mutant(
        TURNS, ", *(name for name in turns if _sick(hostvars[name]))}", "}", "test__turns.py::test_case",
    ),
    "expired certificates are a lost quorum": Mutant(
        BOOTSTRAP, "stale = [host for host in hosts if host.stale]", "stale = []", FOUNDED,
    ),
    "hosts are taken out of an etcd that nobody could ask": Mutant(
        ETCD_PLAN, "decision.action == _bootstrap.RENEW and request.kind != _request.CONVERGE", "False",
        "test__etcd_plan.py::test_where_certificates_have_expired_they_are_renewed_before_anything_is_decided",
    ),
    "data are to be removed while nobody knows the members": Mutant(
        JOIN_ORDER, "not host.leftover and observed.healthy:", "not host.leftover:",
        "test__etcd_plan.py::test_nobody_is_told_to_remove_data_while_no_member_serves",
    ),
    "a zone that a removal empties is no place for voters": Mutant(
        PREFLIGHT_INVENTORY, "    zones |= {host.zone for host in leaving}\n", "", ZONE_EMPTIED
    ),
    "a dead voter that is taken out counts as one that could stay": Mutant(
        PREFLIGHT_INVENTORY, 'if host.zone and status.get("healthy") and', "if host.zone and", ZONE_EMPTIED
    ),
    "pods in two zones are moved together": Mutant(
        SPREAD, "    if len(places) > 1:\n", "    if len(places) > 2:\n", "test__spread.py::test_how_they_lie_is_told"
    ),
    "a zone counts where pods lie on hosts of one zone": Mutant(
        SPREAD, 'part = "zone" if len(zones) > 1 else "host"', 'part = "zone"', "test__spread.py::test_how_they_lie_is_told"
    ),
    "a zone is seen only where a node takes pods": Mutant(
        SPREAD, "if node.takes or node.name in used}", "if node.takes}", "test__spread.py::test_how_they_lie_is_told"
    ),
    "a pod moves to where a cordoned node is": Mutant(
        SPREAD, 'and not summary["unschedulable"] and', "and", "test__spread.py::test_which_nodes_take_pods"
    ),
    "a pod that the scheduler puts back is moved by every run": Mutant(
        SPREAD,
        "    if takers in {pod.tried for pod in pods}:\n",
        "    if False:\n",
        "test__spread.py::test_what_was_moved_in_vain_is_left_until_other_nodes_could_take_it",
    ),
    "a run that is refused keeps others waiting": Mutant(
        LOCK_PLACES,
        "                self._give_back(taken, wish)\n                return outcome, ()",
        "                return outcome, ()",
        "test__lock_places.py::test_a_run_that_did_not_start_keeps_nobody_waiting",
    ),
    "a run that fails keeps others waiting": Mutant(
        LOCK_PLACES,
        "                self._give_back(taken, wish)\n                raise",
        "                raise",
        "test__lock_places.py::test_an_api_server_that_does_not_answer_gives_back_what_was_taken",
    ),
    "a run that is refused gives away what it had before": Mutant(
        LOCK_PLACES,
        "if outcome.verdict.step != _lock.RENEW:",
        "if True:",
        "test__lock_places.py::test_what_the_run_had_before_stays_its_own_when_it_is_refused",
    ),
    "the host stands in for whatever the API server refuses": Mutant(
        LOCK_PLACES,
        "if self.else_host and error.status in NOT_LET_IN:",
        "if self.else_host:",
        "test__lock_places.py::test_the_host_stands_in_only_for_a_right_that_is_missing_and_only_when_asked_to",
    ),
    "the host stands in unasked": Mutant(
        LOCK_PLACES,
        "if self.else_host and error.status in NOT_LET_IN:",
        "if error.status in NOT_LET_IN:",
        "test__lock_places.py::test_the_host_stands_in_only_for_a_right_that_is_missing_and_only_when_asked_to",
    ),
    "a check takes the lock on the host": Mutant(
        LOCK_FILE, "if verdict.refused or wish.check:", "if verdict.refused:",
        "test__lock_places.py::test_a_check_writes_nowhere",
    ),
    "a check releases the lock on the host": Mutant(
        LOCK_FILE, "if verdict.step != _lock.RELEASE or check:", "if verdict.step != _lock.RELEASE:",
        "test__lock_places.py::test_a_check_writes_nowhere",
    ),
    "another's record is removed": Mutant(
        LOCK_FILE, "if verdict.step != _lock.RELEASE or check:", "if check:",
        "test__lock_places.py::test_both_are_held_and_given_back",
    ),
    "a record that cannot be read is nobody's": Mutant(
        LOCK_FILE, 'said = {"holder": "unknown", ', "said = {",
        "test__lock_file.py::test_a_record_that_cannot_be_read_is_somebodys",
    ),
    "a check takes the Lease": Mutant(
        LOCK_FLOW, "if verdict.refused or wish.check:", "if verdict.refused:",
        "test__lock_places.py::test_a_check_writes_nowhere",
    ),
    "another's Lease is deleted": Mutant(
        LOCK_FLOW, "if verdict.step != _lock.RELEASE or check:", "if check:",
        "test__lock_places.py::test_both_are_held_and_given_back",
    ),
    "a run that lost its lock asks as one that begins": Mutant(
        LOCK_FLOW, "        if self.kept:\n", "        if False:\n",
        "test__lock_places.py::test_who_lost_it_takes_it_from_nobody",
    ),
    # etcd's downgrade
    "it is enabled beside a member that does not answer": Mutant(
        DOWNGRADE, "if silent or not told:", "if not told:", "test__downgrade.py::test_the_next_move"
    ),
    "it is enabled when nobody answers": Mutant(
        DOWNGRADE, "if silent or not told:", "if silent:", "test__downgrade.py::test_the_next_move"
    ),
    "two minors are gone back at once": Mutant(
        DOWNGRADE, "    if skipping:\n", "    if False:\n", "test__downgrade.py::test_the_next_move"
    ),
    "another downgrade is enabled beside one": Mutant(
        DOWNGRADE, "    if others:\n", "    if False:\n", "test__downgrade.py::test_the_next_move"
    ),
    "an old program is let at data that do not fit it": Mutant(
        DOWNGRADE,
        "if unfit and (enabled or old):",
        "if False:",
        "test__downgrade.py::test_in_no_state_of_three_members_an_old_program_is_let_at_newer_data",
    ),
    "the data of one that was told before are not waited for": Mutant(
        DOWNGRADE,
        "if unfit and (enabled or old):",
        "if unfit and old:",
        "test__downgrade.py::test_in_no_state_of_three_members_an_old_program_is_let_at_newer_data",
    ),
    "a member that does not answer has gone back": Mutant(
        DOWNGRADE, "    if silent:\n        return Move(WAIT, f\"{_names(silent)} does not say which version it runs\")",
        "    if False:\n        return Move(WAIT, \"\")", "test__downgrade.py::test_the_next_move",
    ),
    "who died while a downgrade was enabled starts the older program": Mutant(
        UPGRADE,
        "    refusals += tuple(_upgrade_refusals.unfit(view))\n",
        "",
        "test__upgrade_refusals.py::test_while_a_downgrade_is_enabled_no_member_starts_the_older_program_on_newer_data",
    ),
    "who was down in its turn may not go on": Mutant(
        SICK,
        "if starts[name] and starts[name].line > target.line]",
        "]",
        "test__upgrade_refusals.py::test_while_a_downgrade_is_enabled_no_member_starts_the_older_program_on_newer_data",
    ),
    "who went silent while a downgrade was enabled is not waited for": Mutant(
        DOWNGRADE, "if begun and silent:", "if False:",
        "test__downgrade.py::test_who_went_silent_after_this_run_enabled_it_is_waited_for",
    ),
    "the end of a downgrade is not waited for": Mutant(
        DOWNGRADE, "if any(one.downgrade for one in members):\n        return Move(WAIT", "if False:\n        return Move(WAIT",
        "test__downgrade.py::test_the_next_move",
    ),
    "a member that went on the newer program is left behind": Mutant(
        DOWNGRADE, "    if other:\n", "    if False:\n", "test__downgrade.py::test_the_next_move"
    ),
    "what is enabled is not called off": Mutant(
        DOWNGRADE, "    if targets:\n", "    if False:\n", "test__downgrade.py::test_the_next_move"
    ),
    # who takes a turn, and in which version
    "a newcomer starts by restarting": Mutant(
        TURNS, "new = _named(fact, *NEW)", "new = ()", "test__turns.py::test_case"
    ),
    "a newcomer restarts in a turn": Mutant(
        TURNS, '*NEW, "demote")', '"demote")',
        "test__turns.py::test_each_member_that_asks_gets_one_turn_unless_it_starts_in_another_way",
    ),
    "who gives way restarts in its turn as well": Mutant(
        TURNS, '*NEW, "demote")', "*NEW)", "test__turns.py::test_case"
    ),
    "the backup that keepalived begins as is taken for settled": Mutant(
        "_endpoint_host",
        "and not self.others():",
        "and False:",
        "test__endpoint_host.py::test_the_cover_stays_until_keepalived_is_no_longer_the_backup_that_it_begins_as",
    ),
    "pods move to a node that is drained next": Mutant(
        "_node_flow",
        "            for name, one in cordons.items():\n",
        "            for name, one in [*cordons.items()][:1]:\n",
        "test__node_flow.py::test_a_pod_that_goes_lands_on_no_node_that_is_drained_next",
    ),
    "an API server moves to a member that has not restarted yet": Mutant(
        TURNS,
        "for name in wanted - used:",
        "for name in ():",
        "test__turns.py::test_no_member_restarts_while_another_masters_api_server_has_it_alone",
    ),
    "a member restarts before the API server that has it alone has moved": Mutant(
        TURNS,
        ".update(used - wanted)",
        "",
        "test__turns.py::test_wherever_an_order_can_spare_an_api_server_its_only_member_it_does",
    ),
    "the other of two members does not wait": Mutant(TURNS, ', *fact["later"]', "", "test__turns.py::test_case"),
    "a learner waits for its turn": Mutant(
        TURNS, ' + [name for name in drifted if name in fact["learners"]]', "", "test__turns.py::test_case"
    ),
    "who waits for its API server waits for its turn as well": Mutant(
        TURNS,
        "for group in (True, False)",
        "for group in (False, True)",
        "test__turns.py::test_what_is_down_or_half_done_goes_first",
    ),
    "what was left half done is left so": Mutant(
        TURNS, "found.sort(key=lambda name: not _half_done(hostvars[name]))", "pass",
        "test__turns.py::test_the_turns_of_an_upgrade_are_those_of_its_plan",
    ),
    "a drain that was left behind stays while the other master is drained": Mutant(
        "_endpoint_server", 'wanted["in_use"]) if drained', "()) if drained",
        "test__endpoint_server.py::test_whoever_was_left_drained_each_turn_has_another_server_up",
    ),
    "a server is used again before anybody looks whether it answers": Mutant(
        "_endpoint_server", "        sleep(CHECKED)\n", "",
        "test__endpoint_server.py::test_a_server_is_checked_before_it_gets_connections_again",
    ),
    "who leaves is used again": Mutant(
        "_endpoint_server", 'servers(), "", names)', 'servers(), "", haproxy.servers())',
        "test__endpoint_server.py::test_whatever_a_cut_left_drained_of_those_that_stay_is_in_use_again",
    ),
    "who comes back takes others with it": Mutant(
        "_endpoint_server", 'wanted["in_use"]) if drained else {}', 'wanted["in_use"])',
        "test__endpoint_server.py::test_a_server_that_comes_back_leaves_the_others_alone",
    ),
    "who is drained already goes though no other is up": Mutant(
        "_endpoint_server", 'if drained and not wanted["allow_outage"]', 'if steps and drained and not wanted["allow_outage"]',
        "test__endpoint_server.py::test_who_is_drained_already_waits_for_another_one_as_well",
    ),
    "a downgrade that was called off is waited for": Mutant(
        "_topology_fact", "if state == _downgrade.ENABLED", "if state",
        "test__topology_fact.py::test_who_tells_etcd_to_go_back_and_who_sees_that_it_has",
    ),
    "of two that both are to vote one gives way": Mutant(
        UPGRADE, "if wanted.even_voters:", "if False:",
        "test__upgrade.py::test_of_two_that_both_are_to_vote_neither_gives_way",
    ),
    "systemd goes on starting what another step starts": Mutant(
        "_unit_plan", 'if item.reset and item.action == "restart":', "if False:",
        "test__unit_plan.py::test_configuring_starts_nothing_and_still_hands_over_the_identity",
    ),
    "a server in drain stands in for another": Mutant(
        "_haproxy", "any(server.up for", "any(server.status for",
        "test__haproxy.py::test_another_server_takes_connections_only_when_it_is_up_and_in_use",
    ),
    "clients of the fallback are not told": Mutant(
        "_haproxy", "(self._backend, FALLBACK):", "(self._backend,):",
        "test__haproxy.py::test_processes_that_a_reload_has_replaced_end_with_the_sessions_they_have",
    ),
    "a node may be called as the API is": Mutant(
        "_pki_plan", "return (*api_dns_names(network[\"cluster_domain\"]), *(", "return tuple((",
        "test__csr.py::test_a_node_that_claims_what_is_anothers_or_the_clusters",
    ),
    "a reserved address passes in IPv6 form": Mutant(
        "_csr", '"ipv4_mapped", None) is not None', '"ipv4_mapped", None) is False',
        "test__csr.py::test_an_ipv4_address_in_ipv6_form_is_refused",
    ),
    "nobody asks who leaves for certificates": Mutant(
        TOPOLOGY, "for host in placed),", "for host in bare),",
        "test__preflight_cluster.py::test_no_second_ca_is_made_where_the_one_that_leaves_has_all_of_the_first",
    ),
    "a check waits for another API server": Mutant(
        "_endpoint_server", "0 if check else timeout", "timeout",
        "test__endpoint_server.py::test_a_check_looks_once_and_says_what_a_run_would_wait_for",
    ),
    "an API server goes though no other is up": Mutant(
        "_endpoint_server", "if unsafe and not check:", "if False:",
        "test__endpoint_server.py::test_when_none_comes_nothing_is_done",
    ),
    "a run goes on where it is not let in": Mutant(
        "_kube", "not_let_in if check and warn else ()", "not_let_in if warn else ()",
        "test__kube.py::test_only_a_check_that_warns_goes_on_where_it_is_not_let_in",
    ),
    "a check takes what admission refuses for a lack of rights": Mutant(
        "_kube", "(error.status == 401 or error.by_authorizer)", "True",
        "test__kube.py::test_only_a_check_that_warns_goes_on_where_it_is_not_let_in",
    ),
    "controllers drain": Mutant(TURNS, "if name in drained]", "if name in due]", "test__turns.py::test_case"),
    "a member that starts counts as down": Mutant(
        TURNS,
        '(*_unit_plan.UP, "activating")', "_unit_plan.UP",
        "test__turns.py::test_a_turn_is_for_a_host_whose_service_is_down_or_runs_with_other_settings",
    ),
    "a run that goes on does not look at those before": Mutant(
        CANARY,
        "return [name for name in masters if name not in due] if due else []",
        "return []",
        "test__canary.py::test_canaries_are_who_was_changed_before_and_the_first_of_several",
    ),
    "a newcomer gets the newest": Mutant(
        VERSIONS, "return min(dict.fromkeys(versions)", "return max(dict.fromkeys(versions)", "test__host_versions.py::test_case"
    ),
    "every host gets the oldest": Mutant(
        VERSIONS,
        "found[program] = now or min(",
        "found[program] = min(",
        "test__host_versions.py::test_case",
    ),
    "what does not run is not on the disk": Mutant(
        VERSIONS, "_oldest(new) or max(", "max(", "test__host_versions.py::test_case"
    ),
    "a controller starts newer than its API server": Mutant(
        VERSIONS, "min(unit or bound, bound, key=_rank)", "unit or bound", STOPPED
    ),
    "a member starts older than those with its data": Mutant(
        VERSIONS, "max(units.etcd.get(host.name) or data, data, key=_rank)", "units.etcd.get(host.name) or data", STOPPED
    ),
    "the last member that can be spared is not": Mutant(SICK, "left < needed", "left <= needed", HANGING),
    "nobody has a turn beside a member that hangs": Mutant(
        SICK, "if host not in sick]) - 1", "if host not in sick])", HANGING
    ),
    # the canary of an upgrade
    "the fewest requests to judge by are too few": Mutant(
        CANARY, "if total < MIN_REQUESTS or", "if total <= MIN_REQUESTS or", "test__canary.py::test_case"
    ),
    "failures are judged of any number of requests": Mutant(
        CANARY, "if total < MIN_REQUESTS or", "if not total or", "test__canary.py::test_case"
    ),
    "exactly the share that may fail is too much": Mutant(
        CANARY, "failed <= MAX_FAILED * total", "failed < MAX_FAILED * total", "test__canary.py::test_case"
    ),
    "one late answer is not ready": Mutant(
        CANARY, "run < NOT_READY_RUN", "run < NOT_READY_RUN - 1", "test__canary.py::test_case"
    ),
    "late answers apart add up": Mutant(
        CANARY, "run = 0 if look.ready else run + 1", "run += not look.ready", "test__canary.py::test_case"
    ),
    "nobody looked, so it is ready": Mutant(CANARY, "if looks and run <", "if run <", "test__canary.py::test_case"),
    "what cannot be read is well": Mutant(
        CANARY,
        "if before.started is None or after.started is None:",
        "if False:",
        "test__canary.py::test_what_cannot_be_read_is_said_with_the_cause",
    ),
    "a restart goes unnoticed": Mutant(CANARY, "if before.started != after.started:", "if False:", "test__canary.py::test_case"),
    "an election that is allowed stops the upgrade": Mutant(
        CANARY,
        'if figures["leader_changes"] <= allowed:',
        'if figures["leader_changes"] < allowed:',
        "test__canary.py::test_case",
    ),
    "the member that saw fewest leader changes counts": Mutant(
        CANARY, "changes = max((", "changes = min((", "test__canary.py::test_case"
    ),
    "no member that tells is no election": Mutant(
        CANARY,
        "for one in shared), default=None)",
        "for one in shared), default=0)",
        "test__canary.py::test_a_member_that_answered_once_tells_nothing_and_another_may",
    ),
    "429 is a failure": Mutant(
        CANARY, 'if code.startswith("5")),', 'if code.startswith(("5", "429"))),', "test__canary.py::test_case"
    ),
    "what failed before the window counts": Mutant(
        CANARY, "_grown(old.get(code, 0), count)", "_grown(0, count)", "test__canary.py::test_case"
    ),
    "a watch that ends counts": Mutant(
        CANARY, 'labels.get("verb") in VERBS and', "", "test__canary.py::test_what_lasts_does_not"
    ),
    "a counter that began anew counts backwards": Mutant(
        CANARY,
        "return new - old if new >= old else new",
        "return new - old",
        "test__canary.py::test_a_member_that_restarted_counts_anew",
    ),
    # the order of an upgrade
    "the etcd leader does not go last": Mutant(
        UPGRADE,
        "        host.leads,\n        host.holds,\n",
        "        host.holds,\n",
        "test__upgrade.py::test_the_holder_goes_before_the_leader_and_after_all_others",
    ),
    "somebody else stops while something is down": Mutant(
        UPGRADE,
        "        not set(host.stopped) & set(here),\n",
        "",
        "test__upgrade.py::test_what_is_down_is_started_before_anything_else_stops_be_it_the_leader",
    ),
    "a master is begun while another is half done": Mutant(
        UPGRADE, "        len(changing) == len(here),\n", "", "test__upgrade.py::test_a_master_left_half_done_is_finished_first"
    ),
    "a voter that cannot be spared goes before others": Mutant(
        UPGRADE,
        "        ETCD in changing and not view.spares(host),\n",
        "",
        "test__upgrade.py::test_a_voter_that_cannot_be_spared_comes_last_even_when_it_is_half_done_and_nobody_knows_the_leader",
    ),
    "kubelets change before the last API server": Mutant(
        UPGRADE, "control = view.control()\n", "control = view.control()\n    yield from _nodes(view, control, old)\n", IN_ORDER
    ),
    "workers of two zones change at once": Mutant(
        UPGRADE, "zones.setdefault(host.zone, [])", 'zones.setdefault("", [])', IN_ORDER
    ),
    "all workers of a zone change at once": Mutant(UPGRADE, "size = size or len(nodes)", "size = len(nodes)", IN_ORDER),
    "a node that is down waits for the other zones": Mutant(
        UPGRADE,
        "sorted(batches, key=lambda chosen: rank(chosen[0]))",
        "sorted(batches, key=lambda chosen: rank(chosen[0])[1:])",
        "test__upgrade.py::test_nodes_that_are_down_come_first_with_their_zone",
    ),
    "the way back is told as before the nodes changed": Mutant(
        SICK,
        "            now[component][name] = view.target(component)\n",
        "",
        "test__upgrade_refusals.py::test_which_node_forbids_the_way_back_first",
    ),
    "the first of many nodes to forbid the way back is not told": Mutant(
        UPGRADE_VIEW, "sorted(versions.items(), reverse=True)", "sorted(versions.items())", CONTROL_ALONE
    ),
    "a roll searches all workers for each host": Mutant(
        PLAN, "(one[1] or one[0] in verdicts)]", "one not in workers]", f"{MANY}[a restart of all]"
    ),
    "etcd is not saved before an API server alone changes": Mutant(
        UPGRADE, 'change.program in ("etcd", "kube-apiserver")', 'change.program == "etcd"', IN_ORDER
    ),
    "controllers stay newer than their API server on the way back": Mutant(
        UPGRADE, "order = controllers + store if newer else store + controllers", "order = store + controllers", IN_ORDER
    ),
    "an API server runs while its own etcd restarts": Mutant(UPGRADE, " or (host.master and ETCD in changing)", "", IN_ORDER),
    "the only voter restarts in place beside a learner": Mutant(
        UPGRADE,
        "host.votes is None or (not view.spares(host) and (len(voters) > 1 or bool(view.learners())))",
        "host.votes is None",
        IN_ORDER,
    ),
    "a learner takes over though another votes": Mutant(
        UPGRADE,
        "others or view.learners()",
        "view.learners() or others",
        "test__upgrade.py::test_a_voter_takes_over_before_a_learner_becomes_one",
    ),
    "an outage needs no permission": Mutant(
        UPGRADE, "if not wanted.allow_outage:", "if False:", "test__upgrade_refusals.py::test_an_outage_must_be_allowed"
    ),
    "etcd's formal downgrade needs no permission": Mutant(
        UPGRADE,
        "    if any(step.kind == DOWNGRADE for step in steps):",
        "    if False:",
        "test__upgrade_refusals.py::test_the_formal_downgrade_must_be_allowed_unless_it_is_enabled_already",
    ),
    "a plan that is refused has steps": Mutant(
        UPGRADE,
        "return Plan(() if refusals else steps",
        "return Plan(steps",
        "test__upgrade_refusals.py::test_whoever_cannot_be_reached_is_refused",
    ),
    "of three voters none can be spared": Mutant(
        UPGRADE_VIEW, "len(voters) - 1 >= _quorum", "len(voters) - 1 > _quorum", IN_ORDER
    ),
    "what is stopped runs as wanted": Mutant(
        UPGRADE_VIEW,
        "component in host.stopped or self.now",
        "self.now",
        "test__upgrade.py::test_a_stopped_program_is_started_even_when_all_versions_are_right",
    ),
    "what a member that is down has on its disk does not count": Mutant(
        UPGRADE_VIEW,
        "told.line if self.members_down() or not oldest else",
        "told.line if not oldest else",
        "test__upgrade_view.py::test_while_a_member_is_down_the_cluster_version_etcd_tells_counts_more_than_the_members",
    ),
    "one that is newer than wanted makes no way back": Mutant(
        UPGRADE_VIEW,
        "if any(version > wanted for version in running)",
        "if running and all(version > wanted for version in running)",
        "test__upgrade.py::test_one_that_is_newer_than_wanted_makes_it_the_way_back",
    ),
    "only a master has to be reached": Mutant(
        SICK, "        if not host.reachable:", "        if not host.reachable and host.master:", REFUSED
    ),
    "a learner that hangs takes over": Mutant(
        SICK, "takes_over = len(voters) == 1 and not host.votes", "takes_over = False", REFUSED
    ),
    "an upgrade begins beside versions that do not go together": Mutant(SICK, "*_skewed(view), ", "", REFUSED),
    "learners of a join that was cut off take over": Mutant(
        "_upgrade_scene",
        "joining = () if topology.giving.old else topology.etcd.promote",
        "joining = ()",
        "test__upgrade_scene.py::test_learners_of_a_join_that_was_cut_off_vote_before_a_voter_stops",
    ),
    "the learner of two votes beside the voter that gives way to it": Mutant(
        "_upgrade_scene",
        "joining = () if topology.giving.old else topology.etcd.promote",
        "joining = topology.etcd.promote",
        f"{PAIRS}::test_the_plan_of_an_upgrade_says_it_in_one_step_and_does_the_same",
    ),
    "a program that is started again and again is no program": Mutant(
        "_upgrade_scene",
        ' or (state == "activating" and not version)',
        "",
        "test__upgrade_scene.py::test_a_program_that_systemd_starts_again_and_again_has_its_turn_first",
    ),
    # versions side by side
    "API servers may be two minors apart": Mutant(SKEW, "APISERVER_APART = 1", "APISERVER_APART = 2", SIDE_BY_SIDE),
    "a kubelet may be four minors behind": Mutant(SKEW, "KUBELET_BEHIND = 3", "KUBELET_BEHIND = 4", SIDE_BY_SIDE),
    "a kubelet may be newer than one of the API servers": Mutant(
        SKEW, "if _behind(v, oldest) < 0 or", "if _behind(v, newest) < 0 or", SIDE_BY_SIDE
    ),
    "a controller is judged by another host's API server": Mutant(
        SKEW, "own = servers.get(host, version)", "own = max(servers.values())", SIDE_BY_SIDE
    ),
    "a minor may be skipped": Mutant(SKEW, "HOP = 1\n", "HOP = 2\n", HOPS),
    "any 3.6 of etcd goes on to 3.7": Mutant(SKEW, "(3, 7): (3, 6, 11)}", "(3, 7): (3, 6, 10)}", HOPS),
    "a member goes back to what does not go with the others": Mutant(
        SKEW, "if beside and target < beside and", "if False and", REFUSED
    ),
    "API servers go back behind their kubelets": Mutant(
        SKEW, "_outside(known[component], target, target)", "_outside(known[component], Version(0, 0, 0), target)", HOPS
    ),
    # a drain
    "a static pod is evicted": Mutant(DRAIN, '    if MIRROR in (metadata.get("annotations") or {}):', "    if False:", PODS),
    "a pod of a DaemonSet that is gone is left": Mutant(
        DRAIN, '    if by_daemonset and (metadata["namespace"], owner["name"]) in daemonsets:', "    if by_daemonset:", PODS
    ),
    "a pod that nothing makes again is evicted": Mutant(
        DRAIN,
        '        (reasons if wanted.force else refusals).append("it has no controller',
        '        reasons.append("it has no controller',
        PODS,
    ),
    "data that are to be kept are lost": Mutant(DRAIN, "(reasons if wanted.delete_emptydir else refusals)", "reasons", PODS),
    "a pod that may run is deleted past its budget": Mutant(
        DRAIN, "    gone = DELETE if wanted.node_dead else EVICT", "    gone = DELETE", PODS
    ),
    "two budgets over one pod are waited for": Mutant(
        DRAIN, '    if status == 500 and "more than one PodDisruptionBudget" in message:\n        return FAIL\n', "", ANSWERS
    ),
    "an eviction without an answer is done": Mutant(
        DRAIN, "    if status is None:\n        return AGAIN", "    if status is None:\n        return ACCEPTED", ANSWERS
    ),
    "work begins on what somebody cordoned again": Mutant(
        DRAIN,
        "    return None if _left_over(node) else _mark(node)",
        "    return _mark(node)",
        "test__drain.py::test_a_drain_makes_resumes_or_refuses_a_cordon",
    ),
    "work begins on what was taken over from somebody": Mutant(
        DRAIN,
        "    if ours and (take_over or found is None):",
        "    if ours:",
        "test__drain.py::test_a_drain_makes_resumes_or_refuses_a_cordon",
    ),
    "a cordon that was taken over is taken back": Mutant(
        DRAIN,
        "    if found is not None:",
        "    if False:",
        "test__drain.py::test_only_a_cordon_of_ours_is_taken_back",
    ),
    "somebody's cordon is taken back": Mutant(
        DRAIN,
        "    if not _ours(node, operation):",
        "    if marked is None:",
        "test__drain.py::test_only_a_cordon_of_ours_is_taken_back",
    ),
    "a run works on a node that somebody drained with kube_node": Mutant(
        DRAIN,
        "    by_a_run = operation is None or RUN.fullmatch(operation)",
        "    by_a_run = False",
        "test__drain.py::test_a_run_goes_on_only_with_what_a_run_left",
    ),
    "the lock is taken beside who drained a node with kube_node": Mutant(
        DRAIN,
        "by_a_run = operation is None or ",
        "by_a_run = operation is not None and ",
        "test__drain.py::test_a_run_goes_on_only_with_what_a_run_left",
    ),
    "a turn that was refused gives a node back that somebody drained with kube_node": Mutant(
        "_node_flow",
        "_drain.judge_uncordon(node, self.wanted.operation)",
        "_drain.judge_uncordon(node, _drain.UNNAMED)",
        "test__node_flow.py::test_a_run_leaves_a_node_to_who_drained_it_by_hand",
    ),
    "the lock asks as somebody by hand": Mutant(
        "_lock_flow",
        "_drain.judge_cordon(node, None, take_over=False",
        '_drain.judge_cordon(node, "", take_over=False',
        "test__lock_flow.py::test_every_foreign_cordon_is_told_with_who_has_the_lock",
    ),
    "a cluster with a node called as the API is locked out": Mutant(
        "_preflight_hosts",
        "reserved, view.recorded(observation))",
        "reserved, False)",
        "test__preflight_hosts.py::test_no_node_is_called_as_the_api_is_and_one_that_is_goes_on",
    ),
    "a host of etcd's own is judged as a node": Mutant(
        "_preflight_hosts",
        "in reserved and (host.master or host.worker):",
        "in reserved:",
        "test__preflight_hosts.py::test_no_node_is_called_as_the_api_is_and_one_that_is_goes_on",
    ),
    "a living cluster is locked out for a port that nobody shares": Mutant(
        "_preflight_endpoint",
        "WARNING if view.built and not where else ERROR",
        "ERROR",
        "test__preflight_endpoint.py::test_a_living_cluster_keeps_a_port_that_its_masters_share_with_nobody",
    ),
    "a balancer is put on the port of the API": Mutant(
        "_preflight_endpoint",
        "WARNING if view.built and not where else ERROR",
        "WARNING if view.built else ERROR",
        "test__preflight_endpoint.py::test_a_living_cluster_keeps_a_port_that_its_masters_share_with_nobody",
    ),
    "a cluster is built on the port of a component": Mutant(
        "_preflight_endpoint",
        "WARNING if view.built and not where else ERROR",
        "ERROR if where else WARNING",
        "test__preflight_endpoint.py::test_a_living_cluster_keeps_a_port_that_its_masters_share_with_nobody",
    ),
    "another cluster's hosts tell that this one is built": Mutant(
        "_preflight_view",
        'observation["certificates"] and self.recorded(observation)',
        'observation["certificates"]',
        "test__preflight_endpoint.py::test_a_living_cluster_keeps_a_port_that_its_masters_share_with_nobody",
    ),
    "a node that leaves takes pods again": Mutant(
        DRAIN, "if name in stay]", "]", "test__drain.py::test_a_cordon_of_ours_is_known_by_its_mark"
    ),
    "a node takes pods again that somebody drained with kube_node": Mutant(
        DRAIN,
        'RUN.fullmatch(node["annotations"].get(MARK, ""))]',
        'MARK in node["annotations"]]',
        "test__drain.py::test_a_cordon_of_ours_is_known_by_its_mark",
    ),
    "a node that keeps its pods is asked about": Mutant(
        "_topology_fact", " and host.name in topology.drains]", "]",
        "test__topology_fact.py::test_nodes_that_are_to_be_drained_are_known_beforehand",
    ),
    "a master that takes no pods of others takes those of the only worker": Mutant(
        ROLLING, " if other <= kind) == 1", ") == 1",
        "test__rolling.py::test_a_drain_is_pointless_where_no_other_node_takes_the_pods",
    ),
    "the only node is drained": Mutant(
        TOPOLOGY, " and name not in scene.pinned)", ")",
        "test__topology_fact.py::test_a_node_is_drained_in_its_turn_where_its_pods_have_somewhere_to_go",
    ),
    "a batch drains in waves": Mutant(
        "_settings", "0 < forks < batch_size", "0 > forks > batch_size", "test__settings.py::test_a_batch_drains_at_once"
    ),
    "the lock ends before a long drain does": Mutant(
        "_beside_turns",
        "drain = _lock.STEP_SECONDS + max(0, settings.drain_seconds - _drain.SECONDS)",
        "drain = _lock.STEP_SECONDS",
        "test__beside_turns.py::test_the_lock_is_held_for_as_long_as_pods_are_given_to_end",
    ),
    # a kubelet that restarted
    "a node is Ready by the word of the kubelet before": Mutant(
        "_kube_objects",
        "if renewed is None or renewed <= began:",
        "if False:",
        "test__kube_objects.py::test_a_node_is_ready_when_the_kubelet_that_runs_now_has_said_so",
    ),
    # who founds etcd
    "etcd is founded though a host cannot be looked at": Mutant(BOOTSTRAP, "    if unseen:", "    if False:", FOUNDED),
    "etcd is founded beside a cluster elsewhere": Mutant(
        BOOTSTRAP,
        "if decision.action == BOOTSTRAP and elsewhere:",
        "if False:",
        "test__bootstrap.py::test_a_cluster_elsewhere_changes_nothing_but_the_founding_of_a_second_one",
    ),
    "etcd is founded below masters whose API servers are stopped": Mutant(
        ETCD_PLAN,
        "elif _host_scene.has_api_server(seen):",
        "elif False:",
        "test__etcd_plan.py::test_masters_whose_disks_are_all_empty_found_no_second_cluster",
    ),
    "etcd is founded below a master that has only its kubelet left": Mutant(
        ETCD_PLAN,
        'elif host.master and seen.get("kubelet_credentials"):',
        "elif False:",
        "test__etcd_plan.py::test_one_master_that_was_one_is_enough_to_found_no_second_cluster",
    ),
    "a folder that was not read is empty": Mutant(
        BOOTSTRAP, "if host.reachable and host.data is not False]", "if host.reachable and host.data]", FOUNDED
    ),
    "etcd is founded beside data of a stopped cluster": Mutant(BOOTSTRAP, "    if forgotten:", "    if False:", FOUNDED),
    "of two foundings one is finished": Mutant(BOOTSTRAP, "    if len(records) > 1:", "    if False:", FOUNDED),
    "a founding is finished without a majority of its hosts": Mutant(
        BOOTSTRAP, "if len(start) < quorum(len(names)):", "if False:", FOUNDED
    ),
    "a founder that lost its disk starts from the record": Mutant(
        BOOTSTRAP,
        " and not (host.data is False and member.client_urls)",
        "",
        "test__bootstrap.py::test_one_that_published_itself_and_has_no_data_has_lost_its_disk",
    ),
    "a host with data joins": Mutant(
        BOOTSTRAP,
        "for host in outside if host.data is False)",
        "for host in outside)",
        "test__bootstrap.py::test_hosts_outside_a_serving_cluster_join",
    ),
    "a cluster built anew has the ids of the former one": Mutant(
        BOOTSTRAP, ", nonce])", "])", "test__bootstrap.py::test_a_token_is_the_same_for_the_same_founding_only"
    ),
    # etcd's timings
    "a bad moment restarts every member": Mutant(
        TIMING, "* max(HEARTBEAT_MIN, largest)\n    patient", "* largest\n    patient", TIMED
    ),
    "an election that etcd refuses is kept": Mutant(TIMING, " and election <= ELECTION_MAX", "", TIMED),
    "what was not measured changes what is in use": Mutant(
        TIMING, "    if present:\n        return Timing(*present", "    if False:\n        return Timing(*present", TIMED
    ),
    # before a run
    "every host asks who has the address": Mutant(
        "_questions",
        "arp if name in masters else NEVER",
        "arp",
        "test__questions.py::test_only_whom_it_is_about_is_asked_what_takes_time_or_is_heard_by_others",
    ),
    "a second CA is made beside a living cluster": Mutant(
        PREFLIGHT,
        "if holding and not view.ca_store_exists:",
        "if False:",
        "test__preflight_cluster.py::test_a_living_cluster_without_its_ca_store_stops_the_run",
    ),
    "a host of another cluster is taken out of use before its reset refuses": Mutant(
        PREFLIGHT,
        "for host, observation in (*view.seen(), *view.seen_leaving()):",
        "for host, observation in view.seen():",
        "test__preflight_cluster.py::test_a_host_of_another_cluster_is_not_taken_out_of_use_here",
    ),
    "a move writes another endpoint than the cluster has": Mutant(
        "_preflight",
        '"cluster-other", "cluster-changed", ADDRESS)',
        "ADDRESS)",
        "test__preflight.py::test_a_move_asks_only_whether_what_it_writes_fits",
    ),
    "a living cluster's endpoint address is changed": Mutant(
        PREFLIGHT,
        '    "endpoint": "endpoint_address",\n',
        "",
        "test__preflight_cluster.py::test_what_a_living_cluster_was_made_with_stays",
    ),
    "a master is left out of the inventory": Mutant(
        PREFLIGHT,
        "for member in cluster.strays if not member.started}",
        "for member in cluster.strays}",
        "test__preflight_cluster.py::test_a_master_left_out_of_the_inventory_is_an_error_and_a_member_that_never_ran_a_warning",
    ),
    "a master that etcd does not know of is left out": Mutant(
        PREFLIGHT,
        "if address not in known:",
        "if False:",
        "test__preflight_cluster.py::test_a_master_that_is_dropped_while_others_know_it_as_a_peer_is_an_error",
    ),
    "a master becomes a worker as it is": Mutant(
        PREFLIGHT,
        "if parts and not host.master:",
        "if False:",
        "test__preflight_cluster.py::test_a_master_that_is_listed_as_a_worker_is_told_once_alive_or_dead",
    ),
    "a removal that was cut off cannot be finished": Mutant(
        PREFLIGHT,
        "masters = [host for host in (*view.topology.hosts, *view.topology.leaving) if",
        "masters = [host for host in view.topology.hosts if",
        "test__preflight_cluster.py::test_a_master_that_leaves_is_not_left_out",
    ),
    "a dead host is taken for a living one of its name": Mutant(
        "_identity",
        "if one[0] not in names and one[1] not in addresses)",
        "if one[0] not in names)",
        "test__identity.py::test_whom_somebody_else_is_by_name_or_by_address_is_not_on_record",
    ),
    "a cordon of who is dead keeps it from being replaced": Mutant(
        "_topology_fact",
        "if host.master and host.name not in forgotten]",
        "if host.master]",
        "test__topology_fact.py::test_a_master_that_is_forgotten_may_be_cordoned_and_no_other",
    ),
    "a dead host is forgotten by the inventory's name alone": Mutant(
        "_topology_fact",
        'addresses.get(host.name, "")',
        '""',
        "test__topology_fact.py::test_the_node_of_a_host_that_cannot_be_asked_is_found_by_its_address",
    ),
    "a dead host of which nobody knows the address leaves": Mutant(
        "_preflight_hosts",
        "if not view.observed.get(one.name) and not one.address",
        "if False",
        "test__preflight_hosts.py::test_a_dead_host_that_leaves_is_refused_while_nobody_knows_its_address",
    ),
    "a master gives the address up though nobody could take it": Mutant(
        "_plan",
        "if holder and balanced and not heirs.names and",
        "if False and",
        "test__plan.py::test_the_address_is_not_taken_off_a_master_whom_nobody_could_relieve",
    ),
    "a successor has the address of the host that leaves": Mutant(
        "_preflight_hosts",
        "leaving | staying, fix",
        "staying, fix",
        "test__preflight_hosts.py::test_a_successor_may_not_have_the_address_of_the_host_that_leaves",
    ),
    "clocks are held to the controller's alone": Mutant(
        "_preflight_hosts",
        "if apart > CLOCK_SECONDS:",
        "if False:",
        "test__preflight_hosts.py::test_clocks_are_apart_from_each_other_too",
    ),
    "site.yml goes to the next minor": Mutant(
        PREFLIGHT,
        "if newest and wanted.line > newest.line:",
        "if False:",
        "test__preflight_cluster.py::test_a_running_cluster_keeps_its_minor",
    ),
    "a stranger that answers for the address is only a warning": Mutant(
        "_preflight_endpoint",
        "WARNING if unseen else ERROR",
        "WARNING",
        "test__preflight_endpoint.py::test_a_foreign_machine_that_answers_for_the_endpoint_is_found_by_its_mac",
    ),
    # the verdict on a living cluster
    "a cluster that takes no write serves": Mutant(
        "_health", '"etcd-alarm", "api-none", "endpoint-dead"})', '"api-none", "endpoint-dead"})', HAPPENED
    ),
    "what is said to do first is what the last finding asks for": Mutant(
        "_health",
        "_next_step(errors[0])",
        "_next_step(errors[-1])",
        "test__health.py::test_what_is_to_be_done_first_is_about_what_is_named_first",
    ),
    "exactly a quorum is none": Mutant(
        HEALTH_ETCD,
        "    if seen.survival.failures >= 0:\n        return\n    found",
        "    if seen.survival.failures > 0:\n        return\n    found",
        HAPPENED,
    ),
    "nothing is known of the zone of a voter and it is survived": Mutant(
        QUORUM,
        "    if not all(member.zone for member in voters):\n        return ()\n",
        "    voters = [member for member in voters if member.zone]\n",
        "test__health.py::test_of_zones_nothing_is_said_while_that_of_a_voter_is_not_known",
    ),
    "an alarm of no member in particular is that of whoever tells of it": Mutant(
        "_etcd",
        '(raised or "0", alarm)',
        "(raised or member_id, alarm)",
        "test__etcd.py::test_alarms_are_found_in_every_form_and_unknown_errors_count_as_one",
    ),
    "where no majority of the data agrees the next step is to replace one": Mutant(
        QUORUM,
        "if (member_id, alarm) == (NOBODY, CORRUPT):",
        "if False:",
        "test__quorum.py::test_each_alarm_is_told_with_its_own_remedy_and_whose_it_is",
    ),
    "nodes too old for the next minor are to come up to API servers that they are too old for already": Mutant(
        "_skew",
        "fix = first if _behind(version, newest) <= KUBELET_BEHIND else _anew(host)",
        "fix = first",
        "test__skew.py::test_what_is_too_far_behind_is_told_with_a_playbook_that_can",
    ),
    "an alarm that one reader was told of does not count": Mutant(
        HEALTH_VIEW,
        'for _name, answer in answers for one in answer["alarms"]})',
        'for one in best["alarms"]})',
        "test__health.py::test_an_alarm_counts_whichever_member_alone_was_told_of_it",
    ),
    "who the members are is what one that is cut off says": Mutant(
        HEALTH_VIEW,
        'rank(answer["confirmed"], ',
        "rank(False, ",
        "test__health.py::test_who_the_members_are_is_what_a_quorum_confirms_then_what_was_written_last",
    ),
    "an API that answers at its address is down": Mutant(
        HEALTH_API,
        "if not api_ready(seen) and not endpoint_answers(seen):",
        "if not api_ready(seen):",
        "test__health.py::test_an_api_that_answers_at_its_address_serves_though_no_server_answers_directly",
    ),
    "a unit of which nothing is known runs": Mutant(
        HEALTH_NODES,
        '.get(unit, "unknown")\n',
        '.get(unit, "active")\n',
        "test__health.py::test_a_unit_of_which_it_is_not_known_that_it_runs_is_down",
    ),
    "nobody looks whether controllers run": Mutant(
        HEALTH_NODES,
        "        units += MASTER_UNITS\n",
        "        pass\n",
        "test__health.py::test_of_every_unit_that_a_host_needs_it_is_told_that_it_is_down",
    ),
    "what a master alone did not tell is well": Mutant(
        HEALTH_NODES,
        '"balancer": host["master"] and seen.mode != EXTERNAL',
        '"balancer": False',
        "test__health.py::test_what_one_master_alone_did_not_tell_is_missed",
    ),
    "a certificate that is about to end is a warning": Mutant(
        HEALTH_NODES,
        "ERROR if any(one.days_left <= _limit(ENDS_ERROR, one) for one in rows) else WARNING",
        "WARNING",
        "test__health.py::test_a_certificate_is_mentioned_before_it_ends_and_not_too_early",
    ),
    # what names members
    "without a quorum who votes is taken from whoever answers": Mutant(
        DRIFT, "    if seen.survival.failures < 0:\n        return  # who", "    if False:\n        return  # who", LEFT
    ),
    "an API server that serves a member on its way is a stranger's": Mutant(
        DRIFT, 'if wanted and set(used) != set(seen.host(name)["etcd_endpoints"]):', "if wanted:", LEFT
    ),
    "what an API server uses besides is as bad as what it lacks": Mutant(
        DRIFT,
        "ERROR if set(wanted) - set(used) else WARNING",
        "ERROR",
        "test__health_drift.py::test_an_api_server_that_uses_other_members_than_it_should",
    ),
    "an address that is guessed makes a stray": Mutant(
        DRIFT, "sorted(listing.items()) if _all_observed(seen) else ()", "sorted(listing.items())", LEFT
    ),
    "a peer whose address is guessed is a stranger": Mutant(
        DRIFT, "- set(others.values())) if _all_observed(seen) else []", "- set(others.values()))", LEFT
    ),
    "who takes no part in VRRP is missed": Mutant(
        DRIFT, "if other in parts and address not in peers]", "if address not in peers]", LEFT
    ),
    "the peers of a keepalived that is down are judged": Mutant(
        DRIFT, ' and (part["vrrp"] or {}).get("state", "down") != "down"', "", LEFT
    ),
    "a backend of a master with another name is a stray": Mutant(
        DRIFT,
        'if server not in names and address.rsplit(":", 1)[0] not in addresses:',
        "if server not in names:",
        "test__health_drift.py::test_a_backend_is_a_masters_by_its_name_or_its_address",
    ),
    "a certificate is judged by a name that is guessed": Mutant(
        DRIFT, "if one.lacks and one.host in seen.observed:", "if one.lacks:", LEFT
    ),
    "a founding that goes on is left over": Mutant(
        DRIFT, "if left and member and member.healthy and member.started:", "if left and member:", LEFT
    ),
    # certificates
    "one authority of this cluster is enough to make keys beside another one's": Mutant(
        "_pki", "all(found == wanted for", "any(found == wanted for",
        "test__pki.py::test_keys_are_made_on_bare_hosts_and_those_of_this_cluster_only",
    ),
    # name servers of pods
    "pods ask themselves behind systemd-resolved": Mutant(
        "_resolver",
        "if on_host(found) and resolved is not None and not on_host(behind):",
        "if False:",
        "test__resolver.py::test_every_pair_of_files",
    ),
    # machines
    "a kubelet that does not start on cgroup v1 is let in": Mutant(
        "_preflight_machine",
        "_numbers(version) >= CGROUP_V1_FAILS",
        "_numbers(version) > CGROUP_V1_FAILS",
        "test__preflight_machine.py::test_a_kubelet_that_would_not_start_is_told_of_before",
    ),
    "only 127.0.0.1 is the host itself": Mutant(
        "_resolver",
        "return ipaddress.ip_address(server).is_loopback",
        'return server == "127.0.0.1"',
        "test__resolver.py::test_every_loopback_address_is_the_host_itself",
    ),
    "another cluster's authority is overwritten": Mutant(
        "_pki",
        "return ISSUE if set(present) & set(wanted) else REFUSE",
        "return ISSUE",
        "test__pki.py::test_authority_files_are_replaced_only_by_an_overlap",
    ),
    "each try to save etcd that failed leaves a copy on its disk": Mutant(
        "_snapshot",
        "        with contextlib.suppress(OSError):  # the reason that is told is the one above\n            discard(path)\n",
        "",
        "test__snapshot.py::test_a_save_that_fails_leaves_no_file",
    ),
    "a cluster without its quorum is said to have no members": Mutant(
        "_quorum_gate",
        "    if unproven:",
        "    if False:",
        "test__quorum_gate.py::test_members_that_no_quorum_confirms_are_named_and_not_said_to_be_none",
    ),
    "a member that does not answer is asked for a copy, for minutes": Mutant(
        "_snapshot",
        "    if told.rc:",
        "    if False:",
        "test__snapshot.py::test_a_member_that_does_not_answer_soon_is_not_waited_for_as_long_as_a_copy_may_take",
    ),
    "what a try left that was cut off takes the room of the next": Mutant(
        "_snapshot",
        "exist_ok=True)\n    discard(path)\n",
        "exist_ok=True)\n",
        "test__snapshot.py::test_what_earlier_tries_left_goes_before_the_room_is_looked_at",
    ),
    "the same programs from another source are fetched anew": Mutant(
        "_artifact_plan",
        "    return known and (not artifact.sha256 or _same(artifact, entry))",
        "    return known and _same(artifact, entry)",
        "test__artifact_plan.py::test_members_from_another_source_are_proven_when_what_they_came_from_is_known",
    ),
    "a file of another download proves itself": Mutant(
        "_artifact_plan",
        "    return known and (not artifact.sha256 or _same(artifact, entry))",
        "    return known",
        "test__artifact_plan.py::test_members_from_another_source_are_proven_when_what_they_came_from_is_known",
    ),
    "a certificate is renewed when it has ended": Mutant(
        "_pki",
        "    elif left <= min(max(life - BACKDATE, 0) / 3.0, RENEW_BEFORE):",
        "    elif False:",
        "test__pki.py::test_renewal_begins_in_the_last_third_and_never_earlier_than_30_days_before",
    ),
    # what is signed, and who may found a store
    "another cluster's authority file is written over": Mutant(
        "_issuing",
        "        if verdict == _pki.REFUSE:",
        "        if False:",
        "test__issuing.py::test_a_host_of_another_store_is_refused_whole",
    ),
    "a certificate of another store is taken for an old one of ours": Mutant(
        "_issuing",
        "not item.present.problem and not item.present.issued_by_store",
        "False",
        "test__issuing.py::test_a_certificate_of_another_store_without_any_authority_is_refused",
    ),
    "an authority signs that the host does not trust yet": Mutant(
        "_issuing",
        "_pki.guard(host, foreign, strangers, trusted) + _pki.guard_overlap(host, _overlaps(wanted_files, present))",
        "_pki.guard(host, foreign, strangers, trusted)",
        "test__issuing.py::test_an_authority_signs_only_when_the_host_trusts_it",
    ),
    "any authority file is trust in ours": Mutant(
        "_issuing",
        "return bool(set(ours) & set(_x509.fingerprints(found[\"content\"] or \"\")))",
        "return True",
        "test__issuing.py::test_an_unreadable_authority_file_is_mended_and_proves_nothing",
    ),
    "anybody founds a store where one is missing": Mutant(
        "_ca_store",
        "        if not may_create:",
        "        if False:",
        "test__ca_store.py::test_a_missing_store_is_an_error_that_says_what_to_do",
    ),
    "the store of another cluster signs": Mutant(
        "_ca_store",
        "        if owner != cluster_name:",
        "        if False:",
        "test__ca_store.py::test_another_clusters_store_is_refused",
    ),
    "a key signs that is not its authority's": Mutant(
        "_ca_store",
        "        if key.public_key() != self.authority(name)[0].public_key():",
        "        if False:",
        "test__ca_store.py::test_a_key_that_is_not_its_authoritys_signs_nothing",
    ),
    "API servers have to be ready before the members they use have restarted": Mutant(
        TURNS,
        '"running_ready": not voters,',
        '"running_ready": True,',
        "test__turns.py::test_an_api_server_that_runs_need_not_be_ready_while_a_member_is_yet_to_restart",
    ),
    # who leads
    "a lone member that is ill is waited for before its allowed restart": Mutant(
        "_etcd_flows",
        "(observed.confirmed or not others)",
        "observed.confirmed",
        "test__etcd_flows.py::test_a_member_that_alone_votes_keeps_the_leadership",
    ),
    "who says nothing is taken for nobody": Mutant(
        "_etcd_flows",
        "return not voters and (observed.confirmed or not others)",
        "return not voters",
        "test__etcd_flows.py::test_whether_another_votes_is_not_guessed_without_quorum",
    ),
    # which paths there are
    "a path may begin with two slashes": Mutant(
        "_file_plan",
        ' and not item.path.startswith("//")',
        "",
        "test__file_plan.py",
    ),
    "a name that is listed and is not there is looked for for ever": Mutant(
        "_reset_host",
        "            if missing >= MISSING:",
        "            if False:",
        "test__reset_host.py::test_a_name_that_a_folder_lists_and_nobody_finds_ends_the_removal",
    ),
    # what a request for a certificate may hold
    "a number of an object identifier is as long as a request": Mutant(
        "_asn1",
        "        if arc >> ARC_BITS:",
        "        if False:",
        "test__asn1.py::test_the_numbers_of_an_oid_are_bounded",
    ),
    # what a reset may take
    "network namespaces of somebody else's containerd go": Mutant(
        "_reset_plan",
        "        if part is RUNTIME and part in own:",
        "        if part is RUNTIME:",
        "test__reset_plan.py::test_network_namespaces_that_containerd_made_go_and_those_of_somebody_elses_stay",
    ),
    "what a person put on etcd's disk goes": Mutant(
        "_reset_plan",
        "if ETCD_DATA.fullmatch(name)]",
        "if name != OF_THE_DISK]",
        "test__reset_plan.py::test_a_disk_of_its_own_is_emptied_of_what_is_ours_and_stays",
    ),
    "a folder goes on which a disk of its own is mounted": Mutant(
        "_reset_plan",
        "if path in disks else [path]",
        "if False else [path]",
        "test__reset_plan.py::test_a_disk_of_its_own_is_emptied_of_what_is_ours_and_stays",
    ),
    "a folder that somebody mounted for the kubelet is unmounted": Mutant(
        "_reset_plan",
        "(row.device, row.root) == (below.device, _within(below, row.point))",
        'row.root != "/"',
        "test__reset_plan.py::test_only_a_folder_that_is_mounted_on_itself_is_the_kubelets",
    ),
    "a disk over what the kubelet mounted is unmounted with it": Mutant(
        "_reset_plan",
        "for row in rows if row.point not in others))",
        "for row in rows if row.number in own))",
        "test__reset_plan.py::test_only_a_folder_that_is_mounted_on_itself_is_the_kubelets",
    ),
    # a host's own look
    "the first interface stands for every subnet": Mutant(
        "_host",
        "if network.num_addresses > 1 and wanted in network:",
        "if network.num_addresses > 1 or wanted in network:",
        "test__host.py::test_of_several_interfaces_the_one_in_whose_subnet_the_address_lies",
    ),
    "a downgrade to another line is gone on with": Mutant(
        "_upgrade_scene",
        "(enabled and enabled == target)",
        "(enabled or enabled == target)",
        "test__upgrade_scene.py::test_what_etcd_is_to_be_told",
    ),
}  # fmt: skip  # a mutant a row


def one_of(folders, name):
    """Return the path of the file so named in one of these folders."""
    (found,) = [path for path in (folder / name for folder in folders) if path.exists()]
    return found


def place(test):
    """Return how pytest is told of a test of one of the files there are."""
    file, colons, name = test.partition("::")
    return f"{one_of(TESTS, file)}{colons}{name}"


def source(file):
    return one_of(SOURCES, f"{file}.py").read_text(encoding="utf-8")


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
    path = one_of(SOURCES, f"{file}.py")
    package = importlib.import_module(f"{PACKAGE}.{path.parent.name}")
    spec = importlib.util.spec_from_file_location(f"{package.__name__}.{file}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    setattr(package, file, module)
    exec(compile(text, str(path), "exec"), module.__dict__)


def outcome(tests, file=None, text=""):
    """Run tests in a child process, with one module's text in place of its own; return pytest's exit code and output."""
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
                code = pytest.main([*OPTIONS, *map(place, tests)])
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
