"""Arrays of any make come in whole, or are refused by name."""

import numpy as np
import pytest
import torch

from bandits.inputs import as_tensor, finite_tensor
from copyloom import InputError


def test_lists_and_arrays_keep_double_precision():
    assert finite_tensor("x", [0.1, 0.2]).tolist() == [0.1, 0.2]
    assert finite_tensor("x", np.array([0.1])).tolist() == [0.1]
    assert finite_tensor("x", np.float32([0.1])).tolist() == [float(np.float32(0.1))]


def test_read_only_and_reversed_arrays_are_welcome():
    frozen = np.arange(3.0)
    frozen.flags.writeable = False
    assert as_tensor("x", frozen).tolist() == [0, 1, 2]
    assert as_tensor("x", frozen[::-1]).tolist() == [2, 1, 0]


@pytest.mark.parametrize("values", ["text", [[1.0], [1.0, 2.0]], [None], {"a": 1}])
def test_what_is_no_array_of_numbers_is_refused_by_name(values):
    with pytest.raises(InputError, match="the name"):
        as_tensor("the name", values)


def test_the_first_bad_number_is_pointed_at():
    with pytest.raises(InputError, match=r"holds 2 NaN or infinite values, the first at \(0, 1\)"):
        finite_tensor("x", torch.tensor([[1.0, torch.nan], [torch.inf, 2.0]]))
