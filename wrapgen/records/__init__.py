"""Reading recorded items back, whatever the datastore: each key once, by precedence.

Knows records and where they are kept; not how they come to be (that is the generated wrapper's) and not how
the platform is reached (a `RecordStore` is handed in).
"""

from wrapgen.records.collected import Collected, RecordCounts
from wrapgen.records.objects import RecordStore
from wrapgen.records.reading import is_folder, is_queue, needs_platform, open_records, resolved, shown

__all__ = [
    "Collected",
    "RecordCounts",
    "RecordStore",
    "is_folder",
    "is_queue",
    "needs_platform",
    "open_records",
    "resolved",
    "shown",
]
