"""Text from outside for people: it is shown, and nothing runs it.

A file name, a class or the message of a library may hold codes that move the cursor of a terminal,
change its title or clipboard, or turn the direction of the text after it.
"""

from __future__ import annotations

import re

LIMIT = 500
"""Maximum number of characters of a message."""
_GAP = " … "
_END_SHARE = 0.4
"""Share of a long message that is kept from its end, where the fix stands."""
_ESCAPED = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0, DEL and C1
    "\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # direction, invisible
    "\ud800-\udfff\U000e0000-\U000e007f]"  # bytes of file names that are no text; tags
)


def visible(text: str, keep: str = "") -> str:
    r"""Return text with an escape, such as ``\x1b``, in place of each control character.

    Args:
        text: Any text.
        keep: Control characters that stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return _ESCAPED.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), text)


def one_line(text: str, limit: int = LIMIT) -> str:
    """Return text as one visible line; the middle of a long one is left out.

    Args:
        text: Any text; white space becomes single spaces.
        limit: Maximum number of characters.
    """
    line = visible(" ".join(_part(text, limit).split()))
    if len(line) <= limit:
        return line
    end = int(limit * _END_SHARE)
    return line[: limit - end - len(_GAP)] + _GAP + line[-end:]


def _part(text: str, limit: int) -> str:
    """Return what can be seen of a text of millions of characters."""
    return text if len(text) <= 4 * limit else text[: 2 * limit] + _GAP + text[-2 * limit :]


def _escape(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name
        code -= 0xDC00
    form = "\\x{:02x}" if code <= 0xFF else "\\u{:04x}" if code <= 0xFFFF else "\\U{:08x}"
    return form.format(code)
