# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Derive a run's bootstrap token from the CA store, so that no task has to carry a secret from host to host."""

from __future__ import annotations

DOCUMENTATION = r"""
name: bootstrap_token
short_description: Derive the bootstrap token of a run from the CA store
version_added: 0.1.0
author: The multimaster.kubernetes maintainers (@multimaster)
description:
  - Returns the same token for the same run and CA store, wherever it is asked, so it stands in no fact and no output.
  - The token is an HMAC-SHA256 (RFC 2104) over the run's id, keyed with the store's service-account key; it opens nothing
    until it is made a Secret of the cluster, and nothing after that Secret is deleted.
  - Without a CA store, as in a check on bare hosts, the list is empty text.
options:
  _terms:
    description: The run's id, which is no secret.
    required: true
  store:
    description: The CA store on the controller.
    type: path
    required: true
  cluster_name:
    description: Name of the cluster the store belongs to.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Issue the token new nodes join with
  multimaster.kubernetes.bootstrap_token:
    token: "{{ lookup('multimaster.kubernetes.bootstrap_token', 'run-1', store='/srv/pki', cluster_name='prod') }}"
"""

RETURN = r"""
_raw:
  description: One token a term, or empty text when there is no CA store.
  type: list
  elements: str
"""

import hashlib
import hmac
import time

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _ca_store

# Bootstrap tokens are 6 and 16 of these (Kubernetes documentation, "Bootstrap Tokens").
ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


def letters(digest, count):
    """Return `count` letters of the token alphabet made from a digest (a 256-bit number written in base 36)."""
    number, text = int.from_bytes(digest, "big"), ""
    for _unused in range(count):
        number, index = divmod(number, len(ALPHABET))
        text += ALPHABET[index]
    return text


def token(run, key):
    """Return the token of a run: its id from the run alone, its secret from run and key."""
    public = letters(hashlib.sha256(run.encode()).digest(), 6)
    secret = letters(hmac.new(key, b"bootstrap-token:" + run.encode(), hashlib.sha256).digest(), 16)
    return public + "." + secret


class LookupModule(LookupBase):
    """Give the token to playbooks."""

    def run(self, terms, variables=None, **kwargs):
        """Return one token a term."""
        self.set_options(var_options=variables, direct=kwargs)
        path = self.get_option("store")
        if not _ca_store.exists(path):
            return ["" for _term in terms]
        reader = _ca_store.vault_reader(self._loader)
        try:
            store = _ca_store.open_store(path, self.get_option("cluster_name"), time.time(), reader=reader)
            key = store.shared("sa.key").encode()
        except _ca_store.StoreError as error:
            raise AnsibleLookupError(str(error)) from error
        return [token(str(term), key) for term in terms]
