# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every option of a caching server, defined once: its type, default, choices, bounds and text.

Everything else is generated from this: the argument specs and the documentation of the modules, the variables of the
role with their defaults and documentation (``./dev generate``), and the input of a run. Values are validated where they
are used.
"""

from __future__ import annotations

import dataclasses
import math
import typing as t

PREFIX = "netboot_sync_"  # of the role's variables


@dataclasses.dataclass(frozen=True)
class Option:
    """One option. The text is in Ansible's markup: one paragraph, or one per line that begins with a hyphen.

    :ivar least: the minimum of a number; ``most`` is the maximum.
    :ivar variable: the name of the role's variable after its prefix, if it differs from that of the option; empty if
        there is none.
    :ivar module: whether the module has it; an option for the role alone has only a variable.
    :ivar example: an example value for a variable without a default, as YAML.
    """

    name: str
    type: str
    text: str
    elements: str = ""
    choices: tuple[str, ...] = ()
    default: t.Any = None
    least: float = -math.inf
    most: float = math.inf
    no_log: bool | None = None
    variable: str | None = None
    module: bool = True
    example: str = ""
    version_added: str = ""

    @property
    def paragraphs(self) -> list[str]:
        """The text, as a list of paragraphs."""
        parts = self.text.split("\n        - ")[1:] or [self.text]
        return [" ".join(part.split()) for part in parts]

    @property
    def variable_name(self) -> str:
        """The role's variable, or an empty string."""
        name = self.name if self.variable is None else self.variable
        return f"{PREFIX}{name}" if name else ""

    @property
    def plain_default(self) -> t.Any:
        """The default as Ansible has it; None if there is none."""
        if self.type == "list":
            return list(self.default or ())
        return self.default

    def spec(self) -> dict[str, t.Any]:
        """Return its part of an argument spec."""
        found: dict[str, t.Any] = {"type": self.type}
        for name in ("elements", "choices"):
            if getattr(self, name):
                found[name] = list(self.choices) if name == "choices" else self.elements
        if self.plain_default is not None:
            found["default"] = self.plain_default
        if self.no_log is not None:
            found["no_log"] = self.no_log
        return found

    def documentation(self) -> dict[str, t.Any]:
        """Return its part of a module's documentation."""
        found = {"description": self.paragraphs, **self.spec()}
        found.pop("no_log", None)
        if self.version_added:
            found["version_added"] = self.version_added
        return found

    def refuse(self, value: t.Any) -> None:
        """Raise :class:`ValueError` for a number that is out of bounds."""
        if isinstance(value, int) and not self.least <= value <= self.most:
            reach = f"from {self.least} on" if self.most == math.inf else f"from {self.least} to {self.most}"
            raise ValueError(f"{self.name}: {value} makes no sense; it must be a number {reach}")


OPTIONS = (
    Option(
        "src",
        "path",
        default="/srv/netboot/assets",
        text="The assets tree on the source, which is the host that the module runs on.",
    ),
    Option(
        "dest",
        "str",
        default="/srv/netboot/assets",
        text="The assets tree on the caching server, an absolute path.",
    ),
    Option(
        "source",
        "str",
        module=False,
        default="{{ groups['netboot_server'] | default([]) | first | default('', true) }}",
        text="""
        - The inventory host to push from, by default the first of the group C(netboot_server). V(localhost)
          is used only if set explicitly.
        """,
    ),
    Option(
        "fallback_source",
        "str",
        module=False,
        example="netboot",
        version_added="1.0.0",
        text="""
        - The inventory host to push from if the check before a run finds that O(source) cannot be used, such
          as a hub that is down. By default, such a caching server fails, with the reason.
        """,
    ),
    Option(
        "source_address",
        "str",
        module=False,
        example="netboot.example.org",
        version_added="1.0.0",
        text="""
        - The address at which Ansible reaches the netboot server, for inventories that lack it, such as those of the
          slices of an AWX job, each of which has some of the hosts.
        - It is used only if the group C(netboot_server) has no host and O(source) is not set. The
          tasks of C(preflight) then add a host of this name to that group, with the group's variables.
        """,
    ),
    Option(
        "source_port",
        "int",
        module=False,
        least=1,
        most=65535,
        version_added="1.0.0",
        text="The port for O(source_address), if it differs from that of the group C(netboot_server).",
    ),
    Option(
        "source_user",
        "str",
        module=False,
        version_added="1.0.0",
        text="The user for O(source_address), if it differs from that of the group C(netboot_server).",
    ),
    Option(
        "host",
        "str",
        variable="address",
        text="""
        - The address at which the source reaches the caching server. Defaults to the caching
          server's own C(ansible_host), or else its name in the inventory.
        - In a delegated task, C({{ ansible_host }}) may be the delegate's, so it is best left out.
        """,
    ),
    Option(
        "name",
        "str",
        variable="",
        text="The name of the caching server in messages; O(host) by default.",
    ),
    Option(
        "port",
        "int",
        least=1,
        most=65535,
        text="""
        - The port of its SSH server. Defaults to its own C(ansible_port), or else to what
          C(ssh_config) on the source says.
        """,
    ),
    Option(
        "user",
        "str",
        text="""
        - The user to log in as. Defaults to its own C(ansible_user), or else to what C(ssh_config)
          on the source says. C(-u) and C(remote_user) are ignored: those are for the source.
        """,
    ),
    Option(
        "private_key_file",
        "path",
        no_log=False,
        example=" /etc/netboot/id_ed25519",
        text="The private key, on the source. Without it, the agent and the keys of C(ssh_config) are used.",
    ),
    Option(
        "known_hosts_file",
        "path",
        example=" /etc/netboot/known_hosts",
        text="The known hosts file, on the source. Without it, those of OpenSSH are used.",
    ),
    Option(
        "host_key_checking",
        "str",
        choices=("true", "accept-new", "false"),
        default="true",
        text="Whether an unknown host key is refused, learned, or not checked.",
    ),
    Option(
        "include",
        "list",
        elements="str",
        default=(),
        text="""
        - Patterns of what to sync, relative to the tree; everything if empty. C(**) crosses directories.
        - A marker is selected exactly when its squashfs is. An image brings along the kernel that it requires.
        """,
    ),
    Option(
        "exclude",
        "list",
        elements="str",
        default=(),
        text="""
        - Patterns of what to leave out: it is neither sent nor removed. Hidden files are never sent.
        - If an image is left out but is on the caching server, what its marker promises is not changed
          there.
        """,
    ),
    Option(
        "unmarked_images",
        "list",
        elements="str",
        default=(),
        text="""
        - Patterns of squashfs files that have no marker.
        - A squashfs is recognised by its content as well as by its name. Under any name it needs a marker, or must be
          named here, and is checked. The only exception is a squashfs in a kernel directory without the name of an
          image: it is a part of the kernel.
        - A file with the temporary name of an upload (such as C(.part), C(.filepart), C(.crdownload), C(.tmp)), or
          a part of a split image, is held back, whether it is named here or not.
        """,
    ),
    Option(
        "marker_names",
        "list",
        elements="str",
        default=("{stem}-kernel.json", "{stem}.json", "{stem}.squashfs.json"),
        text="""
        - The possible names of an image's marker; C({stem}) is the name of the squashfs without its last
          suffix.
        - If that suffix is not C(.squashfs), it may be the whole name as well, so C(x.img.json) is a marker of
          C(x.img).
        - A C(.img) is an image if its content is a squashfs, or if there is a marker next to it.
        - If a marker fits two images, such as C(x.json) next to C(x.squashfs) and C(x.img), both are
          held back. One with the whole name, such as C(x.img.json), belongs to that image alone.
        - The marker must be strict JSON in UTF-8, without a byte order mark.
        """,
    ),
    Option(
        "pointers",
        "list",
        elements="str",
        default=("kernels/latest-kernel-version.json",),
        text="Patterns of the JSON files that name a kernel and so go last. Symlinks in the tree always go last.",
    ),
    Option(
        "priority",
        "list",
        elements="str",
        default=(),
        text="""
        - Patterns of images that go first, those of the first pattern before those of the second, and so on.
        - Otherwise, and among matches of the same pattern, the newest image of each directory goes before any
          older one, and of equally new ones the small before the large. Each kernel goes right before the first
          image that needs it.
        - Plain files of more than 4 MiB go after the images.
        """,
    ),
    Option(
        "kernel_files",
        "list",
        elements="raw",
        default=("vmlinuz", "initrd"),
        text="""
        - What a kernel directory must hold. An entry is a name, or a list of names of which one is enough;
          C({version}) stands for the name of the directory. All of them that are there must be complete.
        - V(vmlinuz) and V(initrd) stand for the names that distributions give to these two, such as V(linux)
          and V(vmlinuz-{version}), or V(initrd.img), V(initrd.gz), V(initrd.img-{version}) and
          V(initramfs.img). A list of one name, such as V([vmlinuz]), means that name only.
        """,
    ),
    Option(
        "settle",
        "int",
        default=120,
        least=0,
        text="""
        - Seconds for which a file of more than 100 MB without a marker must have been left alone
          before it is sent; V(0) turns this off. A file that changes while it is sent is never published.
        - The later of its mtime and ctime counts, so a copy that keeps the old mtime waits
          as well.
        - A kernel directory waits for its large files, and a symlink for the file that it leads to.
        """,
    ),
    Option(
        "verify",
        "bool",
        default=False,
        text="Compare the content of every file, not only its size and time, and repair what differs.",
    ),
    Option(
        "delete",
        "bool",
        default=False,
        text="Remove what the source no longer has, markers first, and what they promised after O(grace).",
    ),
    Option(
        "max_delete",
        "int",
        default=10,
        least=0,
        text="Remove nothing if more files than this would be removed.",
    ),
    Option(
        "grace",
        "int",
        default=300,
        least=0,
        version_added="1.0.0",
        text="""
        - Seconds for which the squashfs and the kernel of an image stay on the caching server after its marker
          was removed. A client that has read the marker still has to fetch them.
        - The first run after that removes them.
        """,
    ),
    Option(
        "only",
        "list",
        elements="str",
        default=(),
        version_added="1.0.0",
        text="""
        - Patterns of the images that this run handles; all others are left as they are. Unlike O(include),
          it does not define what the caching server should hold.
        """,
    ),
    Option(
        "withdraw",
        "list",
        elements="str",
        default=(),
        version_added="1.0.0",
        text="""
        - Patterns of images to take from clients at once, by removing their markers. Nothing else is
          done, and no lock is waited for.
        - They stay away only if they are withdrawn on the netboot server first, see
          M(netboot.syncer.withdraw_assets). What was withdrawn there is removed in any case.
        """,
    ),
    Option(
        "withdrawn",
        "dict",
        variable="",
        version_added="1.0.0",
        text="""
        - Markers that count as withdrawn by name, whatever is in O(src), as the keys, percent-encoded; the value
          says whether the squashfs is to be removed as well. The action plugin sets this for a caching server that is
          fed by a hub, to what M(netboot.syncer.sync_source) found on the netboot server.
        """,
    ),
    Option(
        "bandwidth_limit",
        "raw",
        example="""
  - "08:00-18:00 Mon-Fri: 5Mbit"
  - "18:00-20:00 Mon-Fri: 0"
  - 50Mbit  # at all other times""",
        text="""
        - The maximum rate, such as V(20Mbit) (bits) or V(2.5MB) (bytes) per second. It applies to what is sent
          to the caching server, including the overhead of SSH.
        - Or windows in the site's local time, as a list, or as one string with V(;) between them, such as
          V(08:00-18:00 Mon-Fri: 5Mbit). The first window that matches counts. One that crosses midnight belongs
          to the day on which it begins. Without days, it applies to every day.
        - A rate without times applies at all other times; without one, there is no limit then. V(unlimited) is
          also a rate.
        - A window that begins during a transfer takes effect right away.
        - At a rate of V(0) nothing is sent. What arrived is kept, the rest is reported as V(held_back) with the
          time at which the window ends, and is not a failure. Nothing else is changed on the caching server
          either, except that markers whose promise is not kept there are withdrawn.
        """,
    ),
    Option(
        "timezone",
        "str",
        example=" Europe/Berlin",
        text="""
        - The time zone of the site, such as V(Europe/Berlin), for the windows of O(bandwidth_limit).
        - Without it, the caching server is asked for its local time when the run begins; if it cannot
          tell (SFTP alone), that of the source is used, with a warning.
        """,
    ),
    Option(
        "uplink_limit",
        "str",
        example=" 200Mbit",
        text="""
        - The maximum rate of all concurrent runs together, of the same user on the source. They share it
          fairly, and what one cannot use, since its line is slow or its O(bandwidth_limit) low, goes to the
          others.
        - They coordinate through a private directory C(netboot-syncer-UID) below the source's directory for temporary
          files.
        """,
    ),
    Option(
        "transport",
        "str",
        choices=("auto", "rsync", "sftp"),
        default="auto",
        text="""
        - How large files are sent. With V(rsync), differences go by rsync, and a file that resembles nothing at the
          caching server goes as a plain stream over the same connection. With V(sftp), each file is sent whole.
        - V(auto) is V(rsync) if both ends have it, and otherwise V(sftp) with a warning.
        """,
    ),
    Option(
        "retries",
        "int",
        default=3,
        least=0,
        text="How often to retry after a lost connection.",
    ),
    Option(
        "retry_delay",
        "int",
        default=5,
        least=0,
        text="Seconds before the first retry; doubled each time.",
    ),
    Option(
        "stall_timeout",
        "int",
        default=60,
        least=1,
        text="Seconds of silence after which a connection counts as lost.",
    ),
    Option(
        "lock_timeout",
        "int",
        default=60,
        least=0,
        text="Seconds to wait for another run that is working on the same caching server.",
    ),
    Option(
        "progress",
        "int",
        default=10,
        text="""
        - Minimum number of seconds between two progress lines; V(0) for
          none.
        - In a long transfer, or if many caching servers are synced at once, they come less often.
        - A line gives image, percent, rate, time left and the bytes saved. The action plugin prints them
          if this module runs on the control node or on a host reached by C(ssh), and not with C(async) or
          C(no_log).
        """,
    ),
    Option(
        "progress_file",
        "path",
        variable="",
        text="""
        - A file on the source in which the module records what it is doing, as JSON; it is rewritten about once
          a second and removed at the end. The action plugin sets this for itself.
        """,
    ),
    Option(
        "follow",
        "path",
        variable="",
        version_added="1.0.0",
        text="""
        - A file on the source that is rewritten every few seconds while another run sends to O(src), and
          then says C(over). Until then, or until it has not changed for a minute, what appears in O(src) is sent
          as well. The action plugin sets this for a caching server that is fed by a hub of the same play.
        """,
    ),
    Option(
        "history",
        "str",
        default="/var/lib/netboot/history.jsonl",
        version_added="1.0.0",
        text="""
        - A log on the source to which each run appends a line of JSON for each caching server, with who, when, what,
          bytes, seconds and result. If its directory is missing, or this is empty, none is kept.
        - It is rotated at 16 MiB, and 8 older files are kept beside it.
        """,
    ),
    Option(
        "started_by",
        "dict",
        variable="",
        version_added="1.0.0",
        text="""
        - Who started the run, for the line in O(history), with C(user), C(run), C(job) and C(source). The action plugin
          sets this for itself.
        """,
    ),
    Option(
        "variables",
        "str",
        variable="",
        text="""
        - The prefix of the variables that hold the options of the task's host, such as
          V(netboot_sync_). Then O(src) is C(netboot_sync_src), O(host) is C(netboot_sync_address), and so on.
          The action plugin reads them as that host's own, not as the delegate's. A variable takes precedence over an
          option of the task; without O(host), O(port) and O(user), those of the inventory apply.
        - The task has to be delegated to the host that C(netboot_sync_source) names, which must be in the
          inventory.
        """,
    ),
    Option(
        "allow_few_forks",
        "bool",
        default=False,
        module=False,
        text="""
        - Let caching servers wait for each other if Ansible has fewer forks than caching servers.
        - Otherwise, the tasks of C(preflight), which the playbooks of this collection run first, refuse to
          start.
        """,
    ),
    Option(
        "survey_from",
        "int",
        default=5,
        module=False,
        text="""
        - With at least this many caching servers, the tasks of C(survey), which C(sync.yml) runs first, find out
          in one go which of them have nothing to do; these are then skipped.
        """,
    ),
)

BY_NAME = {option.name: option for option in OPTIONS}
# The argument spec of sync_assets; other modules take the shared options from it.
ARGUMENTS = {option.name: option.spec() for option in OPTIONS if option.module}


_NAMING = {"prefix": ""}


def call_by_variables(prefix: str) -> None:
    """Make messages of this process call options by variables that begin with *prefix*; by their own names if empty."""
    _NAMING["prefix"] = prefix


def called(name: str) -> str:
    """Return the name by which the reader of a message knows an option: its own, or that of a variable."""
    prefix = _NAMING["prefix"]
    variable = BY_NAME[name].variable_name.removeprefix(PREFIX)
    return prefix + variable if prefix and variable else name


def default(name: str) -> t.Any:
    """Return the default of an option."""
    return BY_NAME[name].default


def check(parameters: t.Mapping[str, t.Any]) -> None:
    """Raise :class:`ValueError` for a number that is out of bounds."""
    for name, value in parameters.items():
        if name in BY_NAME:
            BY_NAME[name].refuse(value)
