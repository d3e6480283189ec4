"""Spans are the text, letter for letter, cut where a reader would cut it, and none is too long or blank."""

import re

import pytest
import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st

from copyloom import InputError
from embeddings.spans import Span, spans

FAMILY = "👨\u200d👩\u200d👧"
"""One grapheme of five characters, 18 octets."""
PIECES = st.sampled_from(
    ["word", "Longer", "a", ".", "! ", " ", "  ", "\n", "\r\n", "\n\n", "\t", FAMILY, "🇩🇪", "e\u0301", "手机。",
     "\u200b", "\x85", "x" * 30]
)  # fmt: skip


def words(piece):
    return len(piece.split())


def octets(piece):
    return len(piece.encode())


def check(text, most, count):
    """Cut the text and check what must hold of any spans."""
    found = spans(text, most, count)
    assert "".join(span.text for span in found) == text
    assert [(span.start, span.end) for span in found] == [
        (start, start + len(span.text)) for span, start in zip(found, [0, *(span.end for span in found)], strict=False)
    ]
    assert all(count(span.text) <= most and span.text.strip() for span in found)
    return found


def cut(text, most, count=len):
    return [span.text for span in check(text, most, count)]


@settings(deadline=None, max_examples=300)
@given(
    st.lists(PIECES, max_size=40).map("".join) | st.text(max_size=60),
    st.integers(1, 40),
    st.sampled_from([len, octets]),
)
@example("ab\r\ncd", 3, len)
@example("ab" + " " * 9, 8, len)
@example("a \n", 1, len)
@example(FAMILY + " ", 18, octets)
def test_any_text_is_cut_without_loss_or_refused(text, most, count):
    blanks = max((count(run) for run in re.findall(r"\s+", text)), default=0)
    widest = max(map(count, text), default=0)
    try:
        check(text, most, count)
    except InputError:
        assert not text.strip() or widest + 2 * blanks > most  # a letter and the white space around it do not fit


@settings(deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=40).map("".join).filter(str.strip))
def test_graphemes_stay_whole_where_there_is_room(text):
    most = 40 + len(max(re.findall(r"\s+", text), key=len, default=""))
    ends = {found.end() for found in regex.finditer(r"\X", text)}
    assert {span.end for span in check(text, most, len)} <= ends


def test_a_short_text_is_one_span():
    assert spans(" One.\n\nTwo. ", 40, len) == [Span(0, 12, " One.\n\nTwo. ")]


def test_paragraphs_come_before_sentences_before_lines_before_words():
    text = "Title\n\nOne two. Three four\nfive six seven. Eight nine ten eleven twelve"
    assert cut(text, 6, words) == [
        "Title\n\n",
        "One two. ",
        "Three four\nfive six seven. ",
        "Eight nine ten eleven twelve",
    ]
    assert cut("A b\nc d e f", 4, words) == ["A b\n", "c d e f"]
    assert cut("a b c d e f", 4, words) == ["a b c d ", "e f"]
    assert cut("One.\r\n\r\nTwo three. Four five", 3, words) == ["One.\r\n\r\n", "Two three. ", "Four five"]


def test_paragraphs_that_fit_stay_together():
    assert cut("A.\n\nB c.\n\nD e f.\n\nG", 3, words) == ["A.\n\nB c.\n\n", "D e f.\n\n", "G"]


def test_an_abbreviation_in_a_sentence_is_no_end():
    assert cut("Tea, e.g. green or black or white", 5, words) == ["Tea, e.g. green or black ", "or white"]
    assert cut('He said "No." Then he left us', 5, words) == ['He said "No." ', "Then he left us"]


def test_scripts_without_spaces_are_cut_at_their_stops():
    assert cut("我喜欢茶。你呢？好的", 8) == ["我喜欢茶。你呢？", "好的"]
    assert cut("我喜欢茶。你呢", 6) == ["我喜欢茶。", "你呢"]


def test_words_too_long_are_cut_between_graphemes_and_graphemes_too_long_between_characters():
    assert cut("aaaaaaaaaa bb", 4) == ["aaaa", "aaaa", "aa ", "bb"]
    assert cut(FAMILY * 3, 12) == [FAMILY * 2, FAMILY]
    assert cut(FAMILY, 3) == ["👨\u200d👩", "\u200d👧"]
    assert cut(FAMILY + " ", 5) == ["👨\u200d👩\u200d", "👧 "]
    assert "".join(cut("a" + "\u0301" * 50, 7)) == "a" + "\u0301" * 50


def test_white_space_has_room_on_both_sides():
    assert cut("abcd" + " " * 14 + "ef", 8) == ["abc", "d" + " " * 7, " " * 7 + "e", "f"]
    assert cut("abcd" + "\n" * 7, 8) == ["abc", "d" + "\n" * 7]
    assert cut("\n" * 7 + "abcd", 8) == ["\n" * 7 + "a", "bcd"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the document is empty or white space alone"),
        (" \r\n\t\u3000", "the document is empty or white space alone"),
        (" " * 8 + "a", r"'a' at position 8 and the white space around it \(8 characters before, 0 behind\) need"),
        (
            "ba" + " " * 8,
            r"'a' at position 1 and the white space around it \(0 characters before, 8 behind\) need",
        ),
    ],
)
def test_what_cannot_be_cut_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        spans(text, 8, len)


def test_a_character_of_more_tokens_than_a_span_is_refused():
    with pytest.raises(InputError, match="the character '😀' at position 1 alone needs more than 3 tokens"):
        spans("a😀", 3, octets)
    with pytest.raises(InputError, match="at most 0 tokens holds nothing"):
        spans("a", 0, len)


@pytest.mark.parametrize("text", ["a" * 100_000, FAMILY * 20_000, "Two words. " * 9_000, " x\r\n" * 25_000])
def test_long_texts_cost_few_counts_of_little_text(text):
    counted = []

    def count(piece):
        counted.append(len(piece))
        return len(piece)

    found = check(text, 40, count)
    assert len(counted) < 20 * len(found)
    assert sum(counted) < 2000 * len(found)
