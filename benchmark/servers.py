"""Which rows have, or had, an evaluation server, and what is known of its state: one table, `datasets/servers.csv`.

`list` shows the state; `leaderboards` adds what the servers ask of an archive. A state is what public word supports:
alive (somebody used it at the date `seen`), moved (alive under a new address), closed, or unconfirmed (nothing is known
since `seen`). A row without an entry never had a server.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from types import MappingProxyType

TABLE = Path(__file__).parent / "datasets" / "servers.csv"
STATES = ("alive", "moved", "closed", "unconfirmed")
NO_SERVER = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerState:
    """One server.

    key: its short name. rows: patterns of the rows that it is for. state: one of `STATES`. checked: the day on which we
    looked it up. seen: the day of the latest public word on it, "" for none. address: where it is, or was.
    evidence: what is known, with its source.
    """

    key: str
    rows: tuple[str, ...]
    state: str
    checked: str
    seen: str
    address: str
    evidence: str

    def is_for(self, row_name: str) -> bool:
        """Whether it is the server of a row."""
        return any(fnmatchcase(row_name, pattern) for pattern in self.rows)

    def __str__(self) -> str:
        """The state in a few words: "closed", "alive (seen 2025-08-30)", "not confirmed since 2024-03-19"."""
        if self.state == "closed":
            return self.state
        if self.state == "unconfirmed":
            return f"not confirmed since {self.seen}" if self.seen else "not confirmed"
        return f"{self.state} (seen {self.seen})"


@cache
def states() -> Mapping[str, ServerState]:
    """All servers by their keys, in the order of the table."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        rows = [{**row, "rows": tuple(row["rows"].split())} for row in csv.DictReader(file)]
    return MappingProxyType({str(row["key"]): ServerState(**row) for row in rows})  # type: ignore[arg-type]


def state_of(row_name: str) -> ServerState | None:
    """The server of a row; None where there never was one."""
    return next((one for one in states().values() if one.is_for(row_name)), None)


def words_for(row_name: str) -> str:
    """The state of a row's server in a few words, "none" where there never was one."""
    found = state_of(row_name)
    return NO_SERVER if found is None else str(found)
