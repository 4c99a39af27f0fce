"""Power cuts on a real file system: a copy of its image, made after a call, is mounted and gone on with.

The image holds what the kernel wrote to the device so far, and nothing that was only in memory. As periodic
commits are off, that is what programs synced. Needs loop devices, and the right to mount.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import short_run
from going_on import Moment, expected_outputs, go_on
from numbers_page import publish
from opened_home import Known, open_again
from platform_life import Life
from system_calls import STRACE

KINDS = {
    "ext4, data=ordered": ("mkfs.ext4 -q", "commit=6000,data=ordered", 96),
    "ext4, data=writeback": ("mkfs.ext4 -q", "commit=6000,data=writeback", 96),
    "ext4, data=journal": ("mkfs.ext4 -q", "commit=6000,data=journal", 96),
    "ext3": ("mkfs.ext3 -q", "commit=6000", 96),
    "ext2, after fsck": ("mkfs.ext2 -q", "", 96),
    "xfs": ("mkfs.xfs -q", "", 320),
    "btrfs": ("mkfs.btrfs -q", "commit=300", 160),
}
"""File systems: what makes one, options of the mount, and megabytes. Those without tools here are skipped."""

STOPS = {"fdatasync": 17, "fsync": 16, "rename": 3, "write": 40, "unlink": 3}
"""Calls after which the run is killed, and how many there are of each in one thread at most."""


def why_not() -> str:
    """Why nothing can be mounted here; empty if it can."""
    if os.geteuid() != 0:
        return "not root"
    if not all(shutil.which(name) for name in ("mkfs.ext4", "e2fsck", "mount", "umount")):
        return "no mkfs.ext4, e2fsck, mount or umount"
    done = subprocess.run(["losetup", "-f"], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 and STRACE else done.stderr.strip() or "no strace"


pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(bool(why_not()), reason=f"no file system can be mounted: {why_not()}"),
]


class Device:
    """A file system in an image.

    Args:
        folder: for the image and where it is mounted.
        kind: of KINDS.
    """

    def __init__(self, folder: Path, kind: str) -> None:
        make, options, megabytes = KINDS[kind]
        if not shutil.which(make.split()[0]):
            pytest.skip(f"no {make.split()[0]}")
        self.kind = kind
        self._folder = folder
        self._options = f"loop,noatime,{options}".rstrip(",")
        self._empty = folder / "empty.img"
        with self._empty.open("wb") as file:
            file.truncate(megabytes << 20)
        subprocess.run([*make.split(), str(self._empty)], check=True)
        self.image = folder / "image"
        self.cut = folder / "cut"

    @contextmanager
    def mounted(self, image: Path, name: str) -> Iterator[Path]:
        """An image, mounted."""
        place = self._folder / name
        place.mkdir(exist_ok=True)
        done = subprocess.run(
            ["mount", "-o", self._options, str(image), str(place)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"an image can't be mounted: {done.stderr}")
        try:
            yield place
        finally:
            for _ in range(1000):  # a process that was killed may still hold it
                if subprocess.run(["umount", str(place)], capture_output=True, check=False).returncode == 0:
                    break
                time.sleep(0.01)

    @contextmanager
    def empty(self) -> Iterator[Path]:
        """An empty file system; `cut_power` copies it as it is on its device."""
        copy(self._empty, self.image)
        with self.mounted(self.image, "root") as place:
            shutil.rmtree(place / "lost+found", ignore_errors=True)
            os.sync()
            yield place

    def cut_power(self) -> None:
        """Keeps what is on the device now."""
        copy(self.image, self.cut)
        if "fsck" in self.kind:
            done = subprocess.run(
                ["e2fsck", "-fy", str(self.cut)], capture_output=True, text=True, check=False
            )
            assert done.returncode in (0, 1), done.stdout


def copy(source: Path, target: Path) -> None:
    """Copies an image without its holes."""
    subprocess.run(["cp", "--sparse=always", str(source), str(target)], check=True)


@pytest.fixture(params=KINDS)
def device(request: pytest.FixtureRequest, quick: Path) -> Device:
    """A file system."""
    return Device(quick, request.param)


def test_a_run_survives_power_cuts_of_a_device(device, quick):
    """Cut after each sync, rename and write, a run goes on to the same output."""
    calm = quick / "calm"
    calm.mkdir()
    outputs, cuts = expected_outputs(calm), 0
    for call, most in STOPS.items():
        for number in range(1, most + 1):
            told = cut_after(device, quick / "log", call, number)
            if told is None:
                continue
            moment = Moment()
            for line in map(json.loads, told.splitlines()):
                moment.ended += "ended" in line
                moment.sent |= dict.fromkeys(line.get("ids", ()), line.get("try", 0))
            with device.mounted(device.cut, "again") as place:
                shutil.rmtree(place / "lost+found", ignore_errors=True)
                go_on(moment, place, outputs)
            cuts += 1
    assert cuts > 40
    publish(f"power cuts of a device under a run ({device.kind})", cuts)


def cut_after(device: Device, log: Path, call: str, number: int) -> str | None:
    """Runs until a call and cuts the power; what had been told, or None where there was no such call."""
    assert STRACE is not None
    with device.empty() as place:
        inject = f"inject={call}:signal=SIGKILL:when={number}"
        words = [STRACE, "-f", "-qq", "-o", str(log), "-e", f"trace={call}", "-e", inject]
        program = [sys.executable, short_run.__file__, str(place)]
        done = subprocess.run([*words, *program], stdout=subprocess.PIPE, text=True, check=False)
        device.cut_power()
    return done.stdout if done.returncode else None


class CutLife(Life):
    """A platform of which a copy is made whenever something was acknowledged."""

    def __init__(self, folder: Path, device: Device, cuts: list[tuple[Known, Path]]) -> None:
        self._device = device
        self._cuts = cuts
        self._told: list[tuple[int, str, str, Any]] = []
        super().__init__(folder)

    def tell(self, kind: str, name: str, value: Any) -> None:
        """Notes a fact; cuts the power after one that was acknowledged."""
        self._told.append((0, kind, name, value))
        if kind == "is":
            self._device.cut_power()
            kept = self._device.cut.with_name(f"cut{len(self._cuts)}")
            self._device.cut.rename(kept)
            self._cuts.append((Known(list(self._told), {}), kept))


def test_a_platform_survives_power_cuts_of_a_device(device, quick):
    """Cut after each acknowledgement, a platform has whatever it acknowledged."""
    cuts: list[tuple[Known, Path]] = []
    with device.empty():
        life = CutLife(quick, device, cuts)
        try:
            for part in ("data", "settle", "accounts", "algorithm", "calls", "removal"):
                getattr(life, part)()
        finally:
            life.process.send_signal(signal.SIGTERM)
            assert life.process.wait(60) == 0
    for known, image in cuts:
        with device.mounted(image, "again") as place:
            open_again(known.at(0), place, known.last)
        image.unlink()
    assert len(cuts) > 20
    publish(f"power cuts of a device under a platform ({device.kind})", len(cuts))
