# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Decide which certificates are issued anew, which authority files are written, and when to stop instead.

Four authorities keep doors apart: a certificate of one never opens a door of another. Everything here is plain data:
reading files, X.509 and keys belong to the callers.

While an authority is rotated the store's file of it holds two certificates, of which the first one signs. It does so only when
every host has both already, since programs learn whom to trust when they start (``guard_overlap``;
docs/operations/rotate-authority.md). Leaves out: making the second one, and what loads it (the turns).
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _finding

AUTHORITIES = ("kubernetes", "etcd-client", "etcd-peer", "front-proxy")
#: The authority whose file the controller-manager signs with.
SIGNERS = "kubernetes"
ROTATION = "docs/operations/rotate-authority.md"
# What to do about an authority that ends. One that has ended cannot be rotated: whatever it signed has ended with it.
_ROTATED = f"rotate it while it is valid ({ROTATION})"
_NOT_ROTATED = f'it cannot be rotated yet: another cluster takes over before it ends ({ROTATION}, "When it cannot be rotated")'
_EXPIRED = f'no run renews an authority that has expired: see what is left ({ROTATION}, "When it cannot be rotated")'
SHARED_ITEMS = ("sa.key", "sa.pub", "encryption-config")
USAGES = ("client", "server")

MINUTE = 60
DAY = 86400
DEFAULT_DAYS = 365
LONGEST_DAYS = 825  # what Apple's and other TLS clients accept at most for private authorities
RENEW_BEFORE = 30 * DAY  # or a third of the certificate's life, whichever is shorter
BACKDATE = 5 * MINUTE  # clocks of hosts may be behind the controller's
ALMIGHTY = "system:masters"  # bypasses RBAC, cannot be revoked
ALMIGHTY_LIFETIME = 60 * MINUTE

NAME_LIMIT = 64  # ub-common-name and ub-organization-name, RFC 5280 appendix A; signers count the bytes of UTF-8
DNS_LABEL = re.compile(r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")  # RFC 1123

ISSUE, KEEP = "issue", "keep"
REFUSE = "refuse"


@dataclasses.dataclass(frozen=True)
class Certificate:
    """Describe a wanted certificate at `path`.crt with its key at `path`.key; `lifetime` in seconds."""

    path: str
    ca: str
    common_name: str
    organizations: tuple = ()
    dns: tuple = ()
    ip: tuple = ()
    usages: tuple = ("client",)
    owner: str = "root"
    group: str = "root"
    lifetime: int = DEFAULT_DAYS * DAY

    def lines(self):
        """Return what a person compares in a diff; never anything about the key."""
        return describe(self, self.ca, self.lifetime)


@dataclasses.dataclass(frozen=True)
class Present:
    """Describe the certificate found on a host; times in seconds since the epoch.

    `key` is what became of its private key: "matches", "differs", "missing" or "unreadable".
    `problem` is set, and everything else empty, when the file holds no certificate that can be read.
    """

    common_name: str = ""
    organizations: tuple = ()
    dns: tuple = ()
    ip: tuple = ()
    usages: tuple = ()
    not_before: float = 0
    not_after: float = 0
    issued_by_store: bool = False
    key: str = "matches"
    problem: str = ""

    def lines(self, ca):
        """Return what a person compares in a diff; `ca` is the authority that should have issued it."""
        if self.problem:
            return [self.problem]
        return describe(self, ca if self.issued_by_store else "another", self.not_after - self.not_before - BACKDATE)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Say whether to issue, why, and whether the key on the host is replaced too."""

    action: str
    reasons: tuple = ()
    new_key: bool = False


def describe(certificate, ca, lifetime):
    """Return a certificate, wanted or present, as comparable lines; `lifetime` in seconds."""
    return [
        f"common name: {certificate.common_name}",
        "organizations: {}".format(", ".join(sorted(certificate.organizations))),
        "DNS names: {}".format(", ".join(sorted(certificate.dns))),
        "IP addresses: {}".format(", ".join(sorted(certificate.ip))),
        "usages: {}".format(", ".join(sorted(certificate.usages))),
        f"authority: {ca}",
        f"lifetime: {_duration(lifetime)}",
    ]


def judge(present, wanted, now, new_keys=False):
    """Return the verdict on one certificate: `present` is None when the file is missing, `now` in epoch seconds.

    The key on the host stays when it still belongs to a certificate of our authority: a renewal is then one rename
    and no reader ever sees a certificate without its key. It is replaced when it is missing, does not match, served
    under another authority, or when `new_keys` asks for it.
    """
    if present is None:
        return Verdict(ISSUE, ("missing",), new_keys)
    if present.problem:
        return Verdict(ISSUE, (present.problem,), new_keys)
    reasons = _time_reasons(present, wanted, now) + _drift_reasons(present, wanted)
    replace_key = bool(new_keys)
    if not present.issued_by_store:
        reasons.append(f"issued by another authority than the store's {wanted.ca}")
        replace_key = True
    if present.key != "matches":
        reasons.append(
            "its key {}".format({"missing": "is missing", "differs": "does not match"}.get(present.key, "cannot be read"))
        )
        replace_key = True
    if new_keys:
        reasons.append("a new key was asked for")
    return Verdict(ISSUE if reasons else KEEP, tuple(reasons), replace_key)


def _time_reasons(present, wanted, now):
    life = present.not_after - present.not_before
    left = present.not_after - now
    reasons = []
    if left <= 0:
        reasons.append(f"expired {_duration(-left)} ago")
    elif left <= min(max(life - BACKDATE, 0) / 3.0, RENEW_BEFORE):
        reasons.append(f"expires in {_duration(left)}")
    if present.not_before > now:
        reasons.append(f"not valid for another {_duration(present.not_before - now)}")
    if life > wanted.lifetime + BACKDATE:
        reasons.append(f"lives {_duration(life)}, wanted {_duration(wanted.lifetime)}")
    return reasons


def _drift_reasons(present, wanted):
    reasons = []
    if present.common_name != wanted.common_name:
        reasons.append("common name is {}, wanted {}".format(present.common_name or "empty", wanted.common_name))
    for title, field in (("organization", "organizations"), ("DNS name", "dns"), ("IP address", "ip"), ("usage", "usages")):
        found, asked = set(getattr(present, field)), set(getattr(wanted, field))
        reasons.extend(f"lacks the {title} {value}" for value in sorted(asked - found))
        reasons.extend(f"carries the {title} {value} nobody asked for" for value in sorted(found - asked))
    return reasons


def ending(ca, expired=False):
    """Return what to do about an authority that ends, or has `expired`."""
    if expired:
        return _EXPIRED
    return _NOT_ROTATED if ca == SIGNERS else _ROTATED


def judge_authority(present, wanted):
    """Return what to do with an installed authority file, given both as ordered lists of SHA-256 fingerprints.

    `present` is None when the file is missing. Files without a common certificate belong to different clusters: they
    are never overwritten, because every client that trusts the old one would be cut off. An overlap (rotation) is.
    """
    if present is None:
        return ISSUE
    if list(present) == list(wanted):
        return KEEP
    return ISSUE if set(present) & set(wanted) else REFUSE


def may_have_keys(held, authorities):
    """Return whether a host may make keys and ask for certificates before the controller has judged what it holds.

    `held`: whether any of our files or certificates is there; `authorities`: [(SHA-256 found, SHA-256 wanted)] of the authority
    files that are there. A bare host may, and one that trusts this cluster's authorities alone. Any other may be of another
    cluster, whose keys are not touched before that is known.
    """
    return not held or bool(authorities) and all(found == wanted for found, wanted in authorities)


def guard(host, foreign_authorities, foreign_certificates, trusted):
    """Return findings that forbid issuing anything: the host belongs to another CA store.

    `foreign_authorities`: [(path, ca)] of files that judge_authority refuses; `foreign_certificates`: [(path, ca)] of
    certificates another authority issued; `trusted`: authorities of the store that this host already trusts, where
    a foreign certificate is a mistake to mend instead of a sign of another cluster.
    """
    explained = set(trusted) | {ca for _path, ca in foreign_authorities}
    foreign = list(foreign_authorities) + [item for item in foreign_certificates if item[1] not in explained]
    return tuple(
        _finding.Finding(
            host=host,
            check="pki.other_store",
            found=f"{path} comes from another {ca} authority than the CA store's",
            wanted="the CA store this cluster was built with",
            fix="Point multimaster_ca_store at that store; only if the host is being taken over, remove the file first",
        )
        for path, ca in foreign
    )


def guard_overlap(host, authorities):
    """Return findings that forbid issuing anything while an authority is rotated too fast, or cannot be.

    `authorities`: [(path, ca, SHA-256 of the certificates found, SHA-256 of those wanted)] of the authority files, found None
    where there is no file. The first of those wanted signs, and a host that does not have it yet would not trust what it signs.
    The controller-manager signs with one certificate alone (`expected 1 certificate`, ca_provider.go of Kubernetes), and ends
    beside two.
    """
    return tuple(
        _finding.Finding(
            host=host,
            check="pki.rotation",
            found=f"{path} does not hold the certificate that the CA store's {ca}.crt begins with, and that signs",
            wanted="an authority that all hosts trust before it signs",
            fix=f"Put the old one first in {ca}.crt again, with its key, and the new one second; when site.yml has nothing left "
            f"to do, swap them ({ROTATION})",
        )
        for path, ca, found, wanted in authorities
        if found and wanted and set(found) & set(wanted) and wanted[0] not in found
    ) + tuple(
        _finding.Finding(
            host=host,
            check="pki.rotation",
            found=f"the CA store's {ca}.crt holds {len(wanted)} certificates",
            wanted="one: the controller-manager signs with this file and takes no more",
            fix=f"Leave the present one alone in {ca}.crt; this authority cannot be rotated yet ({ROTATION})",
        )
        for _path, ca, _found, wanted in authorities
        if ca == SIGNERS and len(wanted) > 1
    )


def guard_new_store(host, held):
    """Return findings that forbid making a new CA store: this host already holds the files `held`."""
    if not held:
        return ()
    return (
        _finding.Finding(
            host=host,
            check="pki.second_ca",
            found="the host holds certificates ({}) but the CA store does not exist".format(", ".join(sorted(held)[:3])),
            wanted="the CA store this cluster was built with",
            fix="Copy the store from where the cluster was built, or restore it from the backup",
        ),
    )


def certificates(raw):
    """Return (wanted certificates, findings) from plain data; all findings at once."""
    wanted, findings = [], []
    for number, entry in enumerate(raw):
        place = str(entry.get("path") or f"certificates[{number}]")
        certificate = _certificate(entry)
        problems = _problems(certificate)
        if any(certificate.path == other.path for other in wanted):
            problems.append(("listed twice", "one entry a path"))
        findings.extend(_bad(place, found, asked) for found, asked in problems)
        wanted.append(certificate)
    return tuple(wanted), tuple(findings)


def _certificate(entry):
    minutes, days = entry.get("minutes"), entry.get("days")
    lifetime = int(minutes) * MINUTE if minutes is not None else int(DEFAULT_DAYS if days is None else days) * DAY
    return Certificate(
        path=str(entry.get("path") or ""),
        ca=str(entry.get("ca") or ""),
        common_name=str(entry.get("common_name") or ""),
        organizations=tuple(sorted({str(name) for name in entry.get("organizations") or ()})),
        dns=tuple(sorted({str(name).lower().rstrip(".") for name in entry.get("dns") or ()})),
        ip=tuple(sorted({_address(address) for address in entry.get("ip") or ()})),
        usages=tuple(sorted({str(usage) for usage in entry.get("usages") or ("client",)})),
        owner=str(entry.get("owner") or "root"),
        group=str(entry.get("group") or "root"),
        lifetime=lifetime,
    )


def _problems(certificate):
    problems = []
    if not is_exact_path(certificate.path) or certificate.path.endswith((".crt", ".key")):
        problems.append(("is no usable path", "an absolute path without .. and without .crt or .key"))
    if certificate.ca not in AUTHORITIES:
        problems.append((f"names the authority {certificate.ca!r}", "one of " + ", ".join(AUTHORITIES)))
    for name in (certificate.common_name,) + certificate.organizations:
        if not 1 <= len(name.encode()) <= NAME_LIMIT:
            problems.append((f"common name or organization {name!r}", f"1 to {NAME_LIMIT} bytes"))
    problems.extend((f"DNS name {name!r}", "a host name") for name in certificate.dns if not is_dns_name(name))
    problems.extend(
        (f"IP address {address!r}", "an IPv4 or IPv6 address") for address in certificate.ip if not is_address(address)
    )
    if set(certificate.usages) - set(USAGES):
        problems.append(("usages {}".format(", ".join(certificate.usages)), "client, server or both"))
    if "server" in certificate.usages and not (certificate.dns or certificate.ip):
        problems.append(("a server certificate without names", "at least one DNS name or IP address"))
    if not 1 <= certificate.lifetime <= LONGEST_DAYS * DAY:
        problems.append((f"lifetime {_duration(certificate.lifetime)}", f"up to {LONGEST_DAYS} days"))
    if ALMIGHTY in certificate.organizations and certificate.lifetime > ALMIGHTY_LIFETIME:
        problems.append(
            (
                f"{ALMIGHTY} for {_duration(certificate.lifetime)}",
                f"at most {_duration(ALMIGHTY_LIFETIME)}: it bypasses RBAC and cannot be revoked",
            )
        )
    return problems


def authority_findings(raw):
    """Return findings on a list of {ca, path, key_path?}."""
    findings = []
    for entry in raw:
        place = str(entry.get("path"))
        if entry.get("ca") not in AUTHORITIES:
            findings.append(_bad(place, "names the authority {!r}".format(entry.get("ca")), ", ".join(AUTHORITIES)))
        findings.extend(
            _bad(place, f"{path} is no usable path", "an absolute path without ..")
            for path in (place, entry.get("key_path"))
            if path and not is_exact_path(path)
        )
    return tuple(findings)


def shared_findings(raw):
    """Return findings on a list of {item, path}."""
    findings = []
    for entry in raw:
        place = str(entry.get("path"))
        if entry.get("item") not in SHARED_ITEMS:
            findings.append(_bad(place, "names the item {!r}".format(entry.get("item")), ", ".join(SHARED_ITEMS)))
        if not is_exact_path(place):
            findings.append(_bad(place, "is no usable path", "an absolute path without .."))
    return tuple(findings)


def _bad(place, found, wanted):
    return _finding.Finding(
        host="",
        check="pki.certificate",
        found=f"{place}: {found}",
        wanted=wanted,
        fix="Correct the entry in the list given to the certificates role",
    )


def encryption_config(keys):
    """Return the API server's EncryptionConfiguration for Secrets: the first of `keys` writes, all of them read.

    Text, not JSON: CIS 1.2.28 greps the line after ``providers:``, and every value here is a plain base64 or a name.
    """
    lines = [
        "apiVersion: apiserver.config.k8s.io/v1",
        "kind: EncryptionConfiguration",
        "resources:",
        "  - resources:",
        "      - secrets",
        "    providers:",
        "      - secretbox:",
        "          keys:",
    ]
    for key in keys:
        lines.extend(["            - name: {}".format(key["name"]), "              secret: {}".format(key["secret"])])
    return "\n".join(lines) + "\n"


def is_exact_path(path):
    """Return whether a path is absolute and says exactly one place."""
    parts = str(path).split("/")
    return len(parts) > 2 and parts[0] == "" and all(part not in ("", ".", "..") for part in parts[1:])


def is_dns_name(name):
    """Return whether a name is a host name (RFC 1123); wildcards are none."""
    return len(name) <= 253 and all(DNS_LABEL.match(label) for label in name.split("."))


def is_address(text):
    """Return whether a text is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _address(text):
    text = str(text)
    return str(ipaddress.ip_address(text)) if is_address(text) else text


def _duration(seconds):
    if seconds >= 2 * DAY:
        return f"{int(seconds // DAY)} days"
    return f"{int(seconds // MINUTE)} minutes"
