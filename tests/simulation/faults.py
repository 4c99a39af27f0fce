"""What may go wrong, and how often."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass
class Faults:
    """Shares at which things go wrong; a seed gives some of them a number, and the others stay 0."""

    refused: float = 0  # connections of the runner
    lost_before: float = 0
    lost_after: float = 0
    late: float = 0  # a call that its caller has given up is executed all the same
    twice: float = 0
    status: float = 0  # 429, 500, 502, 503, 504 of the platform
    page: float = 0  # HTML, or nothing, with status 200
    key_expires: float = 0
    worker_killed: float = 0
    kill: float = 0  # the runner, at any effect
    power: float = 0  # that a kill is a power cut
    full_disk: float = 0
    rot: float = 0  # a byte of the spool, between sessions
    clock_jump: float = 0
    two_runners: float = 0
    slow: float = 0  # an item, a store
    target_status: float = 0
    target_lost: float = 0
    target_page: float = 0
    target_poison: float = 0
    store_status: float = 0
    store_lost: float = 0

    @classmethod
    def chosen(cls, random) -> Faults:
        """A few kinds of faults, more or less often."""
        made = cls()
        names = [one.name for one in fields(cls)]
        for name in random.sample(names, random.choice((0, 1, 2, 3, 4, 6, 10))):
            setattr(made, name, random.choice((0.02, 0.1, 0.3)))
        if random.random() < 0.2:
            made.slow = 0.5
        if random.random() < 0.5:
            made.kill, made.power = random.choice((0.1, 0.3, 0.6)), random.choice((0.0, 0.5, 1.0))
        return made


NONE = Faults()


def lose_power(folder, os, random) -> None:
    """Keeps of each log what was synced, and of the rest none, a part or all, perhaps with a tear.

    Args:
        folder: of the run.
        os: the disk, which knows what was synced.
        random: chooses.
    """
    for file in sorted(folder.path.glob("*.jsonl")):
        data, synced = bytearray(file.read_bytes()), os.synced.get(file.name, 0)
        del data[random.choice((synced, random.randint(synced, max(synced, len(data))), len(data))) :]
        if random.random() < 0.5 and len(data) > synced:
            at = random.randrange(synced, len(data))
            data[at : at + 64] = bytes(len(data[at : at + 64]))
        file.write_bytes(data)
        os.synced[file.name] = len(data)
