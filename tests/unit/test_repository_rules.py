# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The project's rules, held over the tree; each message says what the rule protects (docs: CONTRIBUTING)."""

from __future__ import annotations

import ast
import pathlib
import re
import sys

import pytest
import yaml
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _preflight_machine, _releases, _settings
from tree import load, tasks_of

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "tools"))
import reference

ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())
MODULES = sorted((ROOT / "plugins" / "modules").glob("*.py"))
MAX_TASKS, MAX_WHEN, MAX_TEMPLATE_IFS, MAX_MODULE_LINES, MAX_ACTION_LINES = 12, 3, 3, 90, 140
FELT_BY_THE_CLUSTER = re.compile(r"etcd|apiserver|haproxy|keepalived|endpoint")
# What ansible-core itself brings to a host beside the standard library.
ON_EVERY_HOST = {*sys.stdlib_module_names, "__future__", "ansible", "ansible_collections"}


def place(path):
    return str(path.relative_to(ROOT))


def yaml_files(*folders):
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.yml"))


def short(task):
    """Return a task with the collection's name taken off its keys."""
    return {str(key).rsplit(".", 1)[-1]: value for key, value in task.items()}


def all_tasks():
    for path in yaml_files("playbooks", *(f"roles/{r.name}/tasks" for r in ROLES), *(f"roles/{r.name}/handlers" for r in ROLES)):
        if path.parent.name != "vars":
            for task in tasks_of(load(path)):
                yield path, short(task)


def offenders(breaks):
    return [f"{place(path)}: {task.get('name', 'a task without a name')}" for path, task in all_tasks() if breaks(task)]


def role_files(*parts):
    return [f for role in ROLES for part in parts for f in sorted((role / part).rglob("*")) if f.is_file()]


def test_there_is_something_to_judge():
    assert len(ROLES) > 10
    assert len(list(all_tasks())) > 40


# Variables that tell of other hosts.
OF_OTHERS = re.compile(r"\b(?:groups|hostvars|play_hosts)\b")


def without_comments(path):
    return "\n".join(line for line in path.read_text().splitlines() if not line.lstrip().startswith("#"))


def test_a_role_reads_only_its_own_inputs():
    looking = role_files("tasks", "handlers", "templates", "defaults", "vars")
    found = [place(path) for path in looking if OF_OTHERS.search(path.read_text())]
    assert not found, "only playbooks/vars knows other hosts; give the role an input instead"


def test_playbooks_know_other_hosts_by_their_wiring_only():
    looking = {path for path in yaml_files("playbooks") if OF_OTHERS.search(without_comments(path))}
    assert {place(path) for path in looking if path.parent.name != "vars"} == set(), "name it in playbooks/vars, in one place"
    assert looking


def test_what_was_decided_is_read_from_this_run_only():
    """A run that leaves localhost out (--limit) would else do what an earlier one was asked, from a fact cache."""
    cached = re.compile(r"ansible_facts\W+multimaster\b")
    found = [place(path) for path in yaml_files("playbooks", "roles") if cached.search(without_comments(path))]
    assert not found, "register it; facts may be of another run"
    [task] = [short(task) for task in load(ROOT / "playbooks/phases/tasks/decide.yml")]
    assert task["register"] == "__decided"
    assert "ansible_facts" not in (ROOT / "plugins/action/topology.py").read_text()
    wired = load(ROOT / "playbooks/vars/wiring.yml")
    assert "__decided.multimaster | default(undef(hint=__not_decided))" in wired["multimaster"]
    assert "Next: " in wired["__not_decided"] and "--limit" in wired["__not_decided"]


def set_for_a_while(content):
    """Yield the variables that plays and tasks set by themselves."""
    for key, value in content.items() if isinstance(content, dict) else enumerate(content):
        yield from value if key == "vars" else ()
        yield from set_for_a_while(value) if isinstance(value, (dict, list)) else ()


def test_the_wiring_names_what_phases_set_themselves():
    """Who looks for an input finds it in the wiring, or there at least who sets it."""
    inputs = {name for role in ROLES for spec in spec_of(role).values() for name in spec["options"]}
    given = {name for path in yaml_files("playbooks") for name in set_for_a_while(load(path))} & inputs
    [comment] = re.findall(r"(?s)Not here:.*?(?=\n[^#])", (ROOT / "playbooks/vars/wiring.yml").read_text())
    assert {name for name in given if not name.endswith("_restart")} == set(re.findall(r"\w+_\w+", comment)) & inputs
    assert any(name.endswith("_restart") for name in given) and "*_restart" in comment


def test_no_task_goes_through_a_shell():
    assert not offenders(lambda t: "shell" in t or "raw" in t), "write a module or use `command`: a pipeline hides failures"


def test_no_failure_is_ignored():
    assert not offenders(lambda t: t.get("ignore_errors")), "read state with an _info module, or say failed_when"


def test_every_task_has_a_name():
    assert not offenders(lambda t: not t.get("name")), "the name is what a person reads when it fails"


def test_a_command_says_when_it_changed_something():
    assert not offenders(lambda t: "command" in t and "changed_when" not in t), "`changed=0` of a second run is a promise"


def test_nothing_waits_blindly():
    found = offenders(lambda t: "pause" in t and "prompt" not in (t["pause"] or {}))
    assert not found, "wait for a condition with a bound, never for a time"


# What ansible-core itself does in the process that runs the playbook, as the person who started it.
IN_PROCESS = {"assert", "debug", "fail", "import_tasks", "include_tasks", "pause", "set_fact"}
THEIR_OWN = re.compile(r"^ +_requires_connection = False$", re.MULTILINE)


def is_local(keywords):
    """Tell whether a play or a task says that it runs on the controller."""
    where = str(keywords.get("delegate_to", keywords.get("hosts", "")))
    return where == "localhost" or keywords.get("connection") == "local" or "local_action" in keywords


def local_tasks(path, content, inherited=False):
    """Yield (file, name, module) of every task that runs on the controller, those of files it includes too."""
    for item in content:
        local = is_local(item) or (inherited and "delegate_to" not in item)
        for part in ("pre_tasks", "tasks", "post_tasks", "block", "rescue", "always"):
            yield from local_tasks(path, item.get(part) or (), local)
        if local:
            yield from ((path, item.get("name"), key.rsplit(".", 1)[-1]) for key in item if "." in key or key == "local_action")
            named = short(item).get("import_tasks") or short(item).get("include_tasks")
            if named:
                yield from local_tasks(path.parent / named, load(path.parent / named), True)
            assert not item.get("roles"), f"{place(path)}: a role is for hosts"


def test_nothing_is_run_on_the_controller_as_whoever_the_hosts_tasks_become():
    ours = {path.stem for path in sorted((ROOT / "plugins" / "action").glob("*.py")) if THEIR_OWN.search(path.read_text())}
    files = [path for path in yaml_files("playbooks", *(f"roles/{r.name}/tasks" for r in ROLES)) if path.parent.name != "vars"]
    found = [one for path in files for one in local_tasks(path, load(path))]
    assert {"topology", "pause", "fail"} <= {module for _path, _name, module in found}
    wrong = [f"{place(path)}: {name}: {module}" for path, name, module in found if module not in IN_PROCESS | ours]
    assert not wrong, "`ansible_become` is localhost's too: sudo fails, or the file is root's. Write an action plugin"


def test_no_file_of_a_host_is_read_into_memory_as_a_whole():
    found = offenders(lambda t: "fetch" in t or "slurp" in t)
    assert not found, "with become, `fetch` holds the file in base64 on both sides: see plugins/action/etcd_snapshot.py"


@pytest.mark.parametrize(
    ("content", "modules"),
    [
        ([{"hosts": "localhost", "tasks": [{"a.b.copy": {}}]}], ["copy"]),
        ([{"hosts": "{{ x }}", "connection": "local", "tasks": [{"block": [{"a.b.file": {}}]}]}], ["file"]),
        ([{"hosts": "all", "tasks": [{"a.b.file": {}, "delegate_to": "localhost"}, {"a.b.copy": {}}]}], ["file"]),
        ([{"hosts": "all", "tasks": [{"local_action": "file"}]}], ["local_action"]),
        ([{"a.b.file": {}, "connection": "local"}], ["file"]),
        ([{"hosts": "localhost", "tasks": [{"a.b.lock": {}, "delegate_to": "m1"}]}], []),
    ],
)
def test_a_task_for_the_controller_is_found_wherever_that_is_said(content, modules):
    assert [module for _path, _name, module in local_tasks(ROOT / "x.yml", content)] == modules


def test_no_list_is_put_together_in_an_order_of_its_own_each_time():
    """The filters for sets go through a set, whose order is another one in each process: a file that is written again differs."""
    files = yaml_files("playbooks", *(f"roles/{role.name}" for role in ROLES))
    wrong = [place(path) for path in files if re.search(r"\|\s*(union|difference|symmetric_difference)\(", path.read_text())]
    assert not wrong, "`+` with `unique`, or `reject('in', …)`, keep the order"


def test_conditions_stay_readable():
    found = offenders(lambda t: isinstance(t.get("when"), list) and len(t["when"]) > MAX_WHEN)
    assert not found, "decide in Python, then ask for one fact"


def test_the_api_servers_of_several_masters_stop_one_after_the_other():
    plays = [(path, play) for path in yaml_files("playbooks/phases") for play in load(path) if "hosts" in play]
    stops = [(path, play) for path, play in plays if "kube-apiserver" in str(play.get("tasks"))]
    assert [place(path) for path, _play in stops] == ["playbooks/phases/part.yml"], "else in a turn, by tasks/leave.yml"
    assert all(play["serial"] == 1 for _path, play in stops)


def test_no_handler_touches_what_the_cluster_feels():
    found = [
        f"{place(path)}: {task.get('name')}"
        for path in yaml_files(*(f"roles/{role.name}/handlers" for role in ROLES))
        for task in tasks_of(load(path))
        if FELT_BY_THE_CLUSTER.search(str(task))
    ]
    found += offenders(lambda t: FELT_BY_THE_CLUSTER.search(str(t.get("notify", ""))))
    assert not found, "members, API servers and the endpoint restart only in a serial step behind a gate"


@pytest.mark.parametrize("path", yaml_files("playbooks/phases", *(f"roles/{role.name}/tasks" for role in ROLES)), ids=place)
def test_a_task_file_is_short_enough_to_read(path):
    assert len(list(tasks_of(load(path)))) <= MAX_TASKS, "split it by step: preflight, install, configure, service, health"


def test_every_name_of_the_wiring_is_there():
    """A name that is gone is no error where a default or `omit` stands behind it."""
    used, made = {}, set()
    for path in yaml_files("playbooks"):
        text = without_comments(path)
        made |= set(re.findall(r"^ *(__\w+):", text, re.MULTILINE)) | set(re.findall(r"register: (__\w+)", text))
        used.update(dict.fromkeys(re.findall(r"\b__\w+", text), place(path)))
    assert "__self" in made
    assert {name: where for name, where in used.items() if name not in made} == {}


def test_no_file_of_tasks_is_named_like_a_phase():
    """Ansible looks beside the playbook first when a file of tasks that was included includes another (seen on the lab)."""
    phases = {path.name for path in (ROOT / "playbooks/phases").glob("*.yml")}
    assert not phases & {path.name for path in (ROOT / "playbooks/phases/tasks").glob("*.yml")}


HOW_MANY = re.compile(r"\s*(?:- )?(serial|throttle|run_once|max_fail_percentage):")


def without_reason(lines):
    """Return the numbers of the lines that say how many at once, with no comment there or on the line above."""
    comment = re.compile(r"(^|\s)#\s*\w")
    return [
        number
        for number, (above, line) in enumerate(zip(["", *lines], lines), 1)
        if HOW_MANY.match(line) and not comment.search(line) and not above.lstrip().startswith("#")
    ]


@pytest.mark.parametrize("path", yaml_files("playbooks", *(f"roles/{role.name}/tasks" for role in ROLES)), ids=place)
def test_order_and_concurrency_give_their_reason(path):
    lines = path.read_text().splitlines()
    assert not without_reason(lines), "say why in a comment, on the line or on the one above"
    shares = [line for line in lines if HOW_MANY.match(line) and "//" in line]
    assert not shares, "the quorum gate decides, not a share of the hosts"


def test_a_comment_that_is_near_is_no_reason():
    assert without_reason(["# what the play is for", "- hosts: all", "  serial: 1"]) == [3]
    assert without_reason(['  throttle: "{{ n }}#2"', "- run_once: true  #"]) == [1, 2]
    assert not without_reason(["- hosts: all", "  # one at a time, because", "  serial: 1", "  throttle: 1  # because"])


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_role_declares_each_input_once_typed_and_described(role):
    specs = load(role / "meta" / "argument_specs.yml")["argument_specs"]
    listed = [pair for spec in specs.values() for pair in (spec.get("options") or {}).items()]
    options = dict(listed)
    assert not [name for name, option in listed if option is not options[name]], "entry points share an option by a YAML anchor"
    defaults_file = role / "defaults" / "main.yml"
    defaults = (load(defaults_file) if defaults_file.exists() else None) or {}
    wrong = [name for name, option in options.items() if "type" not in option or "description" not in option]
    assert not wrong, "type and description are the role's interface"
    declared = {name: option["default"] for name, option in options.items() if "default" in option}
    assert defaults == declared, "defaults/main.yml is generated from meta/argument_specs.yml; change it there"
    foreign = [name for name in options if not name.startswith(f"{role.name}_")]
    assert not foreign, "a role's input starts with the role's name"


def spec_of(role):
    return load(role / "meta" / "argument_specs.yml")["argument_specs"]


def calls():
    """Yield (file, role, the `tasks_from` it is entered by) of every task that runs a role."""
    for path, task in all_tasks():
        said = task.get("import_role") or task.get("include_role")
        if said:
            yield path, ROOT / "roles" / said["name"].rsplit(".", 1)[-1], said.get("tasks_from", "main")


def test_roles_begin_without_a_task_that_validates_what_was_judged_before_anything_was_touched():
    """See ADR 0014: users' variables are judged with the settings (_role_inputs), the wiring by test_argument_specs.py."""
    plays = [path for path in yaml_files("playbooks") if re.search(r"^ +roles:", path.read_text(), re.M)]
    assert not plays, "`roles:` cannot be told not to validate; import_role can"
    tasks = [task.get("import_role") or task.get("include_role") or {} for _path, task in all_tasks()]
    assert not [role for role in tasks if role and role.get("rolespec_validate") is not False]


def test_an_entry_point_that_is_called_is_declared():
    """Ansible looks up the specification by the very text of `tasks_from`, and checks nothing where there is none."""
    found = [f"{place(path)}: {role.name}, {entry}" for path, role, entry in calls() if entry not in spec_of(role)]
    assert not found, "name the entry point as meta/argument_specs.yml does, without .yml"
    entered = {(role, entry) for _path, role, entry in calls()}
    declared = {(role, entry) for role in ROLES for entry in spec_of(role) if entry != "main"}
    assert not declared - entered, "nobody enters here"


def read_by(role, entry):
    """Return the role's own names that are read by a file of its tasks, those it includes, and the internals they use."""
    internals = {name: str(value) for path in (role / "vars").glob("*.yml") for name, value in (load(path) or {}).items()}
    waiting, seen, text = [role / "tasks" / f"{entry}.yml"], set(), ""
    while waiting:
        text += waiting.pop().read_text()
        waiting += [role / "tasks" / name for name in re.findall(r"_tasks: (\w+\.yml)", text) if name not in seen]
        seen |= set(re.findall(r"_tasks: (\w+\.yml)", text))
    while new := {name for name in internals if re.search(rf"\b{name}\b", text)} - seen:
        seen |= new
        text += "".join(internals[name] for name in new)
    return set(re.findall(rf"(?<![.\w]){role.name}_\w+", text))


@pytest.mark.parametrize("role,entry", [(role, entry) for role in ROLES for entry in spec_of(role) if entry != "main"])
def test_an_entry_point_declares_what_it_reads(role, entry):
    left_by_main = set(re.findall(r"register: (\w+)", (role / "tasks" / "main.yml").read_text()))
    assert set(spec_of(role)[entry]["options"]) == read_by(role, entry) - left_by_main


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_role_says_what_it_leaves_for_others_to_decide_from(role):
    left = {name for f in role_files("tasks") if role in f.parents for name in re.findall(r"register: ([a-z]\w+)", f.read_text())}
    told = [line for spec in spec_of(role).values() for line in spec.get("description", ()) if line.startswith("Registers C(")]
    assert sorted(left) == sorted(re.match(r"Registers C\((\w+)\)", line)[1] for line in told), "see tests/tools/generate.py"
    assert not [name for name in left if name != f"{role.name}_result"]
    for path in yaml_files("playbooks", *(f"roles/{one.name}" for one in ROLES)):
        for key in re.findall(rf"\b{role.name}_result\.(\w+)", path.read_text()):
            assert any(f"C({key})" in line for line in told), f"{place(path)} reads {key} of it"


def test_what_others_decide_from_is_what_a_role_leaves():
    left = {f"{role.name}_result" for role in ROLES if f"register: {role.name}_result" in (role / "tasks/main.yml").read_text()}
    of_roles = re.compile(r"\b(?:{})_result\b".format("|".join(role.name for role in ROLES)))
    files = [*yaml_files("playbooks"), *sorted((ROOT / "plugins").rglob("*.py"))]
    read = {name for path in files for name in of_roles.findall(path.read_text())}
    assert read == left, "a result that nobody reads is not registered, one that nobody leaves is always empty"


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_role_keeps_its_internals_to_itself_and_needs_no_other_role(role):
    for path in sorted((role / "vars").glob("*.yml")):
        named = [name for name in load(path) or {} if not name.startswith(f"__{role.name}_")]
        assert not named, f"{place(path)}: internal names start with __{role.name}_"
    meta = role / "meta" / "main.yml"
    assert not (load(meta) if meta.exists() else {}).get("dependencies"), "order lives in playbooks, where it can be read"


@pytest.mark.parametrize("path", role_files("templates"), ids=place)
def test_a_template_is_dumb(path):
    ifs = re.findall(r"\{%[-+]?\s*(?:el)?if\b", path.read_text())
    assert len(ifs) <= MAX_TEMPLATE_IFS, "decide in Python and hand over a list in order"


UNFORMATTED = re.compile(r"# fmt: (skip|off)\b(?P<behind>.*)")


def unformatted(lines):
    """Return the numbers of the lines that keep the formatter away without a reason: behind a skip, above an off."""
    found = []
    for number, line in enumerate(lines, 1):
        said = UNFORMATTED.search(line)
        above = lines[number - 2].strip() if number > 1 else ""
        if said and not (re.match(r"  # \w", said["behind"]) if said[1] == "skip" else above.startswith("# ")):
            found.append(number)
    return found


def test_what_is_not_formatted_gives_its_reason():
    found = [
        f"{place(path)}:{number}"
        for folder in ("plugins", "roles", "tests", "components")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path != pathlib.Path(__file__).resolve()
        for number in unformatted(path.read_text(encoding="utf-8").splitlines())
    ]
    assert found == [], "an exception from a linter has its reason beside it"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (")  # fmt: skip", [1]),
        (")  # fmt: skip  # names", []),
        ("# names:\n# fmt: off", []),
        ("\n# fmt: off  # names", [2]),
    ],
)
def test_an_exception_without_a_reason_is_found(text, found):
    assert unformatted(text.splitlines()) == found


def code_lines(source):
    """Count lines that are neither blank, comment, nor one of the documentation blocks."""
    body = re.sub(r"(DOCUMENTATION|EXAMPLES|RETURN)\s*=\s*r?('''|\"\"\").*?\2", "", source, flags=re.S)
    return len([line for line in body.splitlines() if line.strip() and not line.strip().startswith("#")])


def documentation(path):
    """Return {name: text} of a module's documentation blocks."""
    return {
        target.id: node.value.value
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id in ("DOCUMENTATION", "EXAMPLES", "RETURN")
    }


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_is_an_adapter(path):
    assert code_lines(path.read_text()) <= MAX_MODULE_LINES, "a decision belongs into module_utils/_*.py, where it is tested"


@pytest.mark.parametrize("path", sorted((ROOT / "plugins" / "action").glob("*.py")), ids=lambda path: path.stem)
def test_an_action_is_an_adapter(path):
    assert code_lines(path.read_text()) <= MAX_ACTION_LINES, "reading belongs into plugin_utils, deciding into module_utils"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_is_documented_and_says_how_it_behaves_in_check_mode(path):
    blocks = documentation(path)
    assert set(blocks) == {"DOCUMENTATION", "EXAMPLES", "RETURN"}
    text = yaml.safe_load(blocks["DOCUMENTATION"])
    assert text["module"] == path.stem
    modes = {"multimaster.kubernetes.attributes", "multimaster.kubernetes.attributes.info"}
    modes &= set(text["extends_documentation_fragment"])
    assert len(modes) == 1, "check and diff mode are promised for every module, by one text; of two the first would win"
    for name, attribute in text.get("attributes", {}).items():
        assert name not in ("check_mode", "diff_mode") or attribute.get("details"), f"say why {name} is not fully supported"
    assert all(isinstance(example, dict) for example in yaml.safe_load(blocks["EXAMPLES"]))


@pytest.mark.parametrize("path", sorted((ROOT / "plugins").glob("*_utils/_*.py")), ids=place)
def test_a_utility_has_its_mirrored_tests(path):
    mirrored = ROOT / "tests" / "unit" / "plugins" / path.parent.name / f"test_{path.name}"
    assert mirrored.exists() and "\ndef test_" in mirrored.read_text(), "whoever changes it looks for its table there"


# Modules whose check cannot be proven by a check, a run that changes and a run that does not; fixture `call` watches each check.
UNPROVEN = {
    "etcd_snapshot": "each run saves anew, so that no second one has nothing to do",
    "operation_lock": "the lock is bookkeeping of the run and never counts as changed",
}
PROOF = re.compile(r"(check_run_again|world\.prove)\(\w")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_that_changes_something_proves_its_check(path):
    text = yaml.safe_load(documentation(path)["DOCUMENTATION"])
    reads = "multimaster.kubernetes.attributes.info" in text["extends_documentation_fragment"]
    tests = [ROOT / "tests/unit/plugins" / kind / f"test_{path.stem}.py" for kind in ("modules", "action")]
    bodies = [body for file in tests if file.exists() for body in bodies_of_tests(file)]
    proven = any(PROOF.search(body) for body in bodies)
    expected = not reads and path.stem not in UNPROVEN
    assert proven or not expected, "nobody else finds a check that writes or foresees nothing: fixture `check_run_again`"
    assert not (proven and path.stem in UNPROVEN), "take it out of the exceptions"


REAL = {"multimaster.kubernetes.etcd_client": "etcd", "multimaster.kubernetes.kube_client": "API server"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_that_asks_etcd_or_the_api_is_tried_on_a_real_one(path):
    text = yaml.safe_load(documentation(path)["DOCUMENTATION"])
    asked = [REAL[one] for one in text["extends_documentation_fragment"] if one in REAL]
    # an action asks through its host module, which is named <action>_file
    tried = [ROOT / f"tests/integration/plugins/modules/test_{path.stem}{part}.py" for part in ("", "_file")]
    assert not asked or any(file.exists() for file in tried), f"a played {asked[0]} answers as whoever wrote the test believes"


def bodies_of_tests(path):
    """Return the text of every test function of a file."""
    source = path.read_text()
    return [
        ast.get_source_segment(source, node)
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


def attribute_texts():
    """Yield (where, attribute, text) of the details of every attribute, a list of them text by text."""
    for path in (*MODULES, *sorted((ROOT / "plugins" / "doc_fragments").glob("*.py"))):
        for block in reference.constants(path).values():
            document = yaml.safe_load(block) if "\nattributes:" in block else {}
            for name, attribute in document.get("attributes", {}).items():
                details = attribute.get("details", [])
                yield from ((place(path), name, text) for text in ([details] if isinstance(details, str) else details))


def test_the_details_of_an_attribute_are_whole_sentences():
    texts = list(attribute_texts())
    assert len(texts) > 10
    cut = [text for text in texts if not text[-1].endswith(".")]
    assert not cut, "a list in brackets is cut at its commas; write a text or a list below each other"


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""


@pytest.mark.parametrize("path", [*MODULES, *sorted((ROOT / "plugins" / "module_utils").glob("*.py"))], ids=place)
def test_what_runs_on_hosts_needs_nothing_but_python(path):
    shipped = {sibling.stem for sibling in path.parent.glob("_*.py")}  # some files also run beside a script of ours
    found = {name for name in imported(path) if name.split(".")[0] not in ON_EVERY_HOST | shipped}
    assert not found, "hosts have neither PyYAML nor cryptography; work that needs them belongs on the controller"


@pytest.mark.parametrize(
    "path",
    [p for folder in ("plugins", "tests", "components", "roles") for p in sorted((ROOT / folder).rglob("*.py"))],
    ids=place,
)
def test_a_python_file_names_its_licence(path):
    head = path.read_text()[:400]
    assert "SPDX-License-Identifier: " in head
    assert "Copyright: the multimaster.kubernetes maintainers" in head


def test_playbooks_can_be_called_by_their_full_name():
    assert not [place(p) for p in (ROOT / "playbooks").glob("*.yml") if "-" in p.name], "a name with `-` has no FQCN"


def test_a_playbook_at_the_root_only_points_to_the_collections_own():
    thin = {path: load(path) for path in ROOT.glob("*.yml") if path.name not in ("galaxy.yml", "requirements.yml")}
    for path, plays in thin.items():
        if path.name.startswith(".") or not isinstance(plays, list):
            continue
        targets = [short(play).get("import_playbook", "") for play in plays]
        assert targets == [f"multimaster.kubernetes.{path.stem}"], place(path)


# What changes nothing, and so keeps nobody out.
LOOKING = {"health", "plan", "preflight"}


def order_of(path, but=()):
    """Return what a playbook does in order: modules of tasks, roles, those of what it imports; no looks in check mode.

    `but`: host patterns whose plays are left out.
    """
    done = []
    plays = (play for play in map(short, load(path)) if not play.get("check_mode") and play.get("hosts") not in but)
    for play in plays:
        if "import_playbook" in play:
            done += order_of(path.parent / play["import_playbook"], but)
        done += [name for task in tasks_of([play]) for name in short(task)] + [f"role {role}" for role in play.get("roles", ())]
    return done


@pytest.mark.parametrize("path", sorted((ROOT / "playbooks").glob("*.yml")), ids=place)
def test_a_playbook_that_changes_the_cluster_takes_the_lock_before_anything_else(path):
    acts = [what for what in order_of(path) if what == "operation_lock" or what == "host_reset" or what.startswith("role ")]
    first = next((what for what in acts if what != "role multimaster.kubernetes.preflight"), None)
    assert first == (None if path.stem in LOOKING else "operation_lock"), "two runs would each judge what the other changes"


def plays_of(path):
    """Yield the plays of a playbook in their order, those of what it imports too."""
    for play in map(short, load(path)):
        yield from plays_of(path.parent / play["import_playbook"]) if "import_playbook" in play else [play]


DRAINS = re.compile(r"'turn': '(node|restart)'|drain_node\.yml")


def test_cordons_that_a_cut_left_are_taken_back_before_any_node_is_drained():
    draining = {}
    for path in sorted((ROOT / "playbooks").glob("*.yml")):
        plays = [str(play) for play in plays_of(path)]
        first = next((number for number, play in enumerate(plays) if DRAINS.search(play)), None)
        if first is not None:
            draining[path.stem] = any("__cordons_of_ours" in play for play in plays[:first])
    assert set(draining) == {"remove_node", "replace_node", "roll", "site", "upgrade"}
    assert all(draining.values()), "its pods find no other node, or a budget lets none of them go"


def test_a_node_is_drained_and_given_back_by_runs_under_their_own_id():
    asking = [(place(path), task["kube_node"]) for path, task in all_tasks() if "kube_node" in task]
    judged = [(where, given) for where, given in asking if given["state"] != "absent"]
    assert len(judged) >= 4
    found = [where for where, given in judged if given.get("operation") != "{{ multimaster.run }}"]
    assert not found, "under any other id it takes back the cordon of who drained the node by hand, and is at work on it"


# What a run does before anything can fail on a host but what it looks at: it holds the lock, and asks.
BEFORE = {"topology", "operation_lock", "role multimaster.kubernetes.preflight"}
# Who can ask nobody since certificates have expired renews them before it knows what there is to do; nothing stops for that.
STALE = ["{{ multimaster.order.stale }}", "{{ multimaster.order.stale_through }}"]


def test_drains_that_a_cut_left_are_taken_back_before_anything_else_is_done():
    first, known = {}, {path.stem for path in MODULES}
    for path in sorted((ROOT / "playbooks").glob("*.yml")):
        done = [what for what in order_of(path, STALE) if what in known or what.startswith("role ")]
        first[path.stem] = next((what for what in done if what not in BEFORE), None)
    taking = {name for name, what in first.items() if what == "endpoint_server"}
    assert taking == {"remove_node", "replace_node", "roll", "site", "upgrade"}, first


STARTS_THE_API = re.compile(r"multimaster\.kubernetes\.(kube_apiserver|kubelet)\b")


def test_a_build_has_no_api_server_and_no_kubelet_before_its_etcd_has_served():
    plays = list(plays_of(ROOT / "playbooks" / "site.yml"))
    founded = next(number for number, play in enumerate(plays) if "'tasks_from': 'bootstrap'" in str(play))
    roles = [[*play.get("roles", ()), *re.findall(r"'name': '([\w.]+)'", str(play))] for play in plays]
    using = [number for number, names in enumerate(roles) if any(map(STARTS_THE_API.match, names))]
    assert using and founded < min(using), (
        "a build that was cut off would show what a cluster leaves (_etcd_plan), and be refused"
    )
    assert plays[founded]["any_errors_fatal"], "nobody goes on to an API server while a first voter does not serve"


# A path below docs/ that stands for itself, and a YAML file by its name or path; URLs are taken out before.
NAMED_DOCUMENT = re.compile(r"(?<![\w./-])docs/[\w./-]*\w")
NAMED_PLAYBOOK = re.compile(r"(?<![\w/*.<-])[\w-][\w./-]*\.yml\b")
# What a reader makes in an inventory of his own.
OF_THE_READER = re.compile(r"inventories/mine/|(group|host)_vars/")


def naming_files():
    """Yield (path, text without URLs) of every file that a person or a program reads names in."""
    for folder in ("plugins", "roles", "playbooks", "docs"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".yml", ".md", ".j2"):
                yield path, re.sub(r"https?://\S+", "", path.read_text(encoding="utf-8"))
    for name in ("Makefile", "README.md", "CONTRIBUTING.md"):
        yield ROOT / name, re.sub(r"https?://\S+", "", (ROOT / name).read_text(encoding="utf-8"))


def places(path):
    """Yield the folders in which a YAML file that is named in this file may lie."""
    yield from (ROOT, ROOT / "playbooks", ROOT / "playbooks" / "vars", path.parent)
    parts = path.relative_to(ROOT).parts
    if parts[0] == "roles":
        yield from (ROOT / "roles" / parts[1] / part for part in ("", "tasks", "vars"))
    if parts[0] == "playbooks":  # tasks_from
        yield from (role / "tasks" for role in ROLES)
    if path.name == "CONTRIBUTING.md":  # speaks of any role and any scenario
        yield from (*ROLES, *(ROOT / "molecule").iterdir())


def missing(pattern, folders):
    return sorted(
        f"{place(path)} names {name}"
        for path, text in naming_files()
        for name in set(pattern.findall(text))
        if not OF_THE_READER.match(name) and not any((folder / name).exists() for folder in folders(path))
    )


def test_every_page_that_is_named_exists():
    assert not missing(NAMED_DOCUMENT, lambda path: [ROOT]), "a message that names a page sends somebody there in an emergency"


def test_every_playbook_that_is_named_exists():
    assert not missing(NAMED_PLAYBOOK, places), "a next step is one that can be taken"


def test_every_link_of_a_page_leads_somewhere():
    found = [
        f"{place(path)} links to {target}"
        for path, text in naming_files()
        if path.suffix == ".md"
        for target in re.findall(r"\]\(([^)#\s]+)", text)
        if not (path.parent / target).exists()
    ]
    assert not found


def test_the_first_page_wants_what_preflight_wants():
    text = (ROOT / "docs/quick-start.md").read_text()
    for system, versions in _preflight_machine.SUPPORTED_OS.items():
        assert f"{system.title()} {' or '.join(versions)}" in text, "somebody would install another system for nothing"


def pins(name):
    """Return the components that the Makefile lists under a name."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    return set(re.search(rf"^{name} := (.*)$", text, re.MULTILINE)[1].split())


def test_what_is_built_is_what_is_installed_by_default():
    chosen = {setting.name: setting.default for setting in _settings.SETTINGS}
    versions = {**_releases.VERSIONS, **{one: chosen[f"{one}_version"] for one in ("kubernetes", "etcd")}}
    assert pins("COMPONENTS") == {f"{component}-{version}" for component, version in versions.items()}


VERSION_GIVEN = re.compile(r"multimaster_(kubernetes|etcd)_version\W{1,3}(\d+\.\d+\.\d+)")


def test_what_scenarios_upgrade_to_is_built_besides():
    given = {
        f"{component}-{version}"
        for folder in ("molecule", "tests/lab", ".config/molecule")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".yml", ".py")
        for component, version in VERSION_GIVEN.findall(path.read_text(encoding="utf-8"))
    }
    assert given - pins("COMPONENTS") == pins("NEXT_COMPONENTS")


def test_before_the_first_release_nothing_was_broken_or_mended_for_anybody():
    releases = yaml.safe_load((ROOT / "changelogs" / "changelog.yaml").read_text())["releases"]
    fragments = {path.name: yaml.safe_load(path.read_text()) for path in (ROOT / "changelogs" / "fragments").glob("*.yml")}
    of_a_first = {"release_summary", "major_changes", "minor_changes", "known_issues"}
    later = {name: sections for name, fragment in fragments.items() if (sections := sorted(set(fragment) - of_a_first))}
    assert releases or not later, "who reads the first release's changelog had no cluster before"


def test_every_scenario_is_named_where_contributors_look():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    scenarios = {path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml")}
    assert set(re.findall(r"`S=(\w+)`", text)) == scenarios, "nobody runs a drill that is named nowhere"


def test_the_tarball_installs_without_a_network():
    assert load(ROOT / "galaxy.yml")["dependencies"] == {}, "one dependency breaks the offline install"


def sequence_words():
    for path in sorted((ROOT / "molecule").glob("*/molecule.yml")):
        for step in load(path)["scenario"]["test_sequence"]:
            word, *arguments = step.split()
            yield path.parent, word, arguments


SEQUENCES = list(sequence_words())


@pytest.mark.parametrize("scenario,word,arguments", SEQUENCES)
def test_a_scenario_step_names_what_exists(scenario, word, arguments):
    for argument in arguments:
        target = scenario / argument
        if word == "verify":
            assert target.is_dir(), "`verify FILE` runs no test and ends well; name a folder"
            assert list(target.rglob("test_*.py"))
        else:
            assert target.is_file()
    if word == "verify":
        assert arguments, "say which folder"


# Scenarios without an act that a check could foresee, and why.
NOTHING_TO_FORESEE = {
    "refused": "whatever it asks for is refused",
    "zone_lost": "what is done to it is no playbook's, and leaves nothing to do",
}


def expected_of_runs(node):
    """Yield (what is expected, whether it is a check) of each run of a playbook in a step of a scenario."""
    if isinstance(node, list) and "--expect" in node:
        yield node[node.index("--expect") + 1], "--check" in node
    elif isinstance(node, (list, dict)):
        for one in node.values() if isinstance(node, dict) else node:
            yield from expected_of_runs(one)


@pytest.mark.parametrize("scenario", sorted({scenario for scenario, _word, _arguments in SEQUENCES}), ids=lambda path: path.name)
def test_a_scenario_has_a_check_that_foresees_and_a_run_that_changes_nothing(scenario):
    """What is done must be foreseen by a check that does nothing, and be done for good."""
    files = {scenario / one for place_, _word, arguments in SEQUENCES if place_ == scenario for one in arguments}
    found = {run for path in files if path.is_file() for run in expected_of_runs(load(path))}
    assert ("unchanged", False) in found
    assert ("foreseen", False) not in found, "a run would do it"
    assert (("foreseen", True) in found) is (scenario.name not in NOTHING_TO_FORESEE)


def test_molecule_does_not_skip_the_steps_of_a_scenario():
    playbooks = load(ROOT / ".config" / "molecule" / "config.yml")["provisioner"]["playbooks"]
    missing = [name for name, path in playbooks.items() if not (ROOT / path.split("}/", 1)[1]).is_file()]
    assert not missing
    assert "side_effect" in playbooks, "without it `side_effect NAME` is skipped, with a warning only"
