"""What people see of text from outside has no control characters, and is not too long."""

from __future__ import annotations

import unicodedata

from ectool.shown_text import LIMIT, one_line, visible

HOSTILE = (
    "\x1b[2J\x1b]8;;http://x\x07link\x1b]8;;\x07",
    "\x1b]52;c;aGk=\x07",
    "a\rb\bc",
    "\u202egnp.exe",
    "\x9b31m",
    "a\u2028b",
    "\udcff",
    "\U000e0041",
)
HARMLESS = ("Große Straße", "日本語", "👩\u200d🔬", "می\u200cخواهم", "a[b]", "100 %")


def test_no_control_character_is_left():
    for number in range(0x110000):
        letter = chr(number)
        kind = unicodedata.category(letter)
        if kind in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(letter) in (
            *("LRE", "RLE", "LRO", "RLO", "PDF"),
            *("LRI", "RLI", "FSI", "PDI"),
        ):
            assert visible(letter) != letter
            assert visible(letter).isascii()


def test_escapes_name_the_character():
    assert visible("a\x1b[0m\x9b\u202e\udcff\U000e0041\n") == (
        r"a\x1b[0m\x9b\u202e\xff\U000e0041\x0a"
    )
    assert visible("a\nb\x1b", "\n") == "a\nb\\x1b"


def test_text_of_people_is_unchanged():
    for text in HARMLESS:
        assert visible(text) == one_line(text) == text


def test_messages_are_one_line_of_limited_length():
    for text in HOSTILE:
        assert one_line(f"a{text}\n\nb").isprintable()
    long = "begin " + "x" * 10_000_000 + " end"
    for text in (long, "\x1b" * 10_000_000, "a b " * 1000):
        line = one_line(text)
        assert len(line) == LIMIT
        assert " … " in line
    assert one_line(long)[:7] + one_line(long)[-4:] == "begin x end"
    assert one_line("x" * LIMIT) == "x" * LIMIT
