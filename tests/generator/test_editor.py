"""The editor: a verdict hardly depends on the other texts, and a folder without one has none."""

import pytest
import torch

from copyloom import InputError, SpaceError
from generator import low_rank
from generator.editor import EDITOR_FILE, HEAD, SOURCES, TEXT, WRITER_OF, Editor, as_read

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
    every = editor.verdicts("- A kettle.\n", TEXTS * 9)
    assert every.shape == (len(TEXTS) * 9, 2)
    for place, text in enumerate(TEXTS * 9):
        torch.testing.assert_close(editor.verdicts("- A kettle.\n", [text])[0], every[place], rtol=1e-4, atol=1e-4)
    assert torch.equal(editor.verdicts("- A kettle.\n", TEXTS * 9), every)
    assert len({round(float(value), 3) for value in every[: len(TEXTS), 0]}) == len(TEXTS)
    assert editor.verdicts("- A kettle.\n", []).shape == (0, 2)
    assert not torch.allclose(editor.verdicts("- A lamp.\n", TEXTS), every[: len(TEXTS)], atol=1e-3)


def test_of_what_is_too_long_the_end_of_the_sources_and_the_beginning_of_the_text_are_read(random_model):
    model = random_model()
    sources, (text,) = as_read(model, "- A kettle.\n" * 99, [TEXTS[3]])
    assert (len(sources), len(text)) == (SOURCES, TEXT + 1)
    assert sources == model.tokenize("- A kettle.\n" * 99 + "=")[-SOURCES:]
    assert text == [*model.tokenize(" " + TEXTS[3])[:TEXT], model.end]
    assert as_read(model, "- A\n", [" b "]) == (model.tokenize("- A\n="), [[*model.tokenize(" b"), model.end]])


def test_a_folder_holds_an_editor_or_none(random_model, parts, tmp_path):
    from safetensors.torch import save_file

    from generator.eight_bits import packed

    assert Editor.load(tmp_path, random_model()) is None
    save_file(packed(parts), tmp_path / EDITOR_FILE, {WRITER_OF: random_model().identity.parameters})
    loaded, made = Editor.load(tmp_path, random_model()), Editor.of(random_model(), parts)
    assert torch.allclose(loaded.verdicts("", TEXTS), made.verdicts("", TEXTS), atol=0.05)
    with pytest.raises(SpaceError, match="trained on a writer with parameters"):
        Editor.load(tmp_path, random_model(hidden_size=32))
    headless = {name: value for name, value in parts.items() if not name.startswith(HEAD)}
    for model, tensors in ((random_model(hidden_size=32), parts), (random_model(), headless)):
        with pytest.raises(SpaceError, match="use the model it was trained for"):
            Editor.of(model, tensors)
    save_file(packed(parts), tmp_path / EDITOR_FILE)  # by an older version: nobody knows on which writer
    with pytest.raises(SpaceError, match="train the editor again"):
        Editor.load(tmp_path, random_model())
    (tmp_path / EDITOR_FILE).write_bytes(b"half of a file")
    with pytest.raises(InputError, match="cannot be used"):
        Editor.load(tmp_path, random_model())
