"""Seeded damage to the bytes of a file: blind, and by someone who knows the format.

Every function takes the sound bytes and a generator and returns damaged ones, the same for the same seed.
"""

from __future__ import annotations

import io
import json
import pickle
import random
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

ESCAPE = "outside-of-it"
"""Part of every path that leads out; nothing of that name may be opened."""
OUTSIDE = (f"../../../../{ESCAPE}/secret", f"/dev/shm/{ESCAPE}/secret", f"..\\{ESCAPE}")
ODD_NUMBERS = (
    True,
    False,
    -1,
    0,
    1,
    7,
    2**31,
    2**53,
    2**63,
    2**64,
    -(2**40),
    10**400,
    0.5,
    -0.0,
    1e-320,
    1e308,
    -1e308,
)
ODD_MASKS = (
    {"counts": "", "size": [1, 1]},
    {"counts": [10**9], "size": [10**5, 10**5]},
    {"counts": "o" * 40, "size": [4, 4]},
    {"size": [0, 0], "counts": ""},
    {"size": [-1, 5], "counts": "1"},
)
ODD_LISTS: tuple[Any, ...] = ([], {}, [[]], [0], [[0, 0]], [1e308] * 8, [0.0] * 5, [10**6] * 4)
ODD_TEXTS = ("", "0", "x", "\x00", "ü" * 300, "x" * 10_000, *OUTSIDE)
ODD_VALUES = (None, *map(float, ("nan", "inf", "-inf")), *ODD_NUMBERS, *ODD_MASKS, *ODD_LISTS, *ODD_TEXTS)
ODD_FLOATS = ("", "nan", "NaN", "inf", "-inf", "1e309", "-1", "0", "1e-400", "0x10", "1_000", "1,2", "\u0663", "1;2")
ODD_SIGNS = ("abc", "None", '"', "'", " ", "\t", "#", "%", "\0", "\ufeff")
ODD_FIELDS = (*ODD_FLOATS, *ODD_SIGNS, *OUTSIDE)
ODD_WORDS = (*(one.encode() for one in ODD_FIELDS), b"\xff\xfe", b"9" * 18, b"9" * 400)
DEEP = 50_000
EXTRAS = (b"tEXt", b"zTXt", b"iCCP", b"tRNS", b"PLTE", b"acTL", b"xxXx", b"XXXX", b"gAMA", b"sBIT", b"bKGD")

Damage = Callable[[bytes, random.Random], bytes]


def blindly(data: bytes, rng: random.Random) -> bytes:
    """Bytes flipped, left out, inserted, repeated, swapped, or the end cut off."""
    damaged = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        place = rng.randrange(len(damaged) + 1)
        length = rng.choice((1, 1, 2, 4, 16, 200))
        match rng.randrange(6):
            case 0 if damaged:
                damaged[min(place, len(damaged) - 1)] ^= 1 << rng.randrange(8)
            case 1:
                del damaged[place : place + length]
            case 2:
                damaged[place:place] = rng.randbytes(length)
            case 3:
                damaged[place:place] = damaged[place : place + length]
            case 4:
                damaged[place : place + length] = rng.randbytes(len(damaged[place : place + length]))
            case _:
                damaged = damaged[: rng.choice((place, len(damaged) - 1, len(damaged) // 2))]
    return bytes(damaged)


def json_values(data: bytes, rng: random.Random) -> bytes:
    """Values of a document swapped for others, left out, doubled, or nested beyond reason."""
    try:
        document = json.loads(data)
    except ValueError:
        return blindly(data, rng)
    if rng.random() < 0.02:
        return (b"[" if rng.random() < 0.5 else b'{"a":') * DEEP + rng.choice((b"", b"]" * DEEP))
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        holders = list(_holders(document, rng))
        if not holders:
            return json.dumps(rng.choice(ODD_VALUES)).encode()
        holder, key = rng.choice(holders)
        match rng.randrange(5):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, list):
                holder.insert(key, holder[key])
            case 2:
                other, its_key = rng.choice(holders)
                holder[key] = json.loads(json.dumps(other[its_key])) if its_key in other or _has(other, its_key) else 0
            case _:
                holder[key] = deepcopy(rng.choice(ODD_VALUES))
    return json.dumps(document, ensure_ascii=rng.random() < 0.5).encode("utf-8", "replace")


def _has(holder: Any, key: Any) -> bool:
    return isinstance(holder, list) and isinstance(key, int) and key < len(holder)


def _holders(value: Any, rng: random.Random) -> Iterator[tuple[Any, Any]]:
    """(container, key) of values on a random way down, so that rare fields are met as often as frequent ones."""
    while isinstance(value, list | dict) and value:
        keys = list(range(len(value))) if isinstance(value, list) else list(value)
        for key in rng.sample(keys, min(3, len(keys))):
            yield value, key
        value = value[rng.choice(keys)]


def png_chunks(data: bytes, rng: random.Random) -> bytes:
    """Chunks left out, doubled, exchanged or refilled, with right checksums for once."""
    chunks = list(_chunks(data))
    if not chunks:
        return blindly(data, rng)
    place = rng.randrange(len(chunks))
    kind, content = chunks[place]
    match rng.randrange(7):
        case 0:
            del chunks[place]
        case 1:
            chunks.insert(place, (kind, content))
        case 2:
            other = rng.randrange(len(chunks))
            chunks[place], chunks[other] = chunks[other], chunks[place]
        case 3:
            chunks[place] = (kind, blindly(content, rng))
        case 4:
            chunks.insert(place, (rng.choice(EXTRAS), rng.randbytes(rng.choice((0, 1, 6, 300)))))
        case 5:
            chunks[0] = (chunks[0][0], _header(chunks[0][1], rng))
        case _:
            chunks = [(kind, _pixels(content, rng) if kind == b"IDAT" else content) for kind, content in chunks]
    return _joined(data[:8], chunks)


def without_extras(data: bytes) -> bytes:
    """A PNG without the chunks that a decoder may leave aside; checksums as they should be for these chunks alone."""
    kept = [data[:8]]
    place = 8
    while place + 12 <= len(data):
        end = place + 12 + struct.unpack_from(">I", data, place)[0]
        if data[place + 4 : place + 5].isupper() or end > len(data):
            kept.append(data[place:end])
        place = end
    return b"".join(kept)


def _joined(start: bytes, chunks: list[tuple[bytes, bytes]]) -> bytes:
    packed = (struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(c, zlib.crc32(k))) for k, c in chunks)
    return start + b"".join(packed)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 8
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        yield data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        place += 12 + length


def _header(content: bytes, rng: random.Random) -> bytes:
    """Another width, height, depth, colour type, or interlacing."""
    if len(content) != 13:
        return content
    fields = list(struct.unpack(">IIBBBBB", content))
    place = rng.randrange(7)
    odd_sizes = (0, 1, 63, 65, 1000, 60_000, 2**31 - 1, 2**32 - 1)
    fields[place] = rng.choice(odd_sizes) if place < 2 else rng.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))
    return struct.pack(">IIBBBBB", *fields)


def _pixels(content: bytes, rng: random.Random) -> bytes:
    """Other image data: too short, too long, far too long, filtered, or no deflate stream at all."""
    try:
        rows = zlib.decompress(content)
    except zlib.error:
        return content
    match rng.randrange(6):
        case 0:
            rows = rows[: rng.randrange(len(rows) + 1)]
        case 1:
            rows += rng.randbytes(rng.choice((1, 100, 10_000)))
        case 2:
            rows = b"\0" * rng.choice((10_000, 100_000, 1_000_000, 50_000_000))
        case 3:
            return content[:-4] + rng.randbytes(4)
        case 4:
            rows = blindly(rows, rng)
        case _:
            return rng.randbytes(len(content))
    return zlib.compress(rows)


def text_rows(data: bytes, rng: random.Random) -> bytes:
    """Fields and lines swapped for others, left out, doubled, or endless."""
    lines = data.split(b"\n")
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        place = rng.randrange(len(lines))
        match rng.randrange(8):
            case 0 if len(lines) > 1:
                del lines[place]
            case 1:
                lines.insert(place, lines[place])
            case 2:
                lines[place] += rng.choice((b"\r", b" ", b",", b",1", b"\t1", b";", b"\x0b", b"\x85"))
            case 3:
                lines.insert(place, rng.choice(ODD_WORDS))
            case 4 if rng.random() < 0.1:
                lines[place] = rng.choice((b"1," * 100_000, b"9" * 1_000_000, b"(" * 100_000))
            case 5 if b"<" in data:
                return _entities(data, rng)
            case _:
                words = re.split(rb"([,\s=<>]+)", lines[place])
                words[rng.randrange(len(words))] = rng.choice(ODD_WORDS)
                lines[place] = b"".join(words)
    return b"\n".join(lines)


def _entities(data: bytes, rng: random.Random) -> bytes:
    """An XML that includes other files, or grows without end."""
    levels = b"".join(b'<!ENTITY e%d "%s">' % (n, b"&e%d;" % (n - 1) * 10) for n in range(1, 12))
    bomb = b'<!DOCTYPE a [<!ENTITY e0 "x">' + levels + b"]>"
    outside = b'<!DOCTYPE a [<!ENTITY e11 SYSTEM "file://' + OUTSIDE[1].encode() + b'">]>'
    head = rng.choice((bomb, outside))
    body = re.sub(rb"^\s*<\?xml[^>]*\?>", b"", data)
    return head + re.sub(rb">([^<>]+)<", b">&e11;<", body, count=rng.choice((0, 1)))


def pickle_programs(data: bytes, rng: random.Random) -> bytes:
    """Instructions that make objects, call functions, or repeat themselves; or values of other kinds."""
    target = OUTSIDE[1]
    attacks = (
        b"cos\nsystem\n(S'touch " + target.encode() + b"'\ntR.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x05touch\x85R.",
        b"(S'touch " + target.encode() + b"'\nios\nsystem\n.",
        b"cbuiltins\neval\n(S'open(\"" + target.encode() + b"\",\"w\")'\ntR.",
        b"\x80\x02ccopy_reg\n_reconstructor\n(c__main__\nX\nc__builtin__\nobject\nNtR.",
        b"\x80\x02\x82\x01.", b"P1\n.", b"\x80\x05\x95\xff\xff\xff\xff\xff\xff\xff\x7f.", b"\x80\x04\x97.",
        b"(" * 100_000 + b".", b"]" + b"h\x00" * 10 + b".", b"]q\x00h\x00a.", b"]\x94" + b"(h\x00h\x00e" * 30 + b".",
        b"(" + b"]" * 1000 + b"l" + b"0" * 10 + b".", b"\x80\x02]r\xff\xff\xff\x7f.", b"\x8b\xff\xff\xff\x7f1.",
        b"X\xff\xff\xff\xff1.", b"\x8d" + b"\xff" * 8 + b".", b"I" + b"9" * 6000 + b"\n.", b"(" + b"Kx2" * 20 + b"d.",
    )  # fmt: skip
    match rng.randrange(4):
        case 0:
            return rng.choice(attacks)
        case 1:
            place = rng.randrange(len(data) + 1)
            return data[:place] + rng.choice(attacks) + data[place:]
        case 2:
            changed = json_values(json.dumps(pickle.loads(data)).encode(), rng)
            value = [] if changed.startswith((b"[[[", b'{"a":{"a"')) else json.loads(changed)
            return pickle.dumps(value, protocol=rng.randrange(6))
        case _:
            return blindly(data, rng)


def zip_members(data: bytes, rng: random.Random) -> bytes:
    """Members renamed, doubled, linked, emptied, encrypted or damaged, or a directory that lies."""
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        members = [(one, source.read(one)) for one in source.infolist()]
    buffer = io.BytesIO()
    victim = rng.randrange(len(members))
    kind = rng.randrange(9)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for place, (info, content) in enumerate(members):
            name, attributes = info.filename, 0o644 << 16
            if place == victim:
                name, attributes, content = _renamed(name, content, kind, rng)
            entry = zipfile.ZipInfo(name)
            entry.external_attr = attributes
            target.writestr(entry, content, rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))
    packed = bytearray(buffer.getvalue())
    if kind == 7:
        entries = [match.start() for match in re.finditer(rb"PK\x01\x02", packed)]
        offset = rng.choice((4, 6, 8, 10, 16, 20, 24, 28, 30, 34, 42))
        place = rng.choice(entries) + offset
        packed[place : place + 2] = rng.choice((b"\0\0", b"\1\0", b"\xff\xff", rng.randbytes(2)))
    return blindly(bytes(packed), rng) if kind == 8 else bytes(packed)


def _renamed(name: str, content: bytes, kind: int, rng: random.Random) -> tuple[str, int, bytes]:
    plain = 0o644 << 16
    match kind:
        case 0:
            return rng.choice(OUTSIDE) + name.rpartition("/")[2], plain, content
        case 1:
            return name, (stat.S_IFLNK | 0o777) << 16, OUTSIDE[1].encode()
        case 2:
            return (
                rng.choice((f"./{name}", f"a//{name}", f"{name}/x", name.upper(), f"x/{name}", "")) or "a",
                plain,
                content,
            )
        case 3:
            return name, plain, b"\0" * rng.choice((0, 1, 20_000_000))
        case 4:
            return name, plain, blindly(content, rng)
        case 5:
            return f"__MACOSX/._{name}", plain, content
    return name, plain, content


DAMAGES: dict[str, tuple[Damage, ...]] = {
    "json": (json_values, json_values, blindly),
    "png": (png_chunks, png_chunks, blindly),
    "text": (text_rows, text_rows, blindly),
    "pickle": (pickle_programs, pickle_programs, blindly),
    "matlab": (blindly,),
    "zip": (zip_members, zip_members, blindly),
}
