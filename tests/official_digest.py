"""The digest of a drawn input, by which a test knows that frozen output belongs to it; needs no official tool."""

from __future__ import annotations

import dataclasses
import hashlib
import json

from phrase_cases import FlickrCase, PhraseCutCase


def digest(case: PhraseCutCase | FlickrCase) -> str:
    """SHA-256 of the case, which is too long to be stored."""
    return hashlib.sha256(json.dumps(dataclasses.asdict(case), sort_keys=True).encode()).hexdigest()
