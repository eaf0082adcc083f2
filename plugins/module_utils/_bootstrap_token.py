# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Bootstrap tokens as Secrets, after https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/.

Pure: time is an argument (seconds since the epoch). Leaves out: making a token, which the controller does.
"""

from __future__ import annotations

import base64
import datetime
import re

NAMESPACE = "kube-system"
TYPE = "bootstrap.kubernetes.io/token"
GROUP = "system:bootstrappers:multimaster"
# CIS 3.1.3: no token lives longer than a day.
LONGEST_TTL = 24 * 3600

_TOKEN = re.compile(r"\A([a-z0-9]{6})\.([a-z0-9]{16})\Z")
_ID = re.compile(r"\A[a-z0-9]{6}\Z")


def split(token):
    """Return (id, secret) of a token; ValueError without naming it."""
    found = _TOKEN.match(token)
    if not found:
        raise ValueError(
            "this is no bootstrap token: wanted 6 and 16 lower-case letters or digits with a dot between. Next: give one that "
            "the lookup multimaster.kubernetes.bootstrap_token makes"
        )
    return found.groups()


def secret_name(token_id):
    """Return the Secret's name the API server looks up for a token id."""
    if not _ID.match(token_id):
        raise ValueError(f"{token_id!r} is no token id: wanted 6 lower-case letters or digits. Next: give such a one")
    return f"bootstrap-token-{token_id}"


def secret(token, ttl, now, description):
    """Return the Secret that lets a token join nodes for ``ttl`` seconds from ``now``."""
    if not 0 < ttl <= LONGEST_TTL:
        raise ValueError(f"a ttl of {ttl} s: wanted 1 to {LONGEST_TTL}. Next: give `ttl` within that")
    token_id, token_secret = split(token)
    expires = datetime.datetime.fromtimestamp(int(now) + ttl, datetime.timezone.utc)
    text = {
        "token-id": token_id,
        "token-secret": token_secret,
        "expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "usage-bootstrap-authentication": "true",
        "auth-extra-groups": GROUP,
        "description": description,
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": TYPE,
        "metadata": {"name": secret_name(token_id), "namespace": NAMESPACE},
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in text.items()},
    }


def _text(found, key):
    return base64.b64decode(found.get("data", {}).get(key, "")).decode()


def seconds_left(found, now):
    """Return for how many seconds a Secret's token is still valid; 0 when it has no readable end."""
    try:
        end = datetime.datetime.strptime(_text(found, "expiration"), "%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return 0
    return max(0, int(end.replace(tzinfo=datetime.timezone.utc).timestamp() - now))


def serves(found, wanted, ttl, now):
    """Tell whether a Secret already is the wanted one, with at least half of ``ttl`` left to live."""
    same = all(_text(found, key) == _text(wanted, key) for key in wanted["data"] if key != "expiration")
    return same and found.get("type") == TYPE and seconds_left(found, now) * 2 >= ttl
