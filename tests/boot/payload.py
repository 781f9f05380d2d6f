# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients boot here: Debian's cloud kernel, small images, and an initrd of busybox with the collection's hook."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.lab.fleet import CHECKOUT
from tests.lab.images import build_image, write_programs
from tests.lab.process import STANDARD_PATH, LabError, find_program
from tests.lab.tree import AssetsTree

KERNEL_FILES = CHECKOUT / ".cache" / "boot" / "kernel"  # an unpacked package, see prepare_boot of ./dev
HOOK = CHECKOUT / "roles" / "netboot_boot_menu" / "files" / "live-boot" / "9991-netboot-fallback.sh"
FIRMWARE = {
    "ipxe": Path("/usr/lib/ipxe/undionly.kpxe"),
    "ipxe-qemu": Path("/usr/lib/ipxe/qemu/efi-virtio.rom"),
    "ovmf": Path("/usr/share/OVMF/OVMF_CODE.fd"),
}
PROGRAMS = ("qemu-system-x86_64", "dnsmasq", "nft", "cpio", "busybox", "nginx", "ip", "unshare", "nsenter")
SIZE = 4_000_000  # bytes of a squashfs

_MODULES = (
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci",
    "net/core/failover",
    "drivers/net/net_failover",
    "drivers/net/virtio_net",
    "drivers/block/loop",
    "fs/squashfs/squashfs",
)

# Like live-boot: an address by DHCP, `wget URL -O FILE`, a mount. While the URL `hold` exists, it waits before wget.
_INIT = r"""#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmp /tmp
say() { echo "CLIENT $*" > /dev/console; }
exec > /dev/console 2>&1
say "kernel $(uname -r) $(cat /proc/cmdline)"
for module in $(cat /modules); do insmod "/lib/$module.ko"; done
for word in $(cat /proc/cmdline); do
  case "$word" in fetch=*) url="${word#fetch=}" ;; hold=*) hold="${word#hold=}" ;; esac
done
n=0; while [ ! -e /sys/class/net/eth0 ] && [ "$n" -lt 50 ]; do sleep 0.2; n=$((n + 1)); done
ip link set eth0 up
echo '#!/bin/sh' > /tmp/up
echo '[ "$1" = bound ] && ip addr add "$ip/24" dev eth0 && ip route add default via "$router"' >> /tmp/up
chmod +x /tmp/up
udhcpc -i eth0 -s /tmp/up -q -n -t 10 > /dev/null 2>&1 || say "no address"
if [ -n "$hold" ]; then
  while wget -q -O /tmp/hold "$hold"; do say holding; sleep 1; done
fi
. /netboot-fallback.sh
if ! wget "$url" -O /tmp/root.squashfs; then say "FETCH FAILED"; poweroff -f; fi
if mount -o loop,ro -t squashfs /tmp/root.squashfs /mnt && cat /mnt/srv/* > /dev/null; then
  say "BOOTED $(cat /mnt/etc/issue)"
else
  say "MOUNT FAILED"
fi
poweroff -f
"""


def missing() -> list[str]:
    """Names of what this machine lacks; empty if clients can be booted."""
    path = f"{os.environ['PATH']}:{STANDARD_PATH}"
    found = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    found += [name for name, file in FIRMWARE.items() if not file.exists()]
    if not list(KERNEL_FILES.glob("boot/vmlinuz-*")):
        found.append("a kernel")
    return found


def kernel_version() -> str:
    """The version of the kernel that was fetched."""
    for file in sorted(KERNEL_FILES.glob("boot/vmlinuz-*")):
        return file.name.removeprefix("vmlinuz-")
    raise LabError(f"there is no kernel below {KERNEL_FILES}: ./dev boot fetches one")


def add_kernel(tree: AssetsTree) -> str:
    """Put the kernel and its initrd into a tree. Returns its version."""
    version = kernel_version()
    directory = tree.root / "kernels" / version
    directory.mkdir(parents=True)
    shutil.copy(KERNEL_FILES / "boot" / f"vmlinuz-{version}", directory / "vmlinuz")
    with tempfile.TemporaryDirectory(prefix="netboot-boot-") as name:
        _write_initrd(Path(name), version, directory / "initrd")
    (tree.root / "kernels" / "latest-kernel-version.json").write_text(json.dumps({"version": version}))
    return version


def _write_initrd(root: Path, version: str, target: Path) -> None:
    for place in ("bin", "dev", "proc", "sys", "mnt", "tmp", "lib"):
        (root / place).mkdir()
    busybox = find_program("busybox", "busybox-static")
    shutil.copy(busybox, root / "bin" / "busybox")
    shutil.copy(HOOK, root / "netboot-fallback.sh")
    modules = []
    for module in _MODULES:
        file = KERNEL_FILES / "lib" / "modules" / version / "kernel" / f"{module}.ko"
        if file.exists():  # the others are built in
            shutil.copy(file, root / "lib" / file.name)
            modules.append(file.stem)
    (root / "modules").write_text(" ".join(modules))
    (root / "init").write_text(_INIT)
    (root / "init").chmod(0o755)
    names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    with target.open("wb") as output:
        subprocess.run(
            [find_program("cpio", "cpio"), "-o", "-H", "newc", "--quiet"],
            input=names.encode(),
            stdout=output,
            cwd=root,
            check=True,
        )


def add_image(tree: AssetsTree, name: str, text: str, *, version: str, mtime: int, stated: bool = True) -> None:
    """Put an image into a tree, or replace it there, that says *text* once it has booted.

    With *stated*, its marker states its hash. The old marker is removed first and the new one written last, as in every
    upload.
    """
    image = tree.image(name)
    image.marker.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="netboot-boot-") as directory:
        root = Path(directory)
        (root / "etc").mkdir()
        (root / "etc" / "issue").write_text(text + "\n")
        write_programs(root / "srv", size=SIZE, seed=mtime)
        build_image(image.squashfs, root)
    states = {"version": version}
    if stated:
        states["sha256"] = hashlib.sha256(image.squashfs.read_bytes()).hexdigest()
    image.marker.write_text(json.dumps(states) + "\n")
    for path in (image.squashfs, image.marker):
        os.utime(path, (mtime, mtime))
