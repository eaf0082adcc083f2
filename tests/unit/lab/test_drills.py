# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the drills of tests/lab name is there: the tasks at which they cut, the words that they expect to be said.

Most drills are not part of `make test`. Without this a changed text breaks one in silence, until somebody runs it.
"""

from __future__ import annotations

import argparse
import ast
import pathlib
import re
import sys

import pytest
from tree import BLOCKS, load, tasks_of

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "lab"))

import cut_many
import cutoff
import interrupt
import play
import refuse

PROGRAMS = {"play.py": ("--cut", "--then", "--says"), "interrupt.py": ("--at",), "refuse.py": ("--only",)}
VALUES = {"--then": 2}


def nested(content, wanted):
    """Yield what `wanted` picks of every mapping in a document."""
    if isinstance(content, dict):
        yield from wanted(content)
    for inner in content.values() if isinstance(content, dict) else content if isinstance(content, list) else ():
        yield from nested(inner, wanted)


# --- what the drills name -----------------------------------------------------------------------------------------------


def calls(content):
    """Return the program calls that a mapping holds: `steps` is a list of them, `step` a single one."""
    return content["steps"] if isinstance(content.get("steps"), list) else [content["step"]] if "step" in content else []


def acts():
    """Yield each program call of a scenario's steps: (file, program, the values of the options that name something)."""
    for path in sorted((*ROOT.glob("molecule/*/steps/*.yml"), *ROOT.glob(".config/molecule/steps/*.yml"))):
        for program, *arguments in nested(load(path), calls):
            parser = argparse.ArgumentParser(allow_abbrev=False)
            for option in PROGRAMS.get(program, ()):
                parser.add_argument(option, action="append", default=[], nargs=VALUES.get(option))
            yield f"{path.parents[1].name}/{path.name}", program, vars(parser.parse_known_args([str(a) for a in arguments])[0])


def named(program, option):
    found = ((place, options.get(option, ())) for place, called, options in acts() if called == program)
    return sorted({(place, tuple(one) if isinstance(one, list) else one) for place, values in found for one in values})


THENS = [(place, play.parse_then(*words)) for place, words in named("play.py", "then")]
CUTS = [(place, cutoff.parse_cut(text)) for place, text in named("play.py", "cut")]
CUTS += [(place, then.where) for place, then in THENS]
CUTS += [(place, cutoff.parse_cut(f"before {where}")) for place, where in named("interrupt.py", "at")]
CUTS += [("cut_many.py", cutoff.parse_cut(text.format(ms=1))) for text in cut_many.FOUNDING]
CUTS += [
    ("refuse.py", cutoff.Cut("task", task))
    for task in sorted({part for one in refuse.SITUATIONS for part in one.cut.task.split("|")})
]
WORDS = named("play.py", "says") + [(f"refuse.py: {one.name}", words) for one in refuse.SITUATIONS for words in one.says]


# --- what is there ------------------------------------------------------------------------------------------------------

UNSEEN = {*BLOCKS, "ansible.builtin.import_role", "ansible.builtin.import_tasks"}


def play_names():
    """Return every play's name as a run shows it."""
    return {one["name"] for path in ROOT.glob("playbooks/**/*.yml") for one in load(path) or [] if "hosts" in one}


def task_names():
    """Yield every task's name as a run shows it, without a role in front and with it."""
    for path in sorted((*ROOT.glob("playbooks/**/*.yml"), *ROOT.glob("roles/*/tasks/**/*.yml"))):
        role = f"{path.relative_to(ROOT).parts[1]} : " if path.is_relative_to(ROOT / "roles") else ""
        # Neither a block nor an import is an event at which a run is cut off: only what is in them is.
        for name in (task["name"] for task in tasks_of(load(path)) if not UNSEEN & set(task)):
            yield f"multimaster.kubernetes.{role}{name}" if role else name


def python_texts(path):
    """Yield every text of a Python file; of one that is filled in, each part between two fillings."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def yaml_texts(path):
    """Yield every text of a playbook's or role's file."""
    yield from nested(load(path), lambda m: [value for value in m.values() if isinstance(value, str)])


def words_of(text):
    return re.findall(r"[^\s`(),.:;'\"]+(?:\.yml)?", text)


def said_together():
    """Return each word of the product's texts with the one that follows it, and each word alone."""
    files = (*ROOT.glob("playbooks/**/*.yml"), *ROOT.glob("roles/*/*/*.yml"), *ROOT.glob("molecule/*/hooks/*.yml"))
    found = [text for path in ROOT.glob("plugins/**/*.py") for text in python_texts(path)]
    found += [text for path in files for text in yaml_texts(path)]
    said = [words_of(text) for text in found]
    pairs = {pair for words in said for pair in zip(words, words[1:], strict=False)}
    return pairs | {(word,) for words in said for word in words}


TASKS = sorted(set(task_names()))
PLAYS = sorted(play_names())
SAID = said_together()
# What a text fills in: hosts, numbers, versions, placeholders of a drill, playbooks, variables, objects, alarms, what a drill
# brings itself.
FILLED_IN = re.compile(r".*[\d{}_/=].*|.*\.yml|kube-.*|multimaster-.*|Kubernetes|[A-Z]{3,}|elsewhere|wanted")


def unheard(expected):
    """Return the words that no text has together with the one before or behind them.

    What is filled in parts a text, and a message may be put together of several: so a word needs one neighbour, and none when
    both of them are filled in. What begins a sentence may be small where it is written.
    """
    words = ["{}", *words_of(expected), "{}"]
    small = words[1][:1].lower() + words[1][1:]
    words[1] = small if (small, words[2]) in SAID else words[1]
    found = []
    for before, word, behind in zip(words, words[1:], words[2:], strict=False):
        alone = all(FILLED_IN.fullmatch(one) for one in (before, behind))
        known = (word,) in SAID if alone else (before, word) in SAID or (word, behind) in SAID
        if not known and not FILLED_IN.fullmatch(word):
            found.append(word)
    return found


# --- the rules ----------------------------------------------------------------------------------------------------------


def test_the_drills_are_found():
    assert len(CUTS) > 40
    assert len(WORDS) > 30
    assert len(TASKS) > 100
    assert len(SAID) > 5000


@pytest.mark.parametrize("place,cut", CUTS, ids=lambda value: value if isinstance(value, str) else value.task)
def test_a_drill_cuts_at_a_task_that_is_there(place, cut):
    assert not cut.task or any(re.search(cut.task, name) for name in TASKS), "renamed? then the run would end by itself"
    assert not cut.play or any(re.search(cut.play, name) for name in PLAYS), "renamed? likewise"


@pytest.mark.parametrize("place,words", WORDS)
def test_a_drill_expects_words_that_the_product_says(place, words):
    assert not unheard(words), "no text of plugins, playbooks, roles or the scenarios' hooks has these words together"


@pytest.mark.parametrize("place,name", named("refuse.py", "only"))
def test_a_drill_asks_for_a_situation_that_is_there(place, name):
    assert name in [*(situation.name for situation in refuse.SITUATIONS), "control"]


def test_a_run_of_a_drill_is_one_that_play_understands():
    steps = sorted((*ROOT.glob("molecule/*/steps/*.yml"), *ROOT.glob(".config/molecule/steps/*.yml")))
    runs = [call[1:] for path in steps for call in nested(load(path), calls) if call[0] == "play.py"]
    asked = [play.parse(["lab", *map(str, arguments)]) for arguments in runs]
    assert sum(bool(options.another) for options in asked) >= 6
    assert sum(bool(options.same) for options in asked) >= 6


def called_by(scenario):
    """Return the program calls of a scenario, in their order."""
    steps = [step.split()[1] for step in load(scenario)["scenario"]["test_sequence"] if step.startswith("side_effect")]
    return [call for step in steps for call in nested(load((scenario.parent / step).resolve()), calls)]


@pytest.mark.parametrize("scenario", sorted(ROOT.glob("molecule/*/molecule.yml")), ids=lambda path: path.parent.name)
def test_what_a_scenario_wants_another_or_the_same_is_on_hosts_that_it_has(scenario):
    asked = [play.parse(["lab", *map(str, call[1:])]) for call in called_by(scenario) if call[0] == "play.py"]
    named = {what.partition("@")[2] for options in asked for what in (*options.another, *options.same)}
    assert named - {""} <= {host["name"] for host in load(scenario)["platforms"]}


def make_test():
    """Return the scenarios of `make test`."""
    return re.search(r"^SCENARIOS \?= (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[1].split()


def test_every_playbook_that_changes_a_cluster_is_cut_off_in_make_test_and_its_command_finishes():
    """But for roll.yml, whose cut costs a reboot more: the scenario `roll` has it."""
    cut, finished = set(), set()
    for scenario in make_test():
        for program, playbook, *arguments in called_by(ROOT / "molecule" / scenario / "molecule.yml"):
            if program == "play.py" and "--cut" in arguments:
                cut.add((scenario, playbook))
            elif program == "play.py" and "--check" not in arguments and (scenario, playbook) in cut:
                finished.add(playbook)
    assert {playbook for _scenario, playbook in cut} == finished
    locking = re.compile(r"import_playbook: phases/(lock|begin|reset_lock)\.yml")
    changing = {path.name for path in (ROOT / "playbooks").glob("*.yml") if locking.search(path.read_text(encoding="utf-8"))}
    assert len(changing) > 6 and changing - finished == {"roll.yml"}


@pytest.mark.parametrize("scenario", sorted(ROOT.glob("molecule/*/molecule.yml")), ids=lambda path: path.parent.name)
def test_a_scenario_that_measures_shows_that_its_probers_are_not_blind(scenario):
    made = [(call[0], call[1]) for call in called_by(scenario) if len(call) > 1]
    measures = ("probe.py", "start") in made or any(program == "drop_zone.py" for program, _verb in made)
    shown = {("probe.py", verb) for verb in ("control", "control-roll", "control-members")} & set(made)
    assert bool(shown) == measures, "add a control, or probers"


def listed_masters(path):
    """Return the masters that an inventory of a scenario lists, a file or a folder of them."""
    files = sorted(path.glob("*.yml")) if path.is_dir() else [path]
    groups = [group for file in files for group in nested(load(file), lambda m: [m.get("kube_control_plane")]) if group]
    return {host for group in groups for host in group.get("hosts", ())}


def with_masters(scenario):
    """Yield each program call of a scenario with the number of masters that there are then, as its runs should have left them."""
    platforms = load(scenario)["platforms"]
    always = {host["name"] for host in platforms if "kube_control_plane" in host.get("groups", ())}
    masters = set(always)
    for program, *words in called_by(scenario):
        arguments = [str(word) for word in words]
        playbook = next((word for word in arguments if word.endswith(".yml")), "")
        if program in ("play.py", "interrupt.py") and not {"--check", "--cut"} & {*arguments}:
            files = [ROOT / file for option, file in zip(arguments, arguments[1:], strict=False) if option == "--inventory"]
            masters = always.union(*map(listed_masters, files)) if files else masters
            values = dict(
                word.partition("=")[::2] for option, word in zip(arguments, arguments[1:], strict=False) if option == "-e"
            )
            if playbook == "remove_node.yml" or playbook == "replace_node.yml" and "by" in values:
                masters = masters - {*values["node"].split(",")}
        yield [program, *arguments], len(masters)


def test_the_masters_of_a_scenario_are_counted():
    sizes = [count for call, count in with_masters(ROOT / "molecule/scale/molecule.yml") if call[0] == "play.py"]
    assert sizes == [1, 2, 3, 5, 5, 5, 3, 3, 4, 2, 2, 1, 1]


@pytest.mark.parametrize("scenario", sorted(ROOT.glob("molecule/*/molecule.yml")), ids=lambda path: path.parent.name)
def test_a_control_harms_a_cluster_that_a_playbook_would_not_harm(scenario):
    """With one master whatever stops it is an outage, drained before or not."""
    shown = [
        count for call, count in with_masters(scenario) if call[:1] == ["probe.py"] and call[1] in ("control", "control-roll")
    ]
    assert all(count > 1 for count in shown), "put the control where there is more than one master"


def test_what_is_looked_for_after_a_cut_is_broken_once_on_purpose_and_of_three_voters():
    calls = [
        (call, count) for call, count in with_masters(ROOT / "molecule/interrupted/molecule.yml") if call[0] == "interrupt.py"
    ]
    assert [count for call, count in calls if call[1:] == [interrupt.CONTROL]] == [3]
    assert len(calls) > 3


@pytest.mark.parametrize("scenario", sorted(ROOT.glob("molecule/*/molecule.yml")), ids=lambda path: path.parent.name)
def test_a_scenario_that_measures_a_workload_shows_before_that_its_prober_is_not_blind(scenario):
    made = [call for call in called_by(scenario) if call[0] == "probe.py"]
    measured = [number for number, call in enumerate(made) if call[1] == "start" and "--workload" in call]
    shown = [number for number, call in enumerate(made) if call[1] == "control-workload"]
    assert bool(measured) == bool(shown), "add the workload's control, or its prober"
    assert not measured or min(shown) < min(measured)


@pytest.mark.parametrize("scenario", sorted(ROOT.glob("molecule/*/molecule.yml")), ids=lambda path: path.parent.name)
def test_a_scenario_stops_what_it_measured_and_says_of_each_session_whether_a_host_died_in_it(scenario):
    going, died, wrong = False, False, []
    for program, *arguments in called_by(scenario):
        verb = arguments[0] if arguments else ""
        died = died or "kill" in " ".join(arguments) and (program == "hosts.py" or "--then" in arguments)
        if program == "probe.py" and verb == "start":
            wrong += ["it starts probers that run"] * going
            going, died = True, False
        elif program == "probe.py" and verb == "stop":
            wrong += ["it stops probers that do not run"] * (not going)
            wrong += [f"a host died: {died}, and it says {arguments[1:]}"] * (("--after-death" in arguments) != died)
            going = False
    assert not wrong + ["its probers are never stopped"] * going


@pytest.mark.parametrize("scenario", sorted(ROOT.glob("molecule/*/molecule.yml")), ids=lambda path: path.parent.name)
def test_a_scenario_measures_in_the_cluster_only_where_a_worker_stays(scenario):
    if any(call[0] == "probe.py" and "--in-cluster" in call for call in called_by(scenario)):
        assert any(host["name"].startswith("w") for host in load(scenario)["platforms"])


@pytest.mark.parametrize(
    "words,expected",
    [
        ("Nothing was touched.", []),
        ("Nothing was tuched.", ["tuched"]),
        ("m3: cordoned by a neighbour", ["neighbour"]),
        ("m9 sleeps 17 hours", ["sleeps"]),
        ("Compact, defragment one member", []),
        ("Compact, disarm one member", ["Compact", "disarm"]),
    ],
)
def test_words_that_no_text_has_are_found(words, expected):
    assert unheard(words) == expected
