# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happened to the machines, as a page of the documentation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .fleet import Run
from .mistakes import MISTAKES, Outcome

HEAD = """# Bare machines, onboarded

Written by `./dev machines --report docs/machines-tried.md`: machines with their own systemd and nothing but an
SSH server. For check mode, cache-hamburg and later netboot were given Python; the other sites had none when they were
onboarded. How it is done is in [Sites](sites.md). Before it, on the workstation: `./dev setup`,
`cp -r inventory.example my-inventory`, and ten lines in `hosts.yml`. Each playbook below is one command.

"""

MISTAKES_HEAD = """# Mistakes, and what is said

Written by `./dev machines --mistakes --report docs/mistakes-tried.md`: each mistake was really made, on bare machines,
and this is the line with which `onboard.yml` (for the last one, `offboard.yml`) ended.

"""


def page(lines: Sequence[str], runs: Sequence[Run]) -> str:
    """Each step with its seconds, and the end of the first full run's output."""
    steps = "".join(f"    {line.rstrip()}\n" for line in lines)
    first = next(run for run in runs if "--check" not in run.words)
    table = re.search(r"^caching server  came out.*?(?=\n(?:ok: |\n))", first.output, re.DOTALL | re.MULTILINE)
    said = re.search(r"TASK \[Say what clients can boot now\].*?(?=\n\n)", first.output, re.DOTALL)
    shown = "\n\n".join(found.group(0) for found in (table, said) if found)
    quoted = "".join(f"    {line}".rstrip() + "\n" for line in shown.splitlines())
    return f"{HEAD}{steps}\nWhat the first run said at its end:\n\n{quoted}"


def mistakes(outcomes: Mapping[str, Outcome]) -> str:
    """What was wrong, and the line that says so."""
    rows = "".join(f"| {MISTAKES[name].what} | `{_cell(outcome.line)}` |\n" for name, outcome in outcomes.items())
    return f"{MISTAKES_HEAD}| what was wrong | what is said |\n|---|---|\n{rows}"


def _cell(line: str) -> str:
    return line.strip().replace("|", "\\|")
