"""A space goes from text to text: mixtures are new, end at their parents, repeat to the byte, and stay in one space."""

import json
import re
import shutil

import pytest
import torch

from copyloom import CopyloomError, DeviceError, InputError, SpaceError
from embeddings.adapter import ADAPTER_SETTINGS
from embeddings.effort import Effort
from embeddings.inversion_config import InversionConfig
from embeddings.inverting import unrefined
from embeddings.mixing import is_new, mix
from embeddings.space import Space
from embeddings.starts import starts_of
from embeddings.writing import STOPPED, Wording
from generator.decoding import decode
from generator.language_model import SHIPPED_FOLDER
from generator.record import ProductRecord, slots_of

KNIFE, CAMERA, BLENDER = TEXTS = [
    "You will fall in love with this balanced chef knife.",
    "Give your best friend the everyday camera.",
    "Last chance: free shipping on our quiet blender.",
]
SUBJECT = ProductRecord(
    name="trail mug", quality=["light", "sturdy"], feature=["a leak-proof lid"], offer=["free returns"]
)


@pytest.fixture(scope="module")
def stored(space):
    found = space.invert(TEXTS)
    assert all(embedding.exact for embedding in found)
    return found


@pytest.fixture(scope="module")
def bare(space, random_model):
    """A space without adapter: a model of random parameters."""
    return Space(random_model(max_position_embeddings=256), space.encoder)


@pytest.mark.parametrize("chosen", [0, 1, 2])
def test_a_weight_of_one_writes_the_parent(space, stored, chosen):
    mixture = space.mix(stored, torch.eye(3)[chosen].tolist())
    assert (mixture.text, mixture.new) == (TEXTS[chosen], False)
    assert mixture.semantic_consistency == pytest.approx(1)


def test_one_parent_is_a_mixture(space, stored):
    assert space.mix(stored[:1], [1.0]).text == KNIFE


def test_a_mixture_knows_its_lineage_and_its_own_numbers(space, stored):
    mixture = space.mix(stored, [0.5, 0.3, 0.2], effort=Effort(rounds=1))
    assert (mixture.lineage.parents, mixture.lineage.weights) == (tuple(TEXTS), (0.5, 0.3, 0.2))
    z = torch.stack([embedding.sentence_vector for embedding in stored])
    wanted = torch.nn.functional.normalize(torch.tensor([0.5, 0.3, 0.2]) @ z, dim=0)
    assert mixture.semantic_consistency == pytest.approx(
        float(space.encoder.encode([mixture.text])[0] @ wanted), abs=1e-5
    )
    assert mixture.new == is_new(mixture.text, TEXTS)
    assert slots_of(mixture.text) == []


def test_mixtures_repeat_to_the_byte_and_more_search_is_never_further_off(space, stored):
    first, again = (space.mix(stored[:2], [0.5, 0.5]) for _ in range(2))
    assert (first.text, first.semantic_consistency) == (again.text, again.semantic_consistency)
    less = space.mix(stored[:2], [0.5, 0.5], effort=Effort(rounds=1))
    none = space.mix(stored[:2], [0.5, 0.5], effort=Effort(rounds=0))
    assert first.semantic_consistency >= less.semantic_consistency >= none.semantic_consistency
    assert first.semantic_consistency > none.semantic_consistency + 0.05


def test_many_mixtures_at_once_are_the_same_vectors_as_one(space, stored):
    vectors = torch.stack([embedding.vectors for embedding in stored]).expand(4, -1, -1, -1)
    z = torch.stack([embedding.sentence_vector for embedding in stored]).expand(4, -1, -1)
    weights = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [1.2, -0.1, -0.1], [0.2, 0.3, 0.5]])
    many = mix(vectors, z, weights, space.adapter)
    assert torch.equal(many[2:3], mix(vectors[2:3], z[2:3], weights[2:3], space.adapter))
    assert decode(space.model, many)[1].text == KNIFE


def test_stored_texts_decode_to_themselves_in_any_company(space, bare, stored):
    assert space.decode(stored) == TEXTS
    assert space.decode([stored[2], stored[0], stored[2]]) == [BLENDER, KNIFE, BLENDER]
    with pytest.raises(SpaceError, match="random LlamaConfig"):
        bare.decode(stored)


def test_unrefined_texts_are_what_the_adapter_says_and_the_unfit_are_named(space, bare, stored):
    first, empty, last = unrefined(space, [KNIFE, " ", BLENDER])
    torch.testing.assert_close(first.vectors, starts_of(space, [KNIFE], stored[0].sentence_vector[None], "adapter")[0])
    torch.testing.assert_close(last.sentence_vector, stored[2].sentence_vector)
    assert (first.text, first.exact, first.space) == (KNIFE, False, space.identity)
    assert (empty.text, "is empty" in empty.reason) == (" ", True)
    assert unrefined(space, []) == []
    with pytest.raises(InputError, match="no adapter"):
        unrefined(bare, [KNIFE])


@pytest.mark.parametrize("weights", [[0.5], [0.5, 0.6], [2.0, -1.0], [float("nan"), 1.0]])
def test_weights_that_do_not_fit_are_refused(space, stored, weights):
    with pytest.raises(InputError, match="weights"):
        space.mix(stored[:2], weights)


def test_no_parents_are_refused(space):
    with pytest.raises(InputError, match="no embeddings were given; a mixture needs at least one stored text"):
        space.mix([], [])


def test_embeddings_of_another_space_are_refused_with_both_names(space, bare, stored):
    stranger = bare.invert(["another text"], InversionConfig(start="token_mean", max_steps=1))[0]
    for parents in ([stored[0], stranger], [stranger, stored[0]], [stranger]):
        with pytest.raises(SpaceError) as raised:
            space.mix(parents, [1 / len(parents)] * len(parents))
        assert all(name in str(raised.value) for name in ("copyloom-tiny", "random LlamaConfig", "another text"))
    with pytest.raises(SpaceError, match="random LlamaConfig"):
        bare.mix(stored, [0.5, 0.3, 0.2])


def test_the_identity_tells_models_and_adapters_apart(space, bare):
    assert space.identity == space.identity
    assert space.identity.adapter
    assert bare.identity.adapter == ""
    assert (bare.identity.vectors, bare.identity.hidden_size) == (4, 16)
    without = Space(space.model, space.encoder, vectors=space.vectors)
    assert without.identity != space.identity
    assert without.identity.parameters == space.identity.parameters


def test_what_is_written_about_a_subject_takes_its_facts_from_the_record(space, stored):
    """No slot is open, and every slot the model wrote became a phrase of the record, unless a fault says it cannot."""
    vectors = torch.stack([embedding.vectors for embedding in stored])
    prefix = space.writer.subject(SUBJECT)
    written = space.writer.write(vectors, SUBJECT)
    for result, decoded in zip(written, decode(space.model, vectors, prefix), strict=True):
        slots = slots_of(decoded.text)
        unfilled = [slot for slot in slots if slot not in SUBJECT.phrases()]
        assert result.fault not in (None, STOPPED) if unfilled else result.fault in (None, STOPPED)
        assert result.finished == decoded.finished
        if result.fault is None:
            assert slots_of(result.text) == []
            assert all(SUBJECT.phrases()[slot].lower() in result.text.lower() for slot in slots)


def test_a_frame_that_readers_stop_is_not_shown_about_a_subject(space, grammar, monkeypatch):
    """The mixture's own text is in such a frame, and another draft takes its place."""
    texts = ["Your heart will know this lamp by its calm touch.", "Boring lamps are so last year, ours has a dimmer."]
    parents = space.invert(texts)
    for parent in parents:
        (alone,) = space.writer.write(parent.vectors[None], SUBJECT)
        assert (alone.fault, alone.is_usable) == (STOPPED, False)
    with pytest.raises(InputError, match="readers stop its frame"):
        space.mix(parents[:1], [1.0], SUBJECT, Effort(drafts=1))
    shown = space.mix(parents, [0.5, 0.5], SUBJECT).text
    monkeypatch.setitem(vars(grammar), "stopped", frozenset())
    before = space.mix(parents, [0.5, 0.5], SUBJECT).text
    assert before.startswith(("Your heart will know", "Boring"))
    assert SUBJECT.name in shown
    assert not shown.startswith(("Your heart will know", "Boring"))


def test_wanted_points_choose_the_phrase_and_nothing_else(space, stored):
    """Under its own sentence vector as wanted point, "sturdy" is taken before "light"."""
    vectors = torch.stack([embedding.vectors for embedding in stored])
    wanted = space.encoder.encode(["sturdy"]).expand(3, -1)
    drafts = zip(space.writer.write(vectors, SUBJECT), space.writer.write(vectors, SUBJECT, wanted), strict=True)
    for plain, chosen in drafts:
        if plain.fault is None and "light" in plain.text.lower() + chosen.text.lower():
            assert "sturdy" in chosen.text.lower()
        if plain.fault is None:
            one, other = (re.sub("(?i)light|sturdy", "...", draft.text) for draft in (plain, chosen))
            assert one == other


def test_open_slots_without_subject_are_a_fault(space):
    """A stored text that talks of slots comes back, marked as not to be shown."""
    (embedding,) = space.invert(["Buy the <name> now."])
    assert embedding.exact
    assert space.writer.write(embedding.vectors[None]) == [Wording("Buy the <name> now.", True, "open slot <name>")]


def test_a_text_written_does_not_depend_on_the_others(space, stored):
    vectors = torch.stack([embedding.vectors for embedding in stored])
    assert space.writer.write(vectors[1:2], SUBJECT) == space.writer.write(vectors, SUBJECT)[1:2]
    assert [result.text for result in space.writer.write(vectors)] == TEXTS


def test_other_models_read_the_subject_as_plain_text(bare):
    prefix = bare.writer.subject(SUBJECT)
    prompt = "About the trail mug: light; sturdy; a leak-proof lid; free returns.\n"
    assert prefix.present.all()
    assert torch.equal(prefix.vectors, bare.model.embed(torch.tensor(bare.model.tokenize(prompt))).float())


def test_new_is_neither_parent_nor_concatenation():
    assert is_new("You will love this camera.", TEXTS)
    assert not is_new(KNIFE.upper().rstrip("."), TEXTS)
    assert not is_new(f"{KNIFE} {CAMERA}", TEXTS)
    assert not is_new(f"Hurry! {BLENDER}", TEXTS)


def test_unknown_models_and_devices_are_refused():
    with pytest.raises(InputError, match="no model folder at '/no/such/folder'"):
        Space.load("/no/such/folder", "cpu")
    with pytest.raises(DeviceError, match="device 'tpu' is unknown"):
        Space.load(device="tpu")


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(SHIPPED_FOLDER, tmp_path, dirs_exist_ok=True)


def test_a_copy_of_the_shipped_folder_is_the_same_but_for_its_name(space, folder):
    copied = Space.load(str(folder), "cpu")
    mine, theirs = vars(space.identity), vars(copied.identity)
    assert {key for key in mine if mine[key] != theirs[key]} == {"model"}


@pytest.mark.parametrize("harm", ["missing", "truncated", "no settings", "other size"])
def test_broken_adapters_are_refused(folder, harm):
    weights, settings = folder / "adapter.safetensors", folder / ADAPTER_SETTINGS
    if harm == "missing":
        weights.unlink()
    elif harm == "truncated":
        weights.write_bytes(weights.read_bytes()[:100])
    else:
        values = json.loads(settings.read_text())
        settings.write_text("{}" if harm == "no settings" else json.dumps(values | {"hidden_size": 128}))
    with pytest.raises(CopyloomError):
        Space.load(str(folder), "cpu")


@pytest.mark.parametrize("wrong", [{"drafts": 0}, {"rounds": -1}, {"width": 0}, {"rewritings": 0}])
def test_an_effort_that_cannot_be_is_refused(wrong):
    with pytest.raises(InputError, match="rounds may be 0"):
        Effort(**wrong)


@pytest.mark.parametrize("jitter", [-0.1, 3.1, float("nan")])
def test_no_mixture_is_moved_until_nothing_is_left_of_it(jitter):
    with pytest.raises(InputError, match="between 0 and 3"):
        Effort(jitter=jitter)


def test_a_weight_of_one_beside_others_is_a_mixture_too(space):
    texts = ["You will love this tent.", "Our kettle is quiet.", "Modern loft near the park"]
    stored = space.invert(texts)
    stacked = [torch.stack([getattr(e, name) for e in stored])[None] for name in ("vectors", "sentence_vector")]
    for weights, alone in (([1.0, 0.5, -0.5], False), ([0.0, 1.0, 0.0], True)):
        ((written, _),) = space.writer.write_nearest(*stacked, torch.tensor([weights]), [texts], Effort(2, 1, 1, 4, 4))
        assert (written.text in texts) == alone
