"""Small language models trained on whole texts: a stopped training goes on to the same model; the critic is one."""

import pytest
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from copyloom import InputError
from experiments.training.tiny import critic, whole_texts
from experiments.training.tiny.train import TinyConfig
from experiments.training.tiny.whole_texts import train_on_whole_texts
from generator.language_model import PACKED, SHIPPED_FOLDER, LanguageModel
from generator.likelihood import surprisals_alone

TEXTS = ["A quiet kettle.", "A red mug, and a long text about it that is cut where it ends.", "Tea for two.", ""]


def trained(checkpoint, stop=None, steps=6):
    """Return the parameters of a model after training on `TEXTS`, and the steps that were heard of."""
    tokenizer = AutoTokenizer.from_pretrained(SHIPPED_FOLDER)
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), tie_word_embeddings=True, **shape))
    heard = []

    def report(loss, step):
        if step == stop:
            raise KeyboardInterrupt
        heard.append(step)

    optimisers = [torch.optim.AdamW(model.parameters(), lr=1e-2)]
    train_on_whole_texts(
        model,
        tokenizer,
        lambda step: [TEXTS[step % 4], TEXTS[(step + 1) % 4]],
        optimisers,
        steps,
        12,
        checkpoint,
        report,
    )
    return model.state_dict(), heard


def test_a_stopped_training_goes_on_to_the_same_parameters(tmp_path, monkeypatch):
    monkeypatch.setattr(whole_texts, "_CHECKPOINT_SECONDS", -1)
    straight, _ = trained(tmp_path / "straight.safetensors")
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "stopped.safetensors", stop=4)
    stopped, heard = trained(tmp_path / "stopped.safetensors")
    assert heard == [4, 5, 6]
    assert all(torch.equal(value, stopped[name]) for name, value in straight.items())


def test_a_checkpoint_of_another_training_is_refused_and_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(whole_texts, "_CHECKPOINT_SECONDS", -1)
    trained(tmp_path / "checkpoint.safetensors", steps=3)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    with pytest.raises(InputError, match="another training"):
        trained(tmp_path / "checkpoint.safetensors", steps=6)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before


def test_the_critic_is_a_model_that_loads(tmp_path, monkeypatch):
    monkeypatch.setattr(critic, "_STEPS", 2)
    monkeypatch.setattr(critic, "_ROWS", 8)
    monkeypatch.setattr(critic, "TinyConfig", lambda: TinyConfig(grammar_texts=50))
    found = critic.train_critic(None, tmp_path / "critic", lambda stage, done, total: None)
    assert found["real_texts"] == 0
    assert {file.name for file in (tmp_path / "critic").iterdir()} == {"config.json", PACKED}
    model = LanguageModel.load(str(tmp_path / "critic"), tokenizer=AutoTokenizer.from_pretrained(SHIPPED_FOLDER))
    assert torch.isfinite(surprisals_alone(model, ["A quiet kettle.", "🫖"])).all()
