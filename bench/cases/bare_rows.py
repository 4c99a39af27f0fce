"""The same rows, batched, without anything around: bare_rows.py ROWS STORE, of a database or a file."""

import json
import sys
from itertools import islice
from pathlib import Path

rows, store = sys.argv[1:]

with Path(rows).open() as lines:
    if "://" not in store:
        with Path(store).open("w") as file:
            while batch := list(islice(lines, 1000)):
                file.write("".join(batch))
        sys.exit()

    import sqlalchemy as sa

    first = json.loads(next(lines))
    engine = sa.create_engine(store)
    columns = [sa.Column(name, sa.Text, primary_key=name == "key") for name in first]
    table = sa.Table("bare", sa.MetaData(), *columns)
    table.metadata.create_all(engine)
    batch = [first]
    while batch:
        with engine.begin() as connection:
            connection.execute(table.insert(), batch)
        batch = [json.loads(line) for line in islice(lines, 1000)]
