from __future__ import annotations

import copy
import json
from dataclasses import replace

import pytest
import torch
from open_clip.model import resize_pos_embed
from safetensors.torch import save_file
from small_clips import (
    CLASSES,
    TEXT,
    TOWERS,
    both_towers,
    configuration,
    own_logits,
    written,
)

from ectool.errors import InputError
from ectool.models.registry import create
from ectool.models.zeroshot.prompts import Prompts, read_prompts
from ectool.models.zeroshot.towers import fill


def filled(tmp_path, tower="vit", checkpoint=None, size=None, prompts=None, seed=0, **changes):
    given = written(tmp_path, tower)
    if changes:
        content = configuration(TOWERS[tower])
        (tmp_path / "changed.json").write_text(json.dumps({**content, **changes}))
        given["model"] = f"openclip:{tmp_path / 'changed.json'}"
    model = create(given["model"], CLASSES, seed=5, input_size=size)
    known = read_prompts(given["prompts"]) if prompts is None else prompts
    file = given["checkpoint"] if checkpoint is None else checkpoint
    return model.eval(), fill(model, known.of_classes(CLASSES), file, seed=seed, entry=None)


@pytest.mark.parametrize("tower", list(TOWERS))
def test_logits_are_those_of_open_clip(tmp_path, tower):
    model, loaded = filled(tmp_path, tower)
    images = torch.rand(5, 3, *model.input_size, generator=torch.Generator().manual_seed(0))
    expected = own_logits(both_towers(TOWERS[tower]), (images - model.mean) / model.std)
    with torch.no_grad():
        torch.testing.assert_close(model(images), expected, atol=1e-5, rtol=1e-5)
    assert expected.std() > 0.1
    assert loaded.prefix == "state_dict.module."
    assert model.spec.prompts.to_json()["classes"]["cat"] == ["cat", "kitten"]


@pytest.mark.slow
@pytest.mark.parametrize(("tower", "sides"), [("vit", (4, 6)), ("resnet", (2, 3))])
def test_positions_are_interpolated_as_in_open_clip(tmp_path, tower, sides):
    side = TOWERS[tower]["image_size"] * 3 // 2
    model, loaded = filled(tmp_path, tower, size=(side, side))
    assert list(loaded.grids.values()) == [sides]
    images = torch.rand(2, 3, side, side)
    larger = both_towers({**TOWERS[tower], "image_size": side})
    state = both_towers(TOWERS[tower]).state_dict()
    if tower == "vit":  # open_clip itself does not resize those of attention pools
        resize_pos_embed(state, larger)
        larger.load_state_dict(state)
        expected = own_logits(larger, (images - model.mean) / model.std)
        with torch.no_grad():
            torch.testing.assert_close(model(images), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_random_weights_follow_from_the_seed(tmp_path):
    given = written(tmp_path, "vit")

    def features(seed: int) -> torch.Tensor:
        model = create(given["model"], CLASSES, seed=seed)
        fill(model, Prompts().of_classes(CLASSES), None, seed=seed, entry=None)
        return torch.cat([p.flatten() for p in model.network.state_dict().values()])

    state = torch.random.get_rng_state()
    assert torch.equal(features(1), features(1))
    assert not torch.equal(features(1), features(2))
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.slow
def test_a_trained_bias_and_scale_are_used(tmp_path):
    both = both_towers(TOWERS["vit"])
    state = {**both.state_dict(), "logit_bias": torch.tensor([-3.0])}
    state["logit_scale"] = torch.tensor([2.0])
    save_file(state, tmp_path / "biased.safetensors")
    model, _ = filled(tmp_path, checkpoint=tmp_path / "biased.safetensors", init_logit_bias=-10)
    images = torch.rand(2, 3, 32, 32)
    other = copy.deepcopy(both)
    other.logit_scale.data.fill_(2.0)
    expected = own_logits(other, (images - model.mean) / model.std) - 3
    with torch.no_grad():
        torch.testing.assert_close(model(images), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_a_text_tower_of_its_own_is_used(tmp_path):
    from open_clip import CustomTextCLIP

    torch.manual_seed(3)
    both = CustomTextCLIP(**configuration(TOWERS["vit"])).eval()
    save_file(both.state_dict(), tmp_path / "own.safetensors")
    model, _ = filled(tmp_path, checkpoint=tmp_path / "own.safetensors", custom_text=True)
    images = torch.rand(2, 3, 32, 32)
    expected = own_logits(both, (images - model.mean) / model.std)
    with torch.no_grad():
        torch.testing.assert_close(model(images), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_weights_of_openai_have_numbers_beside_them(tmp_path):
    both = both_towers(TOWERS["vit"]).half()
    numbers = {"input_resolution": 32, "context_length": 16, "vocab_size": 49408}
    tensors = {name: torch.tensor(number) for name, number in numbers.items()}
    torch.save({**both.state_dict(), **tensors}, tmp_path / "openai.pt")
    model, _ = filled(tmp_path, checkpoint=tmp_path / "openai.pt")
    images = torch.rand(2, 3, 32, 32)
    expected = own_logits(both.float(), (images - model.mean) / model.std)
    with torch.no_grad():
        torch.testing.assert_close(model(images), expected, atol=1e-5, rtol=1e-5)


def test_a_program_is_converted_first(tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), tmp_path / "program.pt")
    with pytest.raises(InputError, match="got a TorchScript program; convert it once: "):
        filled(tmp_path, checkpoint=tmp_path / "program.pt")


def without_text(state):
    return {name: value for name, value in state.items() if name.startswith("visual.")}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_text, r"missing, none unexpected; give the weights of both towers, as open_clip"),
        (
            lambda s: {**s, "visual.proj": s["visual.proj"] * torch.nan},
            "NaN or infinity in visual.",
        ),
        (
            lambda s: {**s, "logit_scale": torch.ones(2)},
            "1 .logit_scale 2 for a number. of another",
        ),
        (lambda s: {**s, "extra": torch.ones(2)}, r"none missing, 1 \(extra\) unexpected"),
    ],
    ids=["image tower", "not finite", "two scales", "further weights"],
)
def test_weights_that_do_not_fit(tmp_path, change, message):
    save_file(change(both_towers(TOWERS["vit"]).state_dict()), tmp_path / "x.safetensors")
    with pytest.raises(InputError, match=message):
        filled(tmp_path, checkpoint=tmp_path / "x.safetensors")


@pytest.mark.slow
def test_a_text_that_is_too_long(tmp_path):
    prompts = replace(Prompts((f"a {'very ' * 14}old {{}}",)), where="prompts p.toml")
    with pytest.raises(
        InputError, match="old cat': expected at most 16 tokens, got 19; shorten the"
    ):
        filled(tmp_path, prompts=prompts)
    assert filled(tmp_path, prompts=Prompts((f"a {'very ' * 10}old {{}}",)))


@pytest.mark.slow
def test_a_text_tower_of_too_few_tokens(tmp_path):
    with pytest.raises(InputError, match=r"at least 49408 tokens, .*, got vocab_size 9"):
        filled(tmp_path, text_cfg={**TEXT, "vocab_size": 9}, checkpoint=small_vocabulary(tmp_path))


def small_vocabulary(folder):
    from open_clip import CLIP

    content = configuration(TOWERS["vit"])
    both = CLIP(**{**content, "text_cfg": {**TEXT, "vocab_size": 9}})
    save_file(both.state_dict(), folder / "few.safetensors")
    return folder / "few.safetensors"
