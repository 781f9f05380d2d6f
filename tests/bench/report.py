# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The output of a run: a table for the terminal, JSON, plots, and the part of PERFORMANCE.md between two marks."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.lab.process import LabError

from .measured import Measurement
from .results import Result

BEGIN, END = (
    "<!-- figures: begin (./dev bench --publish writes what is between these marks) -->",
    "<!-- figures: end -->",
)
PLOTS = {
    "deltas.svg": "A new build under a new name: what crosses the line, as a share of the image",
    "growth.svg": "Nothing to do: time, CPU and memory as work grows",
    "fan-out.svg": "One image to many caching servers: CPU of the netboot server",
}


def machine() -> dict[str, str]:
    """Describe the machine that it was measured on. It includes neither the machine's name nor any path."""
    found = {
        "processors": f"{os.cpu_count()} x {_processor()}",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "system": _system(),
        "Python": platform.python_version(),
    }
    for name, words in (
        ("ansible-core", ["ansible", "--version"]),
        ("rsync", ["rsync", "--version"]),
        ("OpenSSH", ["ssh", "-V"]),
        ("xdelta3", ["xdelta3", "-V"]),
        ("zstd", ["zstd", "--version"]),
        ("mksquashfs", ["mksquashfs", "-version"]),
    ):
        found[name] = _version(words)
    return found


def _processor() -> str:
    for row in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        if row.startswith("model name"):
            return " ".join(row.partition(":")[2].split())
    return platform.machine()


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:
        return "unknown"


def _version(words: Sequence[str]) -> str:
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "not there"
    found = re.search(r"\d+\.\d+[\w.]*", done.stdout + done.stderr)
    return found.group(0) if found else "unknown"


def table(results: Sequence[Result]) -> str:
    """The table of all ratios."""
    rows = [("row", "what", "ours", "other", "ratio", "target", "")]
    rows += [
        (one.row, one.what, one.ours or "-", one.theirs or "-", one.shown(one.ratio), _target(one), _verdict(one))
        for one in results
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    widths[1] = min(widths[1], 64)
    lines = []
    for row in rows:
        what = textwrap.wrap(row[1], widths[1]) or [""]
        lines.append(
            "  ".join(cell.ljust(width) for cell, width in zip((row[0], what[0], *row[2:]), widths, strict=True))
        )
        lines += [" " * (widths[0] + 2) + more for more in what[1:]]
    notes = [f"  row {one.row}, {one.what}: {one.note}" for one in results if one.note]
    return "\n".join([line.rstrip() for line in [lines[0], "-" * (sum(widths) + 12), *lines[1:]]] + ["", *notes])


def _target(one: Result) -> str:
    if one.target is None:
        return ""
    sign = "<=" if one.sense == "at most" else ">="
    value = f"{one.target * 100:g} %" if one.percent else f"{one.target:.2f}"
    return f"{sign} {value}"


def _verdict(one: Result) -> str:
    return {None: "", True: "met", False: "MISSED"}[one.met]


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write everything as JSON."""
    path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def markdown(measurements: Sequence[Measurement], plots: Sequence[str]) -> str:
    """The text for PERFORMANCE.md: each machine with the rows that were last measured there, then the plots."""
    parts = [_section(one) for one in measurements]
    parts += [f"![{PLOTS[name]}](docs/performance/{name})" for name in plots]
    return "\n\n".join(parts)


def _section(measured: Measurement) -> str:
    about = measured.machine
    versions = ", ".join(
        f"{name} {about[name]}" for name in about if name not in ("processors", "memory", "kernel", "system")
    )
    lines = [
        f"Measured on {about['processors']}, {about['memory']} of memory, {about['system']}, {about['kernel']};"
        f" {versions}.",
        "",
        *(f"Images, {one['compression']}: {_sizes(one)}." for one in measured.images),
        f"Made of: {measured.images[0]['origin']}.",
    ]
    if measured.results:
        lines += [
            "",
            "| row | what | this collection | the other | ratio | target | |",
            "|---|---|---|---|---|---|---|",
        ]
    for one in measured.results:
        cells = (
            one.row,
            one.what,
            one.ours or "-",
            one.theirs or "-",
            one.shown(one.ratio),
            _target(one),
            _verdict(one),
        )
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    notes = [f"- Row {one.row}, {one.what}: {one.note}." for one in measured.results if one.note]
    lines += ["", *notes] if notes else []
    return "\n".join(lines)


def _sizes(one: Mapping[str, Any]) -> str:
    return ", ".join(f"{build} {size / 1e6:.0f} MB" for build, size in one["bytes"].items())


def publish(document: Path, text: str, *, begin: str = BEGIN, end: str = END) -> None:
    """Put a text between the marks of a document. Raises LabError if it has none."""
    content = document.read_text(encoding="utf-8")
    before, found, rest = content.partition(begin)
    _old, found_end, after = rest.partition(end)
    if not found or not found_end:
        raise LabError(f"{document.name} has not the marks between which the figures go")
    document.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


def plot(directory: Path, results: Sequence[Result], growth: Mapping[str, Any] | None) -> list[str]:
    """Draw the plots that there are figures for; returns the file names. Raises LabError without matplotlib."""
    try:
        import matplotlib
    except ImportError as exc:
        raise LabError("matplotlib is not there: ./dev bench installs it below .cache/bench") from exc
    matplotlib.use("svg")
    # the same figures give the same file
    matplotlib.rcParams.update(
        {"svg.hashsalt": "netboot", "svg.fonttype": "none", "font.size": 9, "figure.autolayout": True}
    )
    directory.mkdir(parents=True, exist_ok=True)
    drawn = []
    deltas = [one for one in results if one.row == "3" and "shares" in one.figures]
    fans = [one for one in results if one.row == "5" and one.figures]
    if deltas:
        _plot_deltas(directory / "deltas.svg", deltas)
        drawn.append("deltas.svg")
    if growth:
        _plot_growth(directory / "growth.svg", growth)
        drawn.append("growth.svg")
    if fans:
        _plot_fan_out(directory / "fan-out.svg", fans[0].figures)
        drawn.append("fan-out.svg")
    return drawn


def _save(figure: Any, path: Path) -> None:
    import matplotlib.pyplot as plt

    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _plot_deltas(path: Path, deltas: Sequence[Result]) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(deltas), figsize=(2.6 * len(deltas) + 1.4, 3.2), squeeze=False, sharey=True)
    for axis, one in zip(axes[0], deltas, strict=True):
        shares = one.figures["shares"]
        names = list(reversed(list(shares)))
        bars = axis.barh(names, [shares[name] * 100 for name in names], color=[_colour(name) for name in names])
        axis.bar_label(bars, [f"{shares[name] * 100:.2f}" for name in names], padding=2, fontsize=7)
        axis.set_xscale("log")
        axis.set_xlim(right=600)
        axis.set_title(f"{one.figures['build']}, {one.figures['compression']}", fontsize=9)
        axis.set_xlabel("% of the image")
    _save(figure, path)


def _plot_growth(path: Path, growth: Mapping[str, Any]) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(10, 6))
    labels = {
        "sites": f"caching servers ({growth['images_of_sites']} images)",
        "images": f"images ({growth['sites_of_images']} caching servers)",
    }
    for row, series in zip(axes, ("sites", "images"), strict=True):
        for axis, key, title in zip(
            row[:2], ("seconds", "cpu_seconds"), ("wall, s", "CPU of both ends, s"), strict=True
        ):
            for peer, points in growth[series].items():
                axis.plot(
                    [one["count"] for one in points],
                    [one[key] for one in points],
                    "o-",
                    label=peer,
                    color=_colour(peer),
                )
            axis.set_title(title, fontsize=9)
        points = growth[series]["collection"]
        for key, name in (("controller_bytes", "controller"), ("server_bytes", "netboot server")):
            row[2].plot([one["count"] for one in points], [one[key] / 1e6 for one in points], "o-", label=name)
        row[2].set_title("peak memory of the collection, MB", fontsize=9)
        for axis in row:
            axis.set_xlabel(labels[series])
            axis.set_ylim(bottom=0)
            axis.grid(alpha=0.3)
            axis.legend(fontsize=7)
    _save(figure, path)


def _plot_fan_out(path: Path, figures: Mapping[str, Any]) -> None:
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(5, 3.2))
    for peer, costs in figures.items():
        points = sorted((int(count), cost["near_cpu_seconds"]) for count, cost in costs.items())
        axis.plot([one[0] for one in points], [one[1] for one in points], "o-", label=peer, color=_colour(peer))
    axis.set_xlabel("caching servers")
    axis.set_ylabel("CPU of the netboot server, s")
    axis.set_ylim(bottom=0)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    _save(figure, path)


def _colour(name: str) -> str:
    known = {"collection": "tab:blue", "seed": "tab:gray", "rsync -n": "tab:gray", "synchronize": "tab:brown"}
    return known.get(name, "tab:green")
