# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Render every file of a role as a run would: defaults, vars and the real wiring over a topology made from data."""

from __future__ import annotations

import functools
import pathlib

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _topology, _topology_fact
from cluster_fixtures import fresh, inventory, settings

ROOT = pathlib.Path(__file__).resolve().parents[3]
ZONES = {"m1": "a", "m2": "b", "m3": "c", "w1": "a"}
# What a role's inputs need beside the wiring, as the playbooks give it.
GIVEN = {
    "api_endpoint": {"api_endpoint_state": "balanced"},
    "kubelet": {"__bootstrap_token": "abcdef.0123456789abcdef"},  # which comes from the CA store
}


def cluster(**more):
    """Return (inventory, observations, the fact `multimaster`) of three masters and a worker on bare hosts.

    `more`: settings without their prefix.
    """
    listed = inventory(["m1", "m2", "m3"], ["w1"], zones=ZONES)
    seen = {name: fresh(name) for name in listed.names}
    return listed, seen, _topology_fact.as_fact(_topology.build(settings(**more), listed, seen, nonce="0"), run="run")


@functools.cache
def written(folder):
    """Return (loader, the variables that the role's files and the wiring hold, as they are written)."""
    loader, known = DataLoader(), {}
    loader.set_basedir(str(folder))
    for path in (folder / "defaults/main.yml", folder / "vars/main.yml", ROOT / "playbooks/vars/wiring.yml"):
        if path.exists():
            known.update(loader.load_from_file(str(path), trusted_as_template=True) or {})
    return loader, known


def known_to(role, host, seen, fact):
    """Return (loader, the variables a task of the role sees on that host) in a run whose observations and decisions these are."""
    folder = ROOT / "roles" / role
    loader, files = written(folder)
    known = dict(files, **GIVEN.get(role, {}))
    whole = {"canary": {"seconds": 0}, **fact}  # what the action adds to it (_beside_turns)
    known.update(
        inventory_hostname=host,
        role_path=str(folder),
        ansible_search_path=[str(folder)],
        ansible_facts={"multimaster_host": seen[host]},
        hostvars={**{name: {} for name in fact["hosts"]}, "localhost": {"__decided": {"multimaster": whole}}},
    )
    return loader, known


def variables(role, host, **more):
    """Return the same for the usual cluster, with further settings."""
    _listed, seen, fact = cluster(**more)
    return known_to(role, host, seen, fact)


def render(role, name, host="m1", **more):
    """Return the value of a role's variable on a host, with further settings."""
    loader, known = variables(role, host, **more)
    return Templar(loader=loader, variables=known).template(known[name])


def files(role, host="m1", **more):
    """Return {path: text} of the files a role writes on a host, with further settings."""
    return {one["path"]: one["content"] for one in render(role, f"__{role}_files", host, **more)}


def flags(unit):
    """Return {flag: value} of the ExecStart of a unit file's text."""
    command = unit.split("ExecStart=", 1)[1].replace("\\\n", " ").split("\n", 1)[0]
    return dict(word[2:].split("=", 1) for word in command.split() if word.startswith("--") and "=" in word)


def roles_with_files():
    """Return the roles that write files."""
    found = []
    for path in sorted(ROOT.glob("roles/*/vars/main.yml")):
        role = path.parents[1].name
        if f"__{role}_files" in yaml.safe_load(path.read_text()):
            found.append(role)
    return found
