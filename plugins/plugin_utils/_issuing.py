# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare what a host holds with what it shall hold: the step between reading a host and signing for it.

Leaves out talking to the host and to the screen (the action plugin) and the rules themselves (_pki).
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _pki
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _x509

HIDDEN = "(a secret, not shown)\n"
PUBLIC = ("sa.pub",)
SHARED_MODES = {"sa.pub": "0644"}
#: A CA this close to its end is worth a warning: leaves signed now already live shorter than a year.
CA_WARNING_DAYS = 365


@dataclasses.dataclass(frozen=True)
class File:
    """Describe an authority or shared file; `content` is None while the store that will hold it does not exist."""

    path: str
    mode: str
    owner: str
    group: str
    public: bool
    title: str
    ca: str = ""
    content: str | None = dataclasses.field(default=None, repr=False)

    def spec(self):
        """Return what the host module needs to know to write it."""
        return {"path": self.path, "mode": self.mode, "owner": self.owner, "group": self.group}

    def question(self):
        """Return what the host module needs to know to read it; the SHA-256 tells it which authority is ours."""
        ours = _sha256(self.content) if self.ca and self.content is not None else None
        return {**self.spec(), "public": self.public, "authority": bool(self.ca), "sha256": ours}


@dataclasses.dataclass(frozen=True)
class Judged:
    """Hold one wanted certificate, what is present of it and the verdict."""

    wanted: _pki.Certificate
    present: _pki.Present | None
    verdict: _pki.Verdict
    request: str | None = None


@dataclasses.dataclass(frozen=True)
class Plan:
    """Hold everything to do on one host: certificates judged, files to write, specs whose owner or mode is put right."""

    certificates: tuple
    write: tuple
    adjust: tuple
    findings: tuple = ()

    @property
    def issue(self):
        """Return the certificates to sign."""
        return tuple(item for item in self.certificates if item.verdict.action == _pki.ISSUE)

    @property
    def changed(self):
        """Return whether there is anything to do."""
        return bool(self.issue or self.write or self.adjust)


def files(authorities, shared, store):
    """Return the authority and shared files of a host, with their content when there is a store."""
    found = []
    for entry in authorities:
        owner, group = entry.get("owner") or "root", entry.get("group") or "root"
        content = store.authority_pem(entry["ca"]) if store else None
        found.append(File(entry["path"], "0644", owner, group, True, f"{entry['ca']} authority", entry["ca"], content))
        if entry.get("key_path"):
            content = store.authority_key_pem(entry["ca"]) if store else None
            found.append(File(entry["key_path"], "0600", owner, group, False, f"{entry['ca']} authority's key", "", content))
    for entry in shared:
        item = entry["item"]
        found.append(
            File(
                entry["path"],
                entry.get("mode") or SHARED_MODES.get(item, "0600"),
                entry.get("owner") or "root",
                entry.get("group") or "root",
                item in PUBLIC,
                item,
                "",
                store.shared(item) if store else None,
            )
        )
    return tuple(found)


def held(present):
    """Return the paths of certificates and authorities a host already holds, from the read phase's result."""
    paths = [path + ".crt" for path, found in present["certificates"].items() if found["certificate"] is not None]
    return paths + [path for path, found in present["files"].items() if found["exists"]]


def plan(host, wanted, wanted_files, present, store, now, new_keys=False):
    """Return the plan for one host; its findings, if any, forbid carrying it out."""
    foreign, trusted, write, adjust = [], set(), [], []
    for item in wanted_files:
        found = present["files"][item.path]
        verdict = _file_verdict(item, found)
        if verdict == _pki.REFUSE:
            foreign.append((item.path, item.ca))
        elif verdict == _pki.ISSUE:
            write.append(item)
        elif found["adjust"]:
            adjust.append(item.spec())
        if item.ca and _trusts(item, found):
            trusted.add(item.ca)
    judged = [_judge(certificate, present["certificates"][certificate.path], store, now, new_keys) for certificate in wanted]
    for item in judged:
        if item.verdict.action == _pki.KEEP:
            adjust += [_attributes(item.wanted, path) for path in present["certificates"][item.wanted.path]["adjust"]]
    strangers = [
        (item.wanted.path + ".crt", item.wanted.ca)
        for item in judged
        if item.present is not None and not item.present.problem and not item.present.issued_by_store
    ]
    findings = _pki.guard(host, foreign, strangers, trusted) + _pki.guard_overlap(host, _overlaps(wanted_files, present))
    return Plan(tuple(judged), tuple(write), tuple(adjust), findings)


def _overlaps(wanted_files, present):
    """Return (path, ca, fingerprints found, fingerprints wanted) of each authority file, found None where there is none."""
    return [
        (item.path, item.ca, _fingerprints(present["files"][item.path]), _x509.fingerprints(item.content))
        for item in wanted_files
        if item.ca and item.content is not None
    ]


def _fingerprints(found):
    return _x509.fingerprints(found["content"] or "") if found["exists"] else None


def _file_verdict(item, found):
    if item.content is None:
        return _pki.ISSUE
    if found["sha256"] == _sha256(item.content):
        return _pki.KEEP
    if not item.ca:
        return _pki.ISSUE
    present = _x509.fingerprints(found["content"]) if found["exists"] else []
    verdict = _pki.judge_authority(present or None, _x509.fingerprints(item.content))
    return _pki.ISSUE if verdict == _pki.KEEP else verdict


def _trusts(item, found):
    """Return whether an installed authority file holds at least one of the store's certificates."""
    ours = _x509.fingerprints(item.content or "")
    return bool(set(ours) & set(_x509.fingerprints(found["content"] or "")))


def _judge(wanted, found, store, now, new_keys):
    text = found["certificate"]
    present = None
    if text is not None:
        present = _x509.read(text, store.authority(wanted.ca)[0] if store else None, found["key"])
    return Judged(wanted, present, _pki.judge(present, wanted, now, new_keys), found.get("request"))


def _attributes(wanted, path):
    mode = "0600" if path.endswith(".key") else "0644"
    return {"path": path, "mode": mode, "owner": wanted.owner, "group": wanted.group}


def diffs(plan_, present):
    """Return Ansible's diff entries; of a secret only that it differs."""
    entries = []
    for item in plan_.issue:
        before = item.present.lines(item.wanted.ca) if item.present else []
        after = item.wanted.lines() + [f"reason: {reason}" for reason in item.verdict.reasons]
        entries.append(_entry(item.wanted.path + ".crt", _text(before), _text(after)))
    for item in plan_.write:
        found = present["files"][item.path]
        if item.public:
            before, after = found["content"] or "", item.content or f"(the {item.title} of a CA store yet to be made)\n"
        else:
            before, after = HIDDEN if found["exists"] else "", f"{item.title} {HIDDEN}"
        entries.append(_entry(item.path, before, after))
    for spec in plan_.adjust:
        after = f"mode: {spec['mode']}\nowner: {spec['owner']}\ngroup: {spec['group']}\n"
        entries.append(_entry(spec["path"], "(another owner or mode)\n", after))
    return entries


def _entry(path, before, after):
    return {"before_header": path, "after_header": path, "before": before, "after": after}


def _text(lines):
    return "".join(line + "\n" for line in lines)


def report(plan_, signed, now):
    """Return {path: {ca, not_after, days_left, action, reasons}} for summaries; `signed` is {path: PEM}."""
    rows = {}
    for item in plan_.certificates:
        ends = item.present.not_after if item.present else 0
        if item.wanted.path in signed:
            ends = _x509.load_certificates(signed[item.wanted.path], item.wanted.path)[0].not_valid_after_utc.timestamp()
        rows[item.wanted.path] = {
            "ca": item.wanted.ca,
            "not_after": _date(ends) if ends else None,
            "days_left": int((ends - now) // _pki.DAY) if ends else None,
            "action": item.verdict.action,
            "reasons": list(item.verdict.reasons),
        }
    return rows


def installed(plan_, signed):
    """Return the certificates to install as the host module takes them; signed: {path: PEM}."""
    wanted = [item.wanted for item in plan_.issue]
    return [{"path": one.path, "owner": one.owner, "group": one.group, "certificate": signed[one.path]} for one in wanted]


def authorities_that_end(store, now):
    """Return a warning for each authority that ends within a year; `store` is None before there is one, `now` in seconds."""
    ends = {name: store.authority(name)[0].not_valid_after_utc for name in _pki.AUTHORITIES} if store else {}
    return [
        f"the {name} authority {'expires' if moment.timestamp() > now else 'expired'} on {moment:%Y-%m-%d}: "
        f"{_pki.ending(name, expired=moment.timestamp() <= now)}"
        for name, moment in ends.items()
        if moment.timestamp() - now < CA_WARNING_DAYS * _pki.DAY
    ]


def _sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def _date(seconds):
    return f"{datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
