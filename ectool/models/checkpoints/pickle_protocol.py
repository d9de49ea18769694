"""Convert torch files of pickle protocols 4 and 5 to protocol 2, which ``weights_only`` reads.

The opcodes are rewritten one by one; nothing is unpickled here.
"""

from __future__ import annotations

import io
import pickle  # for the names of opcodes only
import pickletools
import shutil
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

_PICKLE = "data.pkl"
_NEWEST = 2
_DROPPED = ("FRAME", "PROTO")
_TEXTS = ("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8")
_BYTES = ("SHORT_BINBYTES", "BINBYTES", "BINBYTES8")
_GETS = ("BINGET", "LONG_BINGET", "GET")
_PUTS = ("BINPUT", "LONG_BINPUT", "PUT", "MEMOIZE")


def plain_protocol(path: Path) -> Path | IO[bytes]:
    """Return a torch file unchanged, or a copy in memory whose pickle has protocol 2.

    Cost: if its pickle has a newer protocol, the file is read again and kept in memory; the same if
    its suffix is not that of a torch file.
    """
    # By this suffix alone, torch 2.15 takes a file for one of safetensors.
    unchanged = io.BytesIO(path.read_bytes()) if path.suffix == ".safetensors" else path
    if not zipfile.is_zipfile(path):
        return unchanged
    with zipfile.ZipFile(path) as archive:
        name = next((n for n in archive.namelist() if n.endswith(f"/{_PICKLE}")), None)
        content = b"" if name is None else archive.read(name)
        if content[:1] != pickle.PROTO or content[1] <= _NEWEST:
            return unchanged
        copy = io.BytesIO()
        with zipfile.ZipFile(copy, "w", zipfile.ZIP_STORED) as target:
            for entry in archive.namelist():
                with archive.open(entry) as old, target.open(entry, "w", force_zip64=True) as new:
                    if entry == name:
                        new.write(to_protocol_2(content))
                    else:
                        shutil.copyfileobj(old, new)
    copy.seek(0)
    return copy


def to_protocol_2(content: bytes) -> bytes:
    """Return a pickle in protocol 2.

    The module and name on the stack before `STACK_GLOBAL` become `GLOBAL`; texts from the memo are
    repeated. Opcodes without an equivalent in protocol 2 stay, and the reader refuses them.
    """
    return pickle.PROTO + bytes([_NEWEST]) + b"".join(data for _, data in _rewritten(content))


def _rewritten(content: bytes) -> list[tuple[str | None, bytes]]:
    """Return (text or None, bytes) of every opcode."""
    written: list[tuple[str | None, bytes]] = []
    memo: dict[int, str] = {}
    count = 0
    for code, value, raw in _opcodes(content):
        if code in _DROPPED:
            continue
        if code in _TEXTS:
            written.append((str(value), _text(str(value))))
        elif code in _BYTES and isinstance(value, bytes):
            written.append((None, _encoded(value)))
        elif code == "BYTEARRAY8" and isinstance(value, bytearray):
            made = pickle.GLOBAL + b"builtins\nbytearray\n" + _encoded(bytes(value))
            written.append((None, made + pickle.TUPLE1 + pickle.REDUCE))
        elif code in _PUTS:
            number = count if code == "MEMOIZE" else int(str(value))
            count += 1
            text = written[-1][0]
            if text is None:
                written.append((None, pickle.LONG_BINPUT + struct.pack("<I", number)))
            else:
                memo[number] = text
        elif code in _GETS and int(str(value)) in memo:
            text = memo[int(str(value))]
            written.append((text, _text(text)))
        elif code == "STACK_GLOBAL":
            (module, _), (name, _) = written[-2:]
            del written[-2:]
            written.append((None, pickle.GLOBAL + f"{module}\n{name}\n".encode()))
        else:
            written.append((None, raw))
    return written


def _opcodes(content: bytes) -> Iterator[tuple[str, object, bytes]]:
    """Yield name, argument and bytes of every opcode."""
    found = list(pickletools.genops(content))
    ends = [position or 0 for _, _, position in found[1:]] + [len(content)]
    for (code, value, position), end in zip(found, ends, strict=True):
        yield code.name, value, content[position:end]


def _text(text: str) -> bytes:
    data = text.encode("utf-8", "surrogatepass")
    return pickle.BINUNICODE + struct.pack("<I", len(data)) + data


def _encoded(data: bytes) -> bytes:
    """Return opcodes that make bytes in protocol 2, which has no opcode for them."""
    text, name = _text(data.decode("latin-1")), _text("latin-1")
    return pickle.GLOBAL + b"_codecs\nencode\n" + text + name + pickle.TUPLE2 + pickle.REDUCE
