"""How the letters of a file are stored: told by its first bytes, and by reading all of it once."""

from __future__ import annotations

import codecs
import io
import re
from typing import TextIO

from copyloom import InputError
from copyloom.sources import Source

WESTERN = "cp1252"
_NAMES = {"utf-8": "UTF-8", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16", "utf-32-le": "UTF-32", "utf-32-be": "UTF-32",
          WESTERN: "Windows-1252"}  # fmt: skip
# UTF-32 stands before UTF-16, whose mark its own begins with.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
)  # fmt: skip
_BLOCK = 2**20
_LATIN = "A-Za-zÀ-ÖØ-öø-ÿ"
_ODD = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f]|ÿ(?![a-z])"
    rf"|(?<=[a-zà-öø-ÿ])[À-ÖØ-ÞŠŒŽŸ](?=[a-zà-öø-ÿ])"
    rf"|(?<=[{_LATIN}])[‚ƒ„†‡ˆ‰‹‘“”•˜›¡¢£¤¥¦§¨ª«¬¯°±²³´µ¶¸¹º»¼½¾¿×÷](?=[{_LATIN}])"
)
"""What Western text hardly has: control characters, capitals and signs in the middle of words."""


def named(encoding: str) -> str:
    """Return what people call a codec."""
    return _NAMES.get(encoding, encoding)


def find_encoding(source: Source, given: str | None = None) -> str:
    """Return the codec of a text file: by its byte-order mark, else UTF-16 by its zeros, UTF-8, or Windows-1252.

    Parameters
    ----------
    source : Source
    given : str, optional
        The encoding that a person names; it is only checked.

    Raises
    ------
    InputError
        If it is none of these, the given one does not fit or is unknown, or the file is binary.
    """
    with source.open() as file:
        start = file.read(4096)
    marked = next((encoding for mark, encoding in _MARKS if start.startswith(mark)), None)
    encoding = _codec(given, marked) if given else marked or _without_mark(start) or "utf-8"
    wrong = _first_wrong_byte(source, encoding)
    if wrong is None:
        return encoding
    if given is None and encoding == "utf-8" and _is_western(source):
        return WESTERN
    advice = (
        "save it as UTF-8 text" if given else "save it as UTF-8 text, or name its encoding (--encoding cp1251, say)"
    )
    raise InputError(f"{source.name} is not a text file in {named(encoding)} (byte {wrong}); {advice}")


def open_letters(source: Source, encoding: str, newline: str | None = "") -> TextIO:
    """Return a file's letters from the start, without a byte-order mark; see `open` for `newline`."""
    stream = io.TextIOWrapper(source.open(), encoding=encoding, newline=newline)
    if stream.read(1) != "\ufeff":
        stream.seek(0)
    return stream


def _codec(given: str, marked: str | None) -> str:
    try:
        codec = codecs.lookup(given)
    except (LookupError, ValueError) as error:
        raise InputError(f"encoding {given!r} is unknown; give one such as utf-8, utf-16 or cp1252") from error
    if not codec._is_text_encoding:
        raise InputError(f"{given!r} is no encoding of texts; give one such as utf-8, utf-16 or cp1252")
    plain = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}.get(codec.name, codec.name)
    return marked if marked and marked[:6] == plain[:6] and codec.name in ("utf-16", "utf-32") else plain


def _without_mark(start: bytes) -> str | None:
    """UTF-16 if every other byte is nearly always 0, as in Western letters."""
    pairs = len(start) // 2
    first, second = start[: 2 * pairs : 2].count(0), start[1 : 2 * pairs : 2].count(0)
    if pairs < 4 or max(first, second) < 0.6 * pairs or min(first, second) > 0.05 * pairs:
        return None
    return "utf-16-le" if second > first else "utf-16-be"


def _first_wrong_byte(source: Source, encoding: str) -> int | None:
    """Where the file does not decode; None if all of it does.

    Raises
    ------
    InputError
        If it decodes to letters that no text holds.
    """
    decoder, before = codecs.getincrementaldecoder(encoding)(), 0
    with source.open() as file:
        while True:
            block = file.read(_BLOCK)
            kept = len(decoder.getstate()[0])
            try:
                letters = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                return before - kept + error.start
            if "\0" in letters:
                raise InputError(f"{source.name} is a binary file, not a text file, a CSV, Parquet or Excel file")
            if not block:
                return None
            before += len(block)


def _is_western(source: Source) -> bool:
    """Whether a file in an encoding of one byte a letter reads as Western words in Windows-1252."""
    letters = accented = signs = odd = 0
    with source.open() as file:
        while block := file.read(_BLOCK):
            try:
                text = block.decode(WESTERN)
            except UnicodeDecodeError:
                return False
            above = [letter for letter in text if letter > "\x7f"]
            signs += len(above)
            accented += sum(map(str.isalpha, above))
            letters += len(re.findall("[A-Za-z]", text))
            odd += len(_ODD.findall(text))
    return 10 * odd <= signs and accented <= 0.4 * (letters + accented)
