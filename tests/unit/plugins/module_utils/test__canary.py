# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the rule that lets an upgrade go on after its first master: named cases, then properties."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _canary, _metrics
from ansible_collections.multimaster.kubernetes.plugins.module_utils._canary import Look, Sample
from hypothesis import given, settings
from hypothesis import strategies as st

READY, LATE = Look(True), Look(False, "/readyz: etcd")
M = ("https://m1:2379", "https://m2:2379")
SERVER = "https://192.0.2.11:6443"


def judged(codes=None, looks=(READY,) * 11, leader_changes=(0, 0), started=(5.0, 5.0), allowed=1, before=None):
    """Judge a window of 10 s: how many more of each code, the looks, what each of two members counted more."""
    had = before or {"200": 1000}
    first = Sample(started[0], had, dict(zip(M, (7, 3))))
    after = Sample(
        started[1],
        {code: had.get(code, 0) + (codes or {}).get(code, 0) for code in {*had, *(codes or {})}},
        {url: start + more for url, start, more in zip(M, (7, 3), leader_changes)},
    )
    return _canary.judge(first, after, looks, 10.0, allowed, SERVER)


def rules(verdict):
    return [one.rule for one in verdict.reasons]


CASES = {
    "all is well": ({"codes": {"200": 80}}, []),
    "nobody asks it anything": ({}, []),
    # 5xx
    "one failed request of the fewest that count": ({"codes": {"200": 19, "500": 1}}, []),
    "two of them": ({"codes": {"200": 18, "500": 2}}, ["errors"]),
    "all failed, but of too few to judge": ({"codes": {"500": 19}}, []),
    "all failed, of just enough": ({"codes": {"500": 20}}, ["errors"]),
    "exactly the share that may": ({"codes": {"200": 95, "500": 5}}, []),
    "one more than may": ({"codes": {"200": 94, "500": 6}}, ["errors"]),
    "codes of the same kind add up": ({"codes": {"200": 94, "500": 2, "503": 2, "504": 2}}, ["errors"]),
    "it tells everybody to come later": ({"codes": {"200": 10, "429": 500}}, []),
    "it refuses what is wrong": ({"codes": {"404": 40, "409": 40, "403": 20}}, []),
    "failures from before the window": ({"codes": {"200": 80}, "before": {"200": 10, "500": 900}}, []),
    # readiness
    "one late answer": ({"looks": (READY, LATE, READY)}, []),
    "late answers apart": ({"looks": (LATE, READY, LATE, READY, LATE)}, []),
    "two late answers in a row": ({"looks": (READY, LATE, LATE, READY)}, ["ready"]),
    "never ready": ({"looks": (LATE,) * 11}, ["ready"]),
    "not ready at the end": ({"looks": (READY, READY, LATE, LATE)}, ["ready"]),
    "nobody looked": ({"looks": ()}, ["ready"]),
    # the process
    "it restarted": ({"started": (5.0, 9.0)}, ["up"]),
    "its metrics were not to be read at first": ({"started": (None, 9.0)}, ["up"]),
    "nor at the end": ({"started": (5.0, None)}, ["up"]),
    # etcd
    "one leader change": ({"leader_changes": (1, 1)}, []),
    "two leader changes": ({"leader_changes": (2, 2)}, ["leader_changes"]),
    "two leader changes of which one member saw one": ({"leader_changes": (1, 2)}, ["leader_changes"]),
    "one leader change where none is allowed": ({"leader_changes": (1, 1), "allowed": 0}, ["leader_changes"]),
    "three where three are allowed": ({"leader_changes": (3, 3), "allowed": 3}, []),
    "all at once": (
        {"codes": {"500": 99}, "looks": (LATE,) * 4, "leader_changes": (9, 9), "started": (1.0, 2.0)},
        ["ready", "up", "errors", "leader_changes"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_case(name):
    given_, wanted = CASES[name]
    assert rules(judged(**given_)) == wanted


def test_a_member_that_restarted_counts_anew():
    before, after = Sample(1.0, {}, {M[0]: 9}), Sample(1.0, {}, {M[0]: 1})
    assert _canary.judge(before, after, (READY,), 10).figures["leader_changes"] == 1


def test_a_member_that_answered_once_tells_nothing_and_another_may():
    before = Sample(1.0, {}, {M[0]: 9})
    assert rules(_canary.judge(before, Sample(1.0, {}, {M[1]: 9}, "m1: refused"), (READY,), 10)) == ["leader_changes"]
    assert _canary.judge(before, Sample(1.0, {}, {M[0]: 9, M[1]: 40}), (READY,), 10).well


def test_a_verdict_says_figures_in_field_terms():
    red = judged({"200": 53, "500": 5, "503": 2}, (READY, LATE, LATE), (4, 4))
    assert red.reason == (
        "not ready in 2 of 3 looks, 2 in a row (/readyz: etcd); 7 of 60 requests failed, 11.7% and at most 5% may (5 with 500, 2 "
        "with 503); etcd changed its leader 4 times in 10 s and at most 1 may be"
    )
    setting = "multimaster_upgrade_canary_leader_changes"
    for text in (f"kubectl --server {SERVER} get --raw", "journalctl -u kube-apiserver", setting):
        assert text in red.next_step
    assert red.as_dict()["reasons"][0]["rule"] == "ready"
    assert judged({"200": 80, "429": 3}).reason == (
        "ready in 11 of 11 looks, 0 of 83 requests failed, 3 told to come later, 0 leader changes in 10 s"
    )
    assert "1 of 4 requests failed, too few to judge (of 20 wanted)" in judged({"200": 3, "500": 1}).reason


def test_what_cannot_be_read_is_said_with_the_cause():
    nothing = _canary.judge(Sample(), Sample(error="connection refused"), (READY,), 10)
    assert rules(nothing) == ["up", "leader_changes"]
    assert "its metrics could not be read (connection refused)" in nothing.reason


def test_an_advice_is_given_once():
    verdict = _canary.Verdict((_canary.Reason("a", "x", "look"), _canary.Reason("b", "y", "look")))
    assert (verdict.next_step, verdict.reason) == ("look", "x; y")


def test_the_failure_says_what_is_wrong_who_serves_what_next_and_the_way_back():
    said = _canary.failure(judged({"500": 50}), ["m2", "m3"], "run again with Kubernetes 1.36.3")
    for text in (
        "no other master follows: 50 of 50 requests failed",
        "Untouched: m2, m3. Next: `kubectl",
        "Way back: run again with Kubernetes 1.36.3. The same command again looks at it first",
    ):
        assert text in said


# Which requests count, on lines as kube-apiserver 1.36.3 writes them.

LINE = (
    'apiserver_request_total{{code="{code}",component="apiserver",dry_run="",group="",resource="pods",scope="namespace",'
    'subresource="{part}",verb="{verb}",version="v1"}} {count}\n'
)


def counts(*rows):
    text = "".join(LINE.format(verb=verb, part=part, code=code, count=count) for verb, part, code, count in rows)
    return _canary.counted(_metrics.read("# TYPE apiserver_request_total counter\n" + text, _canary.REQUESTS, _canary.STARTED))


@pytest.mark.parametrize("verb", sorted(_canary.VERBS))
def test_reads_and_writes_count(verb):
    assert counts((verb, "", "500", 3), (verb, "status", "200", 4)) == {"500": 3, "200": 4}


@pytest.mark.parametrize("verb", ["WATCH", "CONNECT", "WATCHLIST", ""])
def test_what_lasts_does_not(verb):
    assert counts((verb, "", "504", 9)) == {}


@pytest.mark.parametrize("part", ["/readyz", "/livez", "/metrics", "log", "exec", "proxy", "attach", "portforward"])
def test_nor_do_probes_and_streams(part):
    assert counts(("GET", part, "500", 9)) == {}


def test_codes_of_all_resources_add_up_also_large_ones():
    assert counts(("GET", "", "200", 2), ("LIST", "", "200", "1.5e+06"), ("GET", "", "504", 1)) == {"200": 1500002, "504": 1}


# Properties

CODES = st.dictionaries(st.sampled_from(["200", "201", "404", "409", "429", "500", "503", "504"]), st.integers(0, 200))


@given(CODES, st.sampled_from(["500", "503", "504"]), st.integers(1, 400))
@settings(max_examples=200)
def test_more_failures_never_make_it_better_once_there_are_enough(codes, code, more):
    worse = {**codes, code: codes.get(code, 0) + more}
    if "errors" in rules(judged(codes)):
        assert "errors" in rules(judged(worse))


@given(CODES, st.integers(0, 500))
@settings(max_examples=200)
def test_good_answers_never_make_a_good_one_red_where_requests_were_enough(codes, more):
    verdict = judged(codes)
    if verdict.well and verdict.figures["requests"] >= _canary.MIN_REQUESTS:
        assert judged({**codes, "200": codes.get("200", 0) + more}).well


@given(st.integers(0, 2000))
def test_one_failed_request_alone_never_stops_an_upgrade(good):
    assert judged({"200": good, "500": 1}).well


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_looks_are_red_exactly_when_two_in_a_row_are(answers):
    red = any(not one and not other for one, other in zip(answers, answers[1:]))
    assert ("ready" in rules(judged(looks=tuple(READY if ok else LATE for ok in answers)))) == red


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_leader_changes_are_those_of_the_member_that_saw_most(one, other, allowed):
    assert ("leader_changes" in rules(judged(leader_changes=(one, other), allowed=allowed))) == (max(one, other) > allowed)


@given(CODES, st.lists(st.booleans(), max_size=9), st.integers(0, 9), st.booleans())
def test_a_red_verdict_always_says_why_and_what_next(codes, answers, leader_changes, restarted):
    verdict = judged(codes, tuple(READY if ok else LATE for ok in answers), (leader_changes, 0), (1.0, 2.0 if restarted else 1.0))
    assert verdict.well == (not verdict.reasons)
    assert all(one.said and one.next_step for one in verdict.reasons)
    assert verdict.reason


@pytest.mark.parametrize(
    ("due", "earlier", "first"),
    [
        ("", "", ""),
        ("m1", "m2 m3", ""),  # an earlier run changed two of three; nobody follows the last
        ("m2 m3", "m1", "m2"),  # it changed one, and of the rest the first is one as well
        ("m2 m1 m3", "", "m2"),  # nobody has changed yet, so the first does
    ],
)
def test_canaries_are_who_was_changed_before_and_the_first_of_several(due, earlier, first):
    due = due.split()
    assert _canary.earlier(["m1", "m2", "m3"], due) == earlier.split()
    assert _canary.first(due, {"canary": {"seconds": 30}}) == first.split()
    assert _canary.first(due, {"canary": {"seconds": 0}}) == []
