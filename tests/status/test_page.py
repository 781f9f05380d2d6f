# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page, in a real headless Chromium: what it shows, sorts and filters, with 3 sites and with 300."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.lab.fleet import CHECKOUT
from tests.status.sample import sample

TEMPLATE = CHECKOUT / "roles" / "netboot_status" / "files" / "page.html"


class Browser:
    """Opens the page, runs something in it, and returns what that reported."""

    def __init__(self, program: str, directory: Path) -> None:
        self.program = program
        self.directory = directory

    def open(self, status: dict[str, Any], script: str = "", *, width: int = 1240) -> str:
        """Return the DOM after *script*, which may ``tell(...)``."""
        page = self.directory / "index.html"
        embedded = json.dumps(status).replace("<", "\\u003c")
        text = TEMPLATE.read_text(encoding="utf-8").replace("@STATUS@", embedded)
        helper = (
            "<pre id=told></pre><script>window.onerror = text => { told.textContent += 'ERROR ' + text; };"
            "const tell = value => { told.textContent += JSON.stringify(value) + '\\n'; };"
            "const type = (id, text) => { q(id).value = text; q(id).dispatchEvent(new Event('input')); };"
            "const names = () => [...document.querySelectorAll('tbody th')].map(one => one.textContent);"
            f"{script}</script>"
        )
        page.write_text(text.replace("</body>", f"{helper}</body>"), encoding="utf-8")
        run = subprocess.run(
            [
                self.program,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                f"--user-data-dir={self.directory / 'profile'}",
                f"--window-size={width},900",
                "--virtual-time-budget=5000",
                "--dump-dom",
                page.as_uri(),
            ],
            capture_output=True,
            text=True,
            timeout=100,
            check=True,
        )
        return run.stdout

    def told(self, status: dict[str, Any], script: str, *, width: int = 1240) -> list[Any]:
        found = re.search(r'<pre id="told">(.*?)</pre>', self.open(status, script, width=width), re.DOTALL)
        assert found
        text = found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        assert "ERROR" not in text
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    found = [path for path in map(shutil.which, ("chromium", "google-chrome", "chromium-headless-shell")) if path]
    if not found:
        pytest.skip("Chromium is not here; ./dev short installs it (Debian: apt-get install chromium-headless-shell)")
    return Browser(found[0], tmp_path)


def test_sorting_and_filters(browser: Browser) -> None:
    script = """
tell(names());
document.querySelectorAll('thead button')[0].click(); tell(names());
document.querySelectorAll('thead button')[0].click(); tell(names());
tell(document.querySelectorAll('thead th')[0].getAttribute('aria-sort'));
type('site', 'BER'); tell(names()); type('site', '');
type('imagestate', 'on_its_way'); tell(names()); type('imagestate', '');
type('image', 'no such image'); tell(names()); tell(!q('empty').hidden); type('image', '');
[...document.querySelectorAll('.tiles button')].find(one => one.textContent.includes('unreachable')).click();
tell(names()); tell(q('count').textContent);
"""
    assert browser.told(sample(3), script) == [
        ["chur", "bern", "basel"],
        ["basel", "bern", "chur"],
        ["chur", "bern", "basel"],
        "descending",
        ["bern"],
        ["bern"],
        [],
        True,
        ["chur"],
        "1 of 3 sites shown",
    ]


def test_three_hundred_sites_and_what_a_keyboard_reaches(browser: Browser) -> None:
    script = """
tell(names().length);
tell([...document.querySelectorAll('button, input, select, summary')].every(one => one.tabIndex === 0));
tell([...document.querySelectorAll('input, select')].every(one => one.labels.length === 1));
const details = document.querySelector('details'); details.open = true;
setTimeout(() => { tell(details.querySelectorAll('li').length); }, 50);
"""
    assert browser.told(sample(300), script) == [300, True, True, 8]


@pytest.mark.parametrize("width", [500, 1240])
def test_nothing_sticks_out_sideways(browser: Browser, width: int) -> None:
    """Chromium has no window narrower than 500 pixels; the layout for phones begins at 720."""
    script = "tell(document.documentElement.scrollWidth <= innerWidth);"
    assert browser.told(sample(300), script, width=width) == [True]


def test_texts_are_never_markup(browser: Browser) -> None:
    status = sample(3)
    status["sites"]["</script><img src=x onerror=tell(666)>"] = {
        **status["sites"]["bern"],
        "reason": "<b id=bold>bold</b>",
    }
    script = "tell(names().length); tell(document.getElementById('bold')); setTimeout(() => tell('end'), 100);"
    assert browser.told(status, script) == [4, None, "end"]


def test_contrast_in_light_and_dark() -> None:
    """WCAG AA: 4.5 to 1 for all text, on each of its backgrounds."""
    text = TEMPLATE.read_text(encoding="utf-8")
    parts = text.split("@media (prefers-color")[:2]
    light, dark = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})", part)) for part in parts)
    assert light.keys() == dark.keys()
    for colours in (light, dark):
        pairs = [(a, b) for a in ("text", "soft", "accent") for b in ("bg", "card")]
        pairs += [(kind, f"{kind}-bg") for kind in ("good", "wait", "bad", "info", "none")]
        pairs += [(kind, "card") for kind in ("good", "wait", "bad", "info")]
        for one, other in pairs:
            ratio = _contrast(colours[one], colours[other])
            assert ratio >= 4.5, f"{one} on {other}: {ratio:.2f}"


def _contrast(one: str, other: str) -> float:
    bright, dim = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_it_asks_no_network(browser: Browser) -> None:
    text = browser.open(sample(3))
    assert "default-src 'none'" in text
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", text)
