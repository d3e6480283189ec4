"""The editor: a verdict does not depend on the other texts, and a folder without one has none."""

import pytest
import torch

from copyloom import InputError, SpaceError
from generator import low_rank
from generator.editor import EDITOR_FILE, HEAD, LONGEST, Editor, as_read

TEXTS = ("A quiet kettle.", "Boil water while you look for the cups.", "Kettle boils the", "A quiet kettle. " * 60)


@pytest.fixture
def parts(random_model):
    """Some updates and a head that fit the small random model."""
    model = random_model()
    low_rank.put_in(model.model, rank=2, seed=0)
    torch.manual_seed(1)
    updates = {name: torch.randn_like(value) / 9 for name, value in low_rank.updates_of(model.model).items()}
    return updates | {f"{HEAD}.weight": torch.randn(2, model.hidden_size), f"{HEAD}.bias": torch.zeros(2)}


def test_a_verdict_is_the_texts_own(random_model, parts):
    editor = Editor.of(random_model(), parts)
    every = editor.verdicts([("- A kettle.\n", text) for text in TEXTS * 9])
    assert every.shape == (len(TEXTS) * 9, 2)
    assert (every < 0).all()
    for place, text in enumerate(TEXTS):
        assert torch.equal(editor.verdicts([("- A kettle.\n", text)])[0], every[place])
    assert len({round(float(value), 5) for value in every[:, 0]}) == len(TEXTS)
    assert editor.verdicts([]).shape == (0, 2)


def test_the_last_tokens_of_what_is_too_long_are_read(random_model):
    model = random_model()
    read = as_read(model, "- A kettle.\n", TEXTS[3])
    assert len(read) == LONGEST
    assert read[-1] == model.end
    assert as_read(model, "- A\n", " b ") == [*model.tokenize("- A\n= b"), model.end]


def test_a_folder_holds_an_editor_or_none(random_model, parts, tmp_path):
    from safetensors.torch import save_file

    from generator.eight_bits import packed

    assert Editor.load(tmp_path, random_model()) is None
    save_file(packed(parts), tmp_path / EDITOR_FILE)
    loaded, made = Editor.load(tmp_path, random_model()), Editor.of(random_model(), parts)
    drafts = [("", text) for text in TEXTS]
    assert torch.allclose(loaded.verdicts(drafts), made.verdicts(drafts), atol=0.05)
    with pytest.raises(SpaceError, match="use the model it was trained for"):
        Editor.load(tmp_path, random_model(hidden_size=32))
    (tmp_path / EDITOR_FILE).write_bytes(b"half of a file")
    with pytest.raises(InputError, match="cannot be used"):
        Editor.load(tmp_path, random_model())
