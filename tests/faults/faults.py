# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All faults, by name."""

from __future__ import annotations

from .answers import EndlessAnswer, FullBeforeRename, HangingHash
from .cancels import CancelByRunner, KillWorker
from .fault import Fault
from .machine_faults import (
    Clock,
    CutLine,
    DiskFull,
    KillController,
    KillModule,
    KillPlaybook,
    KillReceiver,
    KillSender,
    KillSession,
    PowerOff,
    RestartDaemon,
    SecondRun,
    StallLine,
)
from .source_faults import (
    DeleteImage,
    DeleteMarker,
    OverwriteImage,
    RenameInCase,
    ReplaceImage,
    ReplaceKernel,
    RewriteMarker,
    TruncateImage,
)
from .withdrawals import WithdrawByName

FAULTS: dict[str, type[Fault]] = {
    fault.name: fault
    for fault in (
        KillModule,
        KillSender,
        KillReceiver,
        KillSession,
        KillController,
        KillPlaybook,
        KillWorker,
        CancelByRunner,
        SecondRun,
        CutLine,
        StallLine,
        DiskFull,
        FullBeforeRename,
        HangingHash,
        EndlessAnswer,
        Clock,
        RestartDaemon,
        PowerOff,
        ReplaceImage,
        OverwriteImage,
        TruncateImage,
        DeleteImage,
        DeleteMarker,
        RewriteMarker,
        ReplaceKernel,
        RenameInCase,
        WithdrawByName,
    )
}
