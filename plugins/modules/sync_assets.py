#!/usr/bin/python
# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module sync_assets: parameters in, result out."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sync_assets
short_description: Bring one caching server in line with the assets tree of this host
version_added: 1.0.0
description:
  - Copies netboot images to one caching server, in two phases. A squashfs goes first, under a hidden name; it is
    checked, flushed to disk and renamed. Only then does its marker follow, the small JSON next to it.
  - Runs on the host that holds the assets tree. The role C(netboot_sync) delegates it there.
  - An image that is not ready is held back and reported, and is not a failure. One failing image never holds up others.
  - If a published file has become readable only by its owner on the caching server, its mode is set to 0644 again.
author:
  - Netboot Syncer contributors (@netboot-syncer)
requirements:
  - paramiko 2.12 or newer
  - OpenSSH client, and rsync 3.1 or newer on both ends for differences; SFTP alone works, without differences
extends_documentation_fragment:
  - netboot.syncer.sync_options
  - netboot.syncer.attributes.actiongroup_all
attributes:
  action:
    description: An action plugin of the same name finds the caching server, runs the module and shows its progress.
    support: full
  async:
    description: Can run in the background; no progress is shown then.
    support: full
  check_mode:
    description: Says what would be done, and does nothing.
    support: full
  diff_mode:
    description: Lists the actions, in order.
    support: full
"""

EXAMPLES = r"""
- name: Bring a caching server in line
  netboot.syncer.sync_assets:
    host: 192.0.2.10
    user: netboot
    private_key_file: /etc/netboot/caching-server.pem
    exclude:
      - dev/**
    unmarked_images:
      - caching-server/*.squashfs

- name: Bring the host that the task is for in line, from the netboot server
  netboot.syncer.sync_assets:
    private_key_file: /etc/netboot/caching-server.pem
  delegate_to: netboot-server
"""

RETURN = r"""
images:
  description:
    - One entry for each image on either side. If the run ended early, those that it did not get to are V(failed).
  returned: when the options are valid; no image is known if neither tree could be read
  type: list
  elements: dict
  contains:
    path: {description: The squashfs., type: str}
    state:
      description:
        - V(published), V(unchanged), V(repaired), V(withdrawn), V(left_over), V(held_back) or V(failed).
        - V(left_over) is an image that clients still find there although the netboot server no longer offers it.
      type: str
    reason: {description: The reason for the state., type: str}
    size: {description: Bytes., type: int}
    sent_bytes: {description: Bytes that crossed the line for it., type: int}
    basis: {description: The file that a difference was made to., type: str}
    verified: {description: Whether its content was compared on the caching server., type: bool}
    seconds: {description: Time spent on it., type: float}
  sample:
    - path: prod/21-04-09-gnome-master-f1d734e.squashfs
      state: published
      reason: ''
      size: 4096
      sent_bytes: 4128
      basis: null
      verified: true
      seconds: 0.052
    - path: prod/21-04-10-gnome-master-9c41d0b.squashfs
      state: published
      reason: ''
      size: 4096
      sent_bytes: 4128
      basis: null
      verified: true
      seconds: 0.076
    - path: prod/half.squashfs
      state: held_back
      reason: 'the squashfs is cut short: 128 of 257 bytes are there'
      size: 128
      sent_bytes: 0
      basis: null
      verified: false
      seconds: 0.0
files:
  description: The same for all other files. Those that the run did not get to are left out.
  returned: when the options make sense
  type: list
  elements: dict
  contains:
    path: {description: The file., type: str}
    state:
      description:
        - V(published), V(unchanged), V(repaired), V(withdrawn), V(left_over), V(held_back) or V(failed).
        - V(left_over) is an image that clients still find there although the netboot server no longer offers it.
      type: str
    reason: {description: The reason for the state., type: str}
    size: {description: Bytes., type: int}
    sent_bytes: {description: Bytes that crossed the line for it., type: int}
    basis: {description: The file that a difference was made to., type: str}
    verified: {description: Whether its content was compared on the caching server., type: bool}
    seconds: {description: Time spent on it., type: float}
  sample:
    - path: kernels/5.8.0-43-generic/initrd
      state: published
      reason: ''
      size: 49152
      sent_bytes: 49152
      basis: null
      verified: true
      seconds: 0.242
actions:
  description:
    - What was, or would be, done, in order.
    - If the connection was lost during a step that clients can see, and there was no retry, the step is listed as well,
      since it may have been done.
  returned: when the options make sense
  type: list
  elements: dict
  contains:
    action:
      description:
        - V(withdraw), V(publish), V(permit), V(link) and V(remove) can be seen by clients; V(send), V(check), V(flush)
          and V(confirm) prepare that. V(adopt) gives a file with the same content the time that it has on the netboot
          server.
      type: str
    path: {description: What it was done to., type: str}
    bytes: {description: "With V(send), the size of the file.", type: int}
    basis: {description: "With V(send), the file that a difference is made to.", type: str}
    reason: {description: "With V(withdraw), why.", type: str}
    target: {description: "With V(link), where the symlink leads.", type: str}
  sample:
    - action: send
      path: kernels/5.8.0-43-generic/initrd
      bytes: 49152
      basis: null
    - action: check
      path: kernels/5.8.0-43-generic/initrd
    - action: flush
      path: kernels/5.8.0-43-generic/initrd
    - action: send
      path: kernels/5.8.0-43-generic/vmlinuz
      bytes: 16384
      basis: null
    - action: check
      path: kernels/5.8.0-43-generic/vmlinuz
    - action: flush
      path: kernels/5.8.0-43-generic/vmlinuz
    - action: publish
      path: kernels/5.8.0-43-generic/initrd
    - action: publish
      path: kernels/5.8.0-43-generic/vmlinuz
    - action: send
      path: prod/21-04-10-gnome-master-9c41d0b.squashfs
      bytes: 4096
      basis: null
    - action: check
      path: prod/21-04-10-gnome-master-9c41d0b.squashfs
stats:
  description: Totals.
  returned: when the options make sense
  type: dict
  contains:
    check_mode: {description: Whether nothing was done., type: bool}
    sent_bytes: {description: Bytes that crossed the line., type: int}
    size: {description: "Bytes of the files that were, or would be, synced.", type: int}
    saved_bytes: {description: Bytes of these that did not have to be sent., type: int}
    seconds: {description: Seconds it took., type: float}
    attempts: {description: How often it was tried., type: int}
    images: {description: How many images came to each state., type: dict}
  sample:
    check_mode: false
    sent_bytes: 73824
    size: 73824
    saved_bytes: 0
    seconds: 1.058
    attempts: 1
    images:
      held_back: 1
      published: 2
summary:
  description: The result in one line.
  returned: when the options make sense
  type: str
  sample: 'images: 2 published, 1 held back; 73.8 kB sent for 73.8 kB in 1.1 s'
failures:
  description: One line for each thing that failed, and for what ended the run if it ended early.
  returned: when the options make sense
  type: list
  elements: str
host:
  description: O(name), or else O(host).
  returned: on failure, when the options make sense
  type: str
path:
  description: The path whose problem ended the run early; empty if it was not about a path.
  returned: when the run ended early
  type: str
left_for_later:
  description: Why something was left for a later run, if O(bandwidth_limit) was V(0) at that time; otherwise empty.
  returned: when the options make sense
  type: str
retried:
  description: Why each attempt failed that was retried, a line each; shown with C(-vv).
  returned: when the options make sense
  type: list
  elements: str
transport:
  description:
    - How large files were sent; empty if the run ended before that was known, or M(netboot.syncer.sync_survey) found
      nothing to do.
  returned: when the options make sense
  type: str
  sample: rsync
server:
  description:
    - What the caching server offers besides SFTP; empty if the run ended before that was known, or
      M(netboot.syncer.sync_survey) found nothing to do.
  returned: when the options make sense
  type: dict
  contains:
    shell: {description: Whether our commands run there., type: bool}
    rsync: {description: The version of its rsync; empty if there is none., type: str}
    hashes: {description: Whether it can hash what it holds., type: bool}
    locks: {description: "Whether its kernel holds the lock; otherwise a lease does.", type: bool}
    archives: {description: Whether many small files go as one archive., type: bool}
    utc_offset: {description: Seconds that its local time is ahead of UTC; null if unknown., type: int}
  sample:
    shell: true
    rsync: 3.2.7
    hashes: true
    locks: true
    archives: true
    utc_offset: 0
"""

import threading
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.netboot.syncer.plugins.module_utils import options, reporting, requirements, results
from ansible_collections.netboot.syncer.plugins.module_utils.call import Call, Failed, perform_for
from ansible_collections.netboot.syncer.plugins.module_utils.errors import SyncError, printable
from ansible_collections.netboot.syncer.plugins.module_utils.progress import Progress
from ansible_collections.netboot.syncer.plugins.module_utils.run.following import Following
from ansible_collections.netboot.syncer.plugins.module_utils.run.lifeline import Abandoned, Lifeline
from ansible_collections.netboot.syncer.plugins.module_utils.run.sync_run import SyncRun
from ansible_collections.netboot.syncer.plugins.module_utils.run.target import read_target

ABANDONED = SyncError("the run was told to end, or nobody waits for it", remedy="What arrived is kept; run it again.")


SPEC: dict[str, t.Any] = {"argument_spec": options.ARGUMENTS}


def perform(call: Call) -> dict[str, t.Any]:
    """Bring the caching server in line."""
    params = call.params
    options.call_by_variables(params["variables"] or "")
    trouble = requirements.paramiko_trouble()
    if trouble:
        raise Failed(f"{params['name'] or params['host']}: {trouble}")
    try:
        name, address, chosen = read_target(params, check_mode=call.check_mode)
    except ValueError as error:
        raise Failed(str(error)) from error
    started = time.monotonic()
    progress = Progress(params["progress_file"])
    following = Following("" if call.check_mode else params["follow"] or "")
    run = SyncRun(address, chosen, progress=progress, following=following)
    stopped: SyncError | None = None
    unkept = threading.Lock()  # taken by whoever adds this run to the history

    def keep(result: dict[str, t.Any]) -> list[str]:
        if call.check_mode or not unkept.acquire(blocking=False):
            return []
        return results.keep({name: result}, {name: params}, params["started_by"])

    def keep_abandoned() -> None:
        found = results.result(run, time.monotonic() - started, check_mode=False)
        keep({**found, "failures": [*found["failures"], ABANDONED.line()]})

    try:
        with Lifeline(keep_abandoned), progress:
            run.run()
    except SyncError as error:
        stopped = error
    except Abandoned:
        stopped = ABANDONED
    if stopped is not None and stopped.line() not in run.failures:
        run.failures.append(stopped.line())
    call.warnings += [f"{name}: {warning}" for warning in run.warnings]
    found = results.result(run, time.monotonic() - started, check_mode=call.check_mode)
    call.warnings += [f"{name}: {trouble}" for trouble in keep(found)]
    if call.diff:
        found["diff"] = {"prepared": reporting.actions(name, found)}
    if stopped is not None:
        raise Failed(stopped.line(host=name), host=name, path=printable(stopped.path), **found)
    if run.failures:
        more = f" (and {len(run.failures) - 1} more)" if len(run.failures) > 1 else ""
        raise Failed(f"{name}: {found['failures'][0]}{more}", host=name, **found)
    return found


def main() -> None:
    """Run the module."""
    perform_for(AnsibleModule(**SPEC, supports_check_mode=True), perform)


if __name__ == "__main__":
    main()
