"""Steps, and resuming from a checkpoint to the same bits."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from esca.avatars import load_avatar
from esca.captures import Capture
from esca.captures.normalize import normalize_texture, normalize_vertices
from esca.errors import EscaError
from esca.training import TrainConfig, Trainer, TrainingData, train
from esca.training.step import batch_losses


def make_trainer(capture: Capture, config: TrainConfig) -> Trainer:
    scale = config.screen_scale if config.screen else 0.0
    return Trainer(capture, TrainingData(capture, None, scale, config.cache), config)


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


class StopError(Exception):
    pass


def stop_at(step: int) -> Callable[[int, int], None]:
    def progress(done: int, total: int) -> None:
        if done == step:
            raise StopError

    return progress


def test_resumed_training_ends_in_the_same_bits(
    capture: Capture, small: TrainConfig, tmp_path: Path
) -> None:
    config = replace(small, checkpoint_every=3)
    straight = train(capture, config, tmp_path / "straight")
    with pytest.raises(StopError):
        train(capture, config, tmp_path / "parts", progress=stop_at(4))
    again = train(capture, replace(config, cache=False), tmp_path / "parts", resume=True)
    for name, tensor in straight.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    first, second = lines(tmp_path / "straight/log.jsonl"), lines(tmp_path / "parts/log.jsonl")
    assert [line["step"] for line in second[1:]] == [1, 2, 3, 4, 5, 6]
    assert [line["total"] for line in first[1:]] == [line["total"] for line in second[1:]]


def test_run_leaves_avatar_log_and_checkpoint(
    capture: Capture, small: TrainConfig, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    avatar = train(
        capture, replace(small, steps=2), tmp_path, progress=lambda *step: seen.append(step)
    )
    assert seen == [(1, 2), (2, 2)]
    assert {p.name for p in tmp_path.iterdir()} == {"avatar.pth", "checkpoint.pt", "log.jsonl"}
    loaded = load_avatar(tmp_path / "avatar.pth")
    assert loaded.config == avatar.config
    assert (loaded.vertex_values, loaded.camera_count) == (48, 3)
    settings, *steps = lines(tmp_path / "log.jsonl")
    assert settings["screen"] is True
    keys = {"step", "total", "vertices", "texture", "screen", "kl", "rate", "seconds"}
    assert all(set(step) == keys for step in steps)


def test_log_says_that_the_screen_loss_was_off(
    capture: Capture, small: TrainConfig, tmp_path: Path
) -> None:
    train(capture, replace(small, steps=1, screen_scale=0), tmp_path)
    settings, step = lines(tmp_path / "log.jsonl")
    assert settings["screen"] is False
    assert step["screen"] is None


def test_losses_are_the_sum_of_their_terms(capture: Capture, small: TrainConfig) -> None:
    config = replace(small, vertex_weight=2.0, texture_weight=3.0, screen_weight=5.0, kl_weight=7.0)
    trainer = make_trainer(capture, config)
    batch = trainer.data.batch(trainer.data.picks(0, 1, 2))
    noise = torch.randn(2, 4)
    with torch.no_grad():
        losses = batch_losses(
            trainer.avatar, batch, trainer.statistics, capture.topology, config, noise
        )
        # Once more, from the avatar's own parts.
        mean = torch.from_numpy(capture.texture_mean.transpose(2, 0, 1).copy())
        average, _ = normalize_texture(batch.average, mean, capture.texture_std, 256)
        target, mask = normalize_texture(batch.texture, mean, capture.texture_std, 256)
        flat = torch.from_numpy(capture.vertex_mean)
        mesh = normalize_vertices(batch.vertices, flat, capture.vertex_std)
        code = trainer.avatar.encode(average, mesh)
        texture, vertices = trainer.avatar.decoder(
            code.mean + code.logstd.exp() * noise, batch.view
        )
        texture = trainer.avatar.colour(texture, batch.camera)
    torch.testing.assert_close(losses.vertices, (vertices - mesh).square().mean())
    torch.testing.assert_close(losses.texture, ((texture - target) * mask).square().mean())
    assert losses.screen is not None and losses.screen > 0
    total = 2 * losses.vertices + 3 * losses.texture + 5 * losses.screen + 7 * losses.kl
    torch.testing.assert_close(losses.total, total)


def test_every_parameter_gets_a_gradient(capture: Capture, small: TrainConfig) -> None:
    trainer = make_trainer(capture, replace(small, variant="warp", batch=6))
    batch = trainer.data.batch(trainer.data.picks(0, 1, 6))
    losses = batch_losses(
        trainer.avatar,
        batch,
        trainer.statistics,
        capture.topology,
        trainer.config,
        torch.randn(6, 4),
    )
    losses.total.backward()
    missing = [
        n for n, p in trainer.avatar.named_parameters() if p.grad is None or not p.grad.any()
    ]
    assert missing == []


def test_screen_loss_alone_reaches_texture_and_vertices(
    capture: Capture, small: TrainConfig
) -> None:
    config = replace(small, vertex_weight=0, texture_weight=0, kl_weight=0)
    trainer = make_trainer(capture, config)
    batch = trainer.data.batch(trainer.data.picks(0, 1, 2))
    losses = batch_losses(
        trainer.avatar, batch, trainer.statistics, capture.topology, config, torch.randn(2, 4)
    )
    losses.total.backward()
    dec = trainer.avatar.dec
    assert dec.mesh_fc.bias.grad is not None and dec.mesh_fc.bias.grad.any()
    last = dec.texture_decoder.upsample[3].conv2.bias.grad
    assert last is not None and last.any()


def test_training_learns(capture: Capture, small: TrainConfig) -> None:
    config = replace(small, steps=15, screen_scale=0, rate=3e-3)
    records = list(make_trainer(capture, config).run(15))
    assert sum(r.texture for r in records[-3:]) < 0.9 * sum(r.texture for r in records[:3])
    assert sum(r.vertices for r in records[-3:]) < 0.9 * sum(r.vertices for r in records[:3])


def test_the_code_starts_at_the_given_deviation(capture: Capture, small: TrainConfig) -> None:
    trainer = make_trainer(capture, replace(small, first_std=0.25))
    with torch.no_grad():
        code = trainer.avatar.encode(torch.randn(2, 3, 256, 256), torch.randn(2, 48))
    torch.testing.assert_close(code.logstd.exp(), torch.full((2, 4), 0.25), rtol=0.1, atol=0)


@pytest.mark.parametrize("part", ["dec.mesh_fc.bias", "dec.view_fc.bias"])
def test_a_loss_that_is_not_finite_names_the_step(
    part: str, capture: Capture, small: TrainConfig
) -> None:
    trainer = make_trainer(capture, small)
    run = trainer.run(6)
    next(run)
    with torch.no_grad():
        trainer.avatar.get_parameter(part)[0] = torch.nan
    with pytest.raises(EscaError, match="the loss is nan at step 2, expected a finite value"):
        next(run)


def test_resuming_refuses_what_does_not_fit(
    capture: Capture, small: TrainConfig, tmp_path: Path
) -> None:
    with pytest.raises(EscaError, match=r"checkpoint\.pt: no such checkpoint to resume from"):
        train(capture, small, tmp_path, resume=True)
    trainer = make_trainer(capture, small)
    trainer.save(tmp_path / "checkpoint.pt")
    with pytest.raises(EscaError, match="a run is here already, expected resume"):
        train(capture, small, tmp_path)
    with pytest.raises(EscaError, match="latent is 4 in this run, 5 asked for"):
        train(capture, replace(small, latent=5), tmp_path, resume=True)
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(EscaError, match="truncated or damaged"):
        train(capture, small, tmp_path, resume=True)
    torch.save({"weights": torch.zeros(2)}, path)
    with pytest.raises(EscaError, match=r"expected a training checkpoint \(esca-training-1\)"):
        train(capture, small, tmp_path, resume=True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_is_asked_for_but_not_there(capture: Capture, small: TrainConfig) -> None:
    with pytest.raises(EscaError, match="device: cuda was asked for"):
        make_trainer(capture, replace(small, device="cuda"))
