# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Turn plain data into the file formats the services read: unit files, command lines, kubeconfigs.

One renderer for every role keeps templates out of the tree: a role states *what* its unit says as data, and
the text is made here, where a table test can look at it. Configuration files of Kubernetes are JSON
(a subset of YAML that every Kubernetes parser reads), so they need no renderer.
"""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _feature_gates

# What systemd would take for a specifier, a variable, an escape or the end of a word.
ESCAPED = {"%": "%%", "$": "$$", "\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}
QUOTED = frozenset(" \t\n\"'")


def flag_value(value):
    """Return one flag's value as the component's parser reads it: booleans lower case, lists joined by commas."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ",".join(flag_value(item) for item in value)
    if isinstance(value, dict):
        return ",".join("{0}={1}".format(key, flag_value(value[key])) for key in sorted(value))
    return str(value)


def command_line(program, flags, prefix="--", extra=None):
    """Return an ExecStart value: the program and its flags, sorted by name, one a line.

    ``extra`` are flags of the user's: each replaces ours of the same name, but feature gates, which are one flag, go beside
    ours. Names are taken as they stand; a preflight refuses other spellings of a name (``_role_inputs``). A flag
    whose value is None is left out, so a caller can switch one off. Sorting makes the text, and with it the restart decision
    that hashes it, independent of the order in which settings were merged.
    """
    ours, theirs = flags.get(_feature_gates.FLAG), (extra or {}).get(_feature_gates.FLAG)
    flags, words = {**flags, **(extra or {})}, [program]
    if ours is not None and theirs is not None:
        flags[_feature_gates.FLAG] = _feature_gates.merged(flag_value(ours), flag_value(theirs))
    for name in sorted(flags):
        if flags[name] is not None:
            words.append(_word("{0}{1}={2}".format(prefix, name, flag_value(flags[name]))))
    return " \\\n  ".join(words)


def _word(text):
    """Return one word of an ExecStart that the program receives as it is (systemd.service(5), "Command lines").

    Tried with systemd 252: a lone quote keeps the unit from being loaded, and a backslash with an s arrives as a blank.
    """
    word = "".join(ESCAPED.get(letter, letter) for letter in text)
    return '"{0}"'.format(word) if QUOTED & set(text) else word


def unit_file(sections):
    """Return the text of a systemd unit from {section: {directive: value or list of values}}.

    A list repeats the directive (systemd.syntax(7)); None leaves it out; the order is the caller's.
    """
    blocks = []
    for section, directives in sections.items():
        lines = ["[{0}]".format(section)]
        for name, value in directives.items():
            values = value if isinstance(value, (list, tuple)) else [value]
            lines.extend("{0}={1}".format(name, flag_value(item)) for item in values if item is not None)
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def kubeconfig(server, user, ca, cert=None, key=None, token=None, cluster="multimaster"):
    """Return a kubeconfig as a dict whose credentials are *paths* (or a bootstrap token), never embedded keys."""
    credentials = {"token": token} if token else {"client-certificate": cert, "client-key": key}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster, "cluster": {"server": server, "certificate-authority": ca}}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": "default", "context": {"cluster": cluster, "user": user}}],
        "current-context": "default",
    }


def node_objects(names, labels):
    """Return one Node object a name that says nothing but these labels, for server-side apply."""
    return [{"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}} for name in names]
