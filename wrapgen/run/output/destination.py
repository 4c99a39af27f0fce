"""Where the files of an output go: they stay, or each goes to a bucket when it is complete."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from wrapgen.errors import RunError, UsageError
from wrapgen.run.bucket import EXTRAS, Bucket, is_remote
from wrapgen.run.ledger.folder import errors_for, receipt_beside, report_beside


@dataclass(frozen=True)
class Destination:
    """The place of an output and of the files beside it.

    Args:
        path: the output as it is written here.
        prefix: the URL that all of them go below; empty: they stay.
    """

    path: Path
    prefix: str = ""

    def name_of(self, file: Path) -> str:
        """Where a file that is written beside the output is found when it is complete."""
        return f"{self.prefix}/{file.name}" if self.prefix else str(file)

    def publish(self, file: Path, confirm: Callable[[], None] = lambda: None) -> str:
        """Puts a complete file where it belongs, whole, or removes the one there where there is none.

        Args:
            file: as it was written.
            confirm: proves that the run is still this process's; asked where the file goes to a bucket.

        Returns:
            Its name there.

        Raises:
            TakenOver: another runner owns the run by now; what it published stays.
            OSError: it can't be written, or that can't be told.
        """
        if not self.prefix:
            return self.name_of(file)
        confirm()  # writing the file took its time
        bucket = Bucket(self.prefix)
        if file.exists():
            bucket.publish(file, file.name, confirm)
        else:
            bucket.remove(file.name)
        return self.name_of(file)

    def refuse_taken(self) -> None:
        """Makes sure that no object is where a new run's files go.

        Raises:
            UsageError: there is one.
            RunError: that can't be told.
        """
        if not self.prefix:
            return
        files = [self.path, errors_for(self.path), report_beside(self.path), receipt_beside(self.path)]
        try:
            taken = {file.name for file in files}.intersection(Bucket(self.prefix).names())
        except OSError as error:
            raise RunError(
                f"{self.prefix} can't be listed: {error.strerror or error}",
                hint="see that the bucket is there, and that its credentials may read, list and write",
            ) from error
        for name in sorted(taken):
            hint = "name another output, or add --fresh"
            raise UsageError(f"{self.prefix}/{name} exists and is not of a run here", hint=hint)


@contextmanager
def destination(output: str | Path) -> Iterator[Destination]:
    """Where an output goes that a user names; one in a bucket is written here first, while the block runs.

    Raises:
        UsageError: it is a URL that results can't be written to.
    """
    if not is_remote(output):
        yield Destination(Path(output))
        return
    url = str(output)
    prefix, _, name = url.rpartition("/")
    if EXTRAS[urlsplit(url).scheme] == "https":
        raise UsageError(f"results can't be written to {url}", hint="name a file, or s3://, gs:// or az://")
    if not name or not urlsplit(prefix).netloc:
        raise UsageError(f"{url} names no object", hint="such as s3://bucket/results/scores.jsonl")
    with TemporaryDirectory(prefix="wrapgen-output-") as folder:
        yield Destination(Path(folder) / name, prefix)
