"""Numbers of a column: its own cells say what commas and points mean, or a cell is no number."""

from math import isnan

import pytest

from copyloom.numbers import is_number, parse_numbers


@pytest.mark.parametrize(("cells", "numbers"), [
    (["0,5", "1,25"], [0.5, 1.25]),
    (["1.234,5", "2.000"], [1234.5, 2000]),
    (["1,234.5", "2,000"], [1234.5, 2000]),
    (["1,234,567", "1,000"], [1234567, 1000]),
    (["1.234.567", "1.000"], [1234567, 1000]),
    (["1\u00a0234,5", "1 000"], [1234.5, 1000]),
    (["1'234.50", "7"], [1234.5, 7]),
    (["50%", "0.5", "2,5 %"], [0.5, 0.5, None]),
    (["50 %", "2,5 %"], [0.5, 0.025]),
    (["true", "False", "1e-3", "-.5", "\u22123"], [1, 0, 0.001, -0.5, -3]),
    (["1,234", "7"], [None, 7]),
    (["1,234", "0.5"], [1234, 0.5]),
    (["0,5", "0.5"], [None, 0.5]),
    (["1_000", "inf", "nan", "x", "", None, "1.2.3", "12,34,5"], [None] * 8),
])  # fmt: skip
def test_numbers(cells: list[str | None], numbers: list[float | None]) -> None:
    found = parse_numbers(cells)
    assert [None if isnan(number) else number for number in found] == pytest.approx(numbers)


def test_counts_are_whole() -> None:
    assert parse_numbers(["1,234", "7"], whole=True) == [1234, 7]
    assert parse_numbers(["1.234", "2.000", "7"], whole=True) == [1234, 2000, 7]
    assert parse_numbers(["5.000", "1234.0"], whole=True) == [5, 1234]
    assert not is_number("0 to 7")
