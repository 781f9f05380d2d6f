# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Made by ./dev generate out of plugins/module_utils/options.py.
"""The documentation of the options that modules share."""

from __future__ import annotations


class ModuleDocFragment:
    """All options of sync_assets; TREE are those that others share with it."""

    DOCUMENTATION = r"""
options:
  src:
    description:
      - The assets tree on the source, which is the host that the module runs on.
    type: path
    default: /srv/netboot/assets
  dest:
    description:
      - The assets tree on the caching server, an absolute path.
    type: str
    default: /srv/netboot/assets
  host:
    description:
      - The address at which the source reaches the caching server. Defaults to the caching server's own
        C(ansible_host), or else its name in the inventory.
      - In a delegated task, C({{ ansible_host }}) may be the delegate's, so it is best left out.
    type: str
  name:
    description:
      - The name of the caching server in messages; O(host) by default.
    type: str
  port:
    description:
      - The port of its SSH server. Defaults to its own C(ansible_port), or else to what C(ssh_config)
        on the source says.
    type: int
  user:
    description:
      - 'The user to log in as. Defaults to its own C(ansible_user), or else to what C(ssh_config) on
        the source says. C(-u) and C(remote_user) are ignored: those are for the source.'
    type: str
  private_key_file:
    description:
      - The private key, on the source. Without it, the agent and the keys of C(ssh_config) are used.
    type: path
  known_hosts_file:
    description:
      - The known hosts file, on the source. Without it, those of OpenSSH are used.
    type: path
  host_key_checking:
    description:
      - Whether an unknown host key is refused, learned, or not checked.
    type: str
    choices:
      - 'true'
      - accept-new
      - 'false'
    default: 'true'
  include:
    description:
      - Patterns of what to sync, relative to the tree; everything if empty. C(**) crosses directories.
      - A marker is selected exactly when its squashfs is. An image brings along the kernel that it requires.
    type: list
    elements: str
    default: []
  exclude:
    description:
      - 'Patterns of what to leave out: it is neither sent nor removed. Hidden files are never sent.'
      - If an image is left out but is on the caching server, what its marker promises is not changed
        there.
    type: list
    elements: str
    default: []
  unmarked_images:
    description:
      - Patterns of squashfs files that have no marker.
      - 'A squashfs is recognised by its content as well as by its name. Under any name it needs a marker,
        or must be named here, and is checked. The only exception is a squashfs in a kernel directory
        without the name of an image: it is a part of the kernel.'
      - A file with the temporary name of an upload (such as C(.part), C(.filepart), C(.crdownload), C(.tmp)),
        or a part of a split image, is held back, whether it is named here or not.
    type: list
    elements: str
    default: []
  marker_names:
    description:
      - The possible names of an image's marker; C({stem}) is the name of the squashfs without its last
        suffix.
      - If that suffix is not C(.squashfs), it may be the whole name as well, so C(x.img.json) is a marker
        of C(x.img).
      - A C(.img) is an image if its content is a squashfs, or if there is a marker next to it.
      - If a marker fits two images, such as C(x.json) next to C(x.squashfs) and C(x.img), both are held
        back. One with the whole name, such as C(x.img.json), belongs to that image alone.
      - The marker must be strict JSON in UTF-8, without a byte order mark.
    type: list
    elements: str
    default:
      - '{stem}-kernel.json'
      - '{stem}.json'
      - '{stem}.squashfs.json'
  pointers:
    description:
      - Patterns of the JSON files that name a kernel and so go last. Symlinks in the tree always go last.
    type: list
    elements: str
    default:
      - kernels/latest-kernel-version.json
  priority:
    description:
      - Patterns of images that go first, those of the first pattern before those of the second, and so
        on.
      - Otherwise, and among matches of the same pattern, the newest image of each directory goes before
        any older one, and of equally new ones the small before the large. Each kernel goes right before
        the first image that needs it.
      - Plain files of more than 4 MiB go after the images.
    type: list
    elements: str
    default: []
  kernel_files:
    description:
      - What a kernel directory must hold. An entry is a name, or a list of names of which one is enough;
        C({version}) stands for the name of the directory. All of them that are there must be complete.
      - V(vmlinuz) and V(initrd) stand for the names that distributions give to these two, such as V(linux)
        and V(vmlinuz-{version}), or V(initrd.img), V(initrd.gz), V(initrd.img-{version}) and V(initramfs.img).
        A list of one name, such as V([vmlinuz]), means that name only.
    type: list
    elements: raw
    default:
      - vmlinuz
      - initrd
  settle:
    description:
      - Seconds for which a file of more than 100 MB without a marker must have been left alone before
        it is sent; V(0) turns this off. A file that changes while it is sent is never published.
      - The later of its mtime and ctime counts, so a copy that keeps the old mtime waits as well.
      - A kernel directory waits for its large files, and a symlink for the file that it leads to.
    type: int
    default: 120
  verify:
    description:
      - Compare the content of every file, not only its size and time, and repair what differs.
    type: bool
    default: false
  delete:
    description:
      - Remove what the source no longer has, markers first, and what they promised after O(grace).
    type: bool
    default: false
  max_delete:
    description:
      - Remove nothing if more files than this would be removed.
    type: int
    default: 10
  grace:
    description:
      - Seconds for which the squashfs and the kernel of an image stay on the caching server after its
        marker was removed. A client that has read the marker still has to fetch them.
      - The first run after that removes them.
    type: int
    default: 300
    version_added: 1.0.0
  only:
    description:
      - Patterns of the images that this run handles; all others are left as they are. Unlike O(include),
        it does not define what the caching server should hold.
    type: list
    elements: str
    default: []
    version_added: 1.0.0
  withdraw:
    description:
      - Patterns of images to take from clients at once, by removing their markers. Nothing else is done,
        and no lock is waited for.
      - They stay away only if they are withdrawn on the netboot server first, see M(netboot.syncer.withdraw_assets).
        What was withdrawn there is removed in any case.
    type: list
    elements: str
    default: []
    version_added: 1.0.0
  withdrawn:
    description:
      - Markers that count as withdrawn by name, whatever is in O(src), as the keys, percent-encoded;
        the value says whether the squashfs is to be removed as well. The action plugin sets this for
        a caching server that is fed by a hub, to what M(netboot.syncer.sync_source) found on the netboot
        server.
    type: dict
    version_added: 1.0.0
  bandwidth_limit:
    description:
      - The maximum rate, such as V(20Mbit) (bits) or V(2.5MB) (bytes) per second. It applies to what
        is sent to the caching server, including the overhead of SSH.
      - 'Or windows in the site''s local time, as a list, or as one string with V(;) between them, such
        as V(08:00-18:00 Mon-Fri: 5Mbit). The first window that matches counts. One that crosses midnight
        belongs to the day on which it begins. Without days, it applies to every day.'
      - A rate without times applies at all other times; without one, there is no limit then. V(unlimited)
        is also a rate.
      - A window that begins during a transfer takes effect right away.
      - At a rate of V(0) nothing is sent. What arrived is kept, the rest is reported as V(held_back)
        with the time at which the window ends, and is not a failure. Nothing else is changed on the caching
        server either, except that markers whose promise is not kept there are withdrawn.
    type: raw
  timezone:
    description:
      - The time zone of the site, such as V(Europe/Berlin), for the windows of O(bandwidth_limit).
      - Without it, the caching server is asked for its local time when the run begins; if it cannot tell
        (SFTP alone), that of the source is used, with a warning.
    type: str
  uplink_limit:
    description:
      - The maximum rate of all concurrent runs together, of the same user on the source. They share it
        fairly, and what one cannot use, since its line is slow or its O(bandwidth_limit) low, goes to
        the others.
      - They coordinate through a private directory C(netboot-syncer-UID) below the source's directory
        for temporary files.
    type: str
  transport:
    description:
      - How large files are sent. With V(rsync), differences go by rsync, and a file that resembles nothing
        at the caching server goes as a plain stream over the same connection. With V(sftp), each file
        is sent whole.
      - V(auto) is V(rsync) if both ends have it, and otherwise V(sftp) with a warning.
    type: str
    choices:
      - auto
      - rsync
      - sftp
    default: auto
  retries:
    description:
      - How often to retry after a lost connection.
    type: int
    default: 3
  retry_delay:
    description:
      - Seconds before the first retry; doubled each time.
    type: int
    default: 5
  stall_timeout:
    description:
      - Seconds of silence after which a connection counts as lost.
    type: int
    default: 60
  lock_timeout:
    description:
      - Seconds to wait for another run that is working on the same caching server.
    type: int
    default: 60
  progress:
    description:
      - Minimum number of seconds between two progress lines; V(0) for none.
      - In a long transfer, or if many caching servers are synced at once, they come less often.
      - A line gives image, percent, rate, time left and the bytes saved. The action plugin prints them
        if this module runs on the control node or on a host reached by C(ssh), and not with C(async)
        or C(no_log).
    type: int
    default: 10
  progress_file:
    description:
      - A file on the source in which the module records what it is doing, as JSON; it is rewritten about
        once a second and removed at the end. The action plugin sets this for itself.
    type: path
  follow:
    description:
      - A file on the source that is rewritten every few seconds while another run sends to O(src), and
        then says C(over). Until then, or until it has not changed for a minute, what appears in O(src)
        is sent as well. The action plugin sets this for a caching server that is fed by a hub of the
        same play.
    type: path
    version_added: 1.0.0
  history:
    description:
      - A log on the source to which each run appends a line of JSON for each caching server, with who,
        when, what, bytes, seconds and result. If its directory is missing, or this is empty, none is
        kept.
      - It is rotated at 16 MiB, and 8 older files are kept beside it.
    type: str
    default: /var/lib/netboot/history.jsonl
    version_added: 1.0.0
  started_by:
    description:
      - Who started the run, for the line in O(history), with C(user), C(run), C(job) and C(source). The
        action plugin sets this for itself.
    type: dict
    version_added: 1.0.0
  variables:
    description:
      - The prefix of the variables that hold the options of the task's host, such as V(netboot_sync_).
        Then O(src) is C(netboot_sync_src), O(host) is C(netboot_sync_address), and so on. The action
        plugin reads them as that host's own, not as the delegate's. A variable takes precedence over
        an option of the task; without O(host), O(port) and O(user), those of the inventory apply.
      - The task has to be delegated to the host that C(netboot_sync_source) names, which must be in the
        inventory.
    type: str
"""

    TREE = r"""
options:
  src:
    description:
      - The assets tree on the source, which is the host that the module runs on.
    type: path
    default: /srv/netboot/assets
  marker_names:
    description:
      - The possible names of an image's marker; C({stem}) is the name of the squashfs without its last
        suffix.
      - If that suffix is not C(.squashfs), it may be the whole name as well, so C(x.img.json) is a marker
        of C(x.img).
      - A C(.img) is an image if its content is a squashfs, or if there is a marker next to it.
      - If a marker fits two images, such as C(x.json) next to C(x.squashfs) and C(x.img), both are held
        back. One with the whole name, such as C(x.img.json), belongs to that image alone.
      - The marker must be strict JSON in UTF-8, without a byte order mark.
    type: list
    elements: str
    default:
      - '{stem}-kernel.json'
      - '{stem}.json'
      - '{stem}.squashfs.json'
  pointers:
    description:
      - Patterns of the JSON files that name a kernel and so go last. Symlinks in the tree always go last.
    type: list
    elements: str
    default:
      - kernels/latest-kernel-version.json
"""
