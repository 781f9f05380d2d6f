# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run always ends, whichever of its processes is killed, and none of its processes goes on working anywhere."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import IMAGE, SITE, add_large_image, is_delivered, sync
from tests.lab.sessions import Run
from tests.lab.sshd import CachingServer
from tests.lab.waiting import wait_until

pytestmark = pytest.mark.timeout(300)
OTHER = "quick"
RATE = 2e6  # bit/s: the transfer takes longer than any of the tests, even on a busy machine
SIZE = 30_000_000


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Fleet]:
    """A caching server on a slow line, and one that is finished at once."""
    specs = [SiteSpec(SITE, rate=RATE), SiteSpec(OTHER)]
    with Fleet(tmp_path / "fleet", specs, variables={"netboot_sync_retries": 0}) as fleet:
        fleet.tree.add_kernel()
        add_large_image(fleet.tree, IMAGE, size=SIZE)
        yield fleet


@pytest.fixture(
    params=[
        "here",
        pytest.param("by-ssh", marks=pytest.mark.thorough),
        pytest.param("by-ssh-with-master", marks=pytest.mark.thorough),
        "by-ssh-as-another",
    ]
)
def start(two: Fleet, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Run]]:
    """Start a run: from a netboot server that is the controller itself, or one that is reached by SSH."""
    runs = []
    servers = []
    if request.param != "here":
        netboot = CachingServer(tmp_path / "netboot", authorized=[two.key.public])
        netboot.start()
        servers.append(netboot)
        master = "-o ControlMaster=auto -o ControlPersist=60" if "master" in request.param else ""
        variables: dict[str, object] = {"ansible_ssh_args": master}
        if "another" in request.param:
            variables.update(ansible_become=True, ansible_become_method="sudo", ansible_become_exe=str(sudo(tmp_path)))
        two.send_from(netboot, ansible_remote_tmp=str(two.directory / "remote-tmp"), **variables)

    def do(*arguments: str) -> Run:
        # the lab servers know only one user, and by default Ansible does not become the user that it already is
        runs.append(Run(two, *arguments, servers=servers, environment={"ANSIBLE_BECOME_ALLOW_SAME_USER": "true"}))
        return runs[-1]

    yield do
    for run in runs:
        run.stop()
    for server in servers:
        server.stop()


def sudo(directory: Path) -> Path:
    """A substitute for sudo, since the real one has to be installed and needs rules.

    It behaves like sudo with ``use_pty``: the command has another session and its own pipes, and only a write shows
    that nobody reads its output any more.
    """
    program = directory / "sudo"
    program.write_text('#!/bin/bash\nset -o pipefail\nsetsid sh -c "${@: -1}" | cat\n', encoding="utf-8")
    program.chmod(0o755)
    return program


def wait_for_bytes(fleet: Fleet) -> None:
    """Wait until the transfer has begun and the other site has everything that it gets."""
    line = fleet.sites[SITE].line
    assert line is not None
    image = fleet.tree.image(IMAGE)
    wait_until(lambda: line.bytes_up > 500_000 and is_delivered(fleet, image, OTHER), "bytes on the line")


def only(found: Callable[[], list[int]]) -> int:
    """Return the one process that is left: that of the other site ends a moment after its image has arrived."""
    wait_until(lambda: len(found()) == 1, "the end of what works for the other site")
    return found()[0]


def ended(run: Run) -> None:
    """Wait for the end of the playbook, and of every process that works for it anywhere."""
    wait_until(lambda: run.status is not None, "the playbook's end")
    wait_until(lambda: run.at_work() == [], "the end of all that worked for it")


def assert_nothing_is_published_and_the_lock_is_free(fleet: Fleet) -> None:
    image = fleet.tree.image(IMAGE)
    assert not is_delivered(fleet, image)
    line = fleet.sites[SITE].line
    assert line is not None
    line.set_rate(None)
    sync(fleet, lock_timeout=1)
    assert is_delivered(fleet, image)


def test_a_killed_worker_fails_its_host_alone(two: Fleet, start: Callable[..., Run]) -> None:
    run = start()
    wait_for_bytes(two)
    worker = only(run.workers)
    os.kill(worker, signal.SIGKILL)
    ended(run)
    assert run.status == 2, run.output
    said = f'{SITE}: its Ansible worker was killed (SIGKILL) in the task "netboot.syncer.netboot_sync : Bring'
    assert said in run.output
    assert "Traceback" not in run.output
    (row,) = [one for one in run.output.splitlines() if one.split()[:1] == [SITE] and "ok=" not in one]
    assert "FAILED" in row
    assert_nothing_is_published_and_the_lock_is_free(two)


def kill_main(run: Run) -> None:
    os.kill(run.main, signal.SIGKILL)


def cancel(run: Run) -> None:
    """Do what ansible-runner does without a container: kill the process group, which the workers have left."""
    group = os.getpgid(run.main)
    for pid in [*(pid for pid in run.workers() if os.getpgid(pid) == group), run.main]:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("kill", [kill_main, cancel])
def test_nothing_works_on_without_the_main_process(
    two: Fleet, start: Callable[..., Run], kill: Callable[[Run], None]
) -> None:
    run = start()
    wait_for_bytes(two)
    kill(run)
    ended(run)
    assert run.status == 128 + signal.SIGKILL
    assert_nothing_is_published_and_the_lock_is_free(two)


def test_a_killed_module_is_told_as_that(two: Fleet, start: Callable[..., Run]) -> None:
    run = start()
    wait_for_bytes(two)
    module = only(run.modules)
    os.kill(module, signal.SIGKILL)
    ended(run)
    assert run.status == 2, run.output
    assert f"{SITE}: the module ended without a result: killed (SIGKILL)? Look at the kernel's log of " in run.output
    assert "deserialization" not in run.output
    assert_nothing_is_published_and_the_lock_is_free(two)


def play(fleet: Fleet, *tasks: Mapping[str, object], **keywords: object) -> str:
    """Write a playbook with one play for all sites, with ``strategy: free``."""
    file = fleet.directory / "play.yml"
    whole = {"hosts": "caching_servers", "strategy": "free", "gather_facts": False, "tasks": list(tasks), **keywords}
    file.write_text(yaml.safe_dump([whole]), encoding="utf-8")
    return str(file)


LONG = "sleep 599"
FIRST: dict[str, object] = {
    "name": "First",
    "netboot.syncer.sync_survey": {"sites": []},
    "delegate_to": "localhost",
}


@pytest.mark.parametrize("forks", [1, 2])
def test_a_task_of_another_kind_and_two_workers(two: Fleet, forks: int) -> None:
    """Tasks after one of ours are guarded as well; with one fork, a dead worker's slot is taken again at once."""
    long = {"name": "Long", "ansible.builtin.command": LONG, "delegate_to": "localhost"}
    last = {"name": "Last", "ansible.builtin.debug": {"msg": "on {{ inventory_hostname }}"}}
    with Run(two, "--forks", str(forks), playbook=play(two, FIRST, long, last)) as run:
        for _count in range(2):
            wait_until(lambda: run.workers(LONG) != [], "the long task")
            worker = run.workers(LONG)[0]
            os.kill(worker, signal.SIGKILL)
            wait_until(lambda: worker not in run.workers(LONG), "the worker's end")  # noqa: B023
        ended(run)
        assert run.status == 2, run.output
        for name in (SITE, OTHER):
            assert f'{name}: its Ansible worker was killed (SIGKILL) in the task "Long"' in run.output
            assert f"on {name}" not in run.output


def test_what_takes_no_notice_of_being_asked_to_end(two: Fleet) -> None:
    """A process that ignores the signals is killed a moment later."""
    deaf = {"argv": ["sh", "-c", f"trap '' HUP INT TERM; {LONG}; {LONG}"]}
    long = {"name": "Long", "ansible.builtin.command": deaf, "delegate_to": "localhost"}
    with Run(two, playbook=play(two, FIRST, {**long, "when": f"inventory_hostname == '{SITE}'"})) as run:
        wait_until(lambda: run.workers(LONG) != [], "the long task")
        os.kill(run.workers(LONG)[0], signal.SIGKILL)
        ended(run)
        assert f'{SITE}: its Ansible worker was killed (SIGKILL) in the task "Long"' in run.output


def test_what_a_task_ignores_and_rescues(two: Fleet) -> None:
    """A killed worker is a failure like any other."""
    long = {"ansible.builtin.command": LONG, "delegate_to": "localhost", "register": "found"}
    say = {"ansible.builtin.debug": {"msg": "then {{ found.failed }} {{ inventory_hostname }}"}}
    tasks = (
        {**long, "name": "Ignored", "ignore_errors": True, "when": f"inventory_hostname == '{SITE}'"},
        {"block": [{**long, "name": "Rescued", "when": f"inventory_hostname == '{OTHER}'"}], "rescue": [say]},
    )
    with Run(two, playbook=play(two, FIRST, *tasks)) as run:
        for _count in range(2):
            wait_until(lambda: run.workers(LONG) != [], "a long task")
            worker = run.workers(LONG)[0]
            os.kill(worker, signal.SIGKILL)
            wait_until(lambda: worker not in run.workers(LONG), "the worker's end")  # noqa: B023
        ended(run)
        assert run.status == 0, run.output
        assert f"then True {OTHER}" in run.output
        assert "ignored=1" in run.output
        assert "rescued=1" in run.output


@pytest.mark.parametrize("kill", [kill_main, cancel])
def test_no_task_of_another_kind_works_on_without_the_main_process(two: Fleet, kill: Callable[[Run], None]) -> None:
    long = {"name": "Long", "ansible.builtin.command": LONG, "delegate_to": "localhost"}
    with Run(two, playbook=play(two, FIRST, long)) as run:
        wait_until(lambda: run.workers(LONG) != [], "the long task")
        kill(run)
        ended(run)


def test_a_worker_killed_in_a_linear_play(two: Fleet) -> None:
    """ansible-core then ends the whole run; what the worker started ends too, and one line says what happened."""
    line = two.sites[SITE].line
    assert line is not None
    line.stall()
    with Run(two, "-e", "netboot_sync_survey_from=1") as run:
        wait_until(lambda: line.connections > 0, "the survey")
        worker = only(run.workers)
        os.kill(worker, signal.SIGKILL)
        ended(run)
        assert run.status not in (None, 0)
        (said,) = [
            one for one in run.output.splitlines() if "its Ansible worker was killed (SIGKILL) in the task" in one
        ]
        assert "Find out which caching servers have nothing to do" in said
        assert "Traceback" not in run.output


def test_a_hash_at_the_site_does_not_go_on(tmp_path: Path) -> None:
    """sshd does not end a running command when the connection ends, and a hash may have many gigabytes to go."""
    hangs = dict.fromkeys(("openssl", "sha256sum"), "#!/bin/sh\nexec sleep 598\n")
    with Fleet(tmp_path / "fleet", [SiteSpec(SITE, scripts=hangs)]) as fleet:
        fleet.tree.add_kernel()
        fleet.tree.add_image(IMAGE)
        with Run(fleet) as run:
            wait_until(lambda: any("sleep 598" in one for one in run.at_work()), "the hash")
            kill_main(run)
            ended(run)
        assert not is_delivered(fleet, fleet.tree.image(IMAGE))
