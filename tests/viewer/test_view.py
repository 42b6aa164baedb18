import shutil

import pytest
import torch
from tests.evaluation.conftest import SIDE, TEXELS

from esca.avatars import AvatarConfig, build_avatar, save_avatar
from esca.errors import EscaError
from esca.runtime.artifact import load_artifact
from esca.viewer.decoders import Candidate, Decoders
from esca.viewer.heads import ERRORS, LAYOUTS, Heads, Look
from esca.viewer.subject import load_subject
from esca.viewer.view import beside, serving


@pytest.fixture(scope="module")
def heads(files):
    subject = load_subject(files.capture, files.avatar, frames=2)
    candidates = tuple(Candidate(load_artifact(path), path) for path in files.artifacts)
    made = Heads(subject, Decoders(files.avatar, candidates, "torch", 1))
    yield made
    made.close()


def asked(heads: Heads, **look) -> list:
    front = torch.tensor([0.0, 0.0, 1.0])
    return heads.make(Look(**look), heads.subject.codes[0], front)


def surfaces(head) -> list:
    return [make() for make in head.surfaces]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_has_its_heads(heads, layout):
    made = asked(heads, layout=layout)
    assert len(made) == (3 if layout == "Side by side" else 1)
    side = heads.subject.avatar.texture_size
    assert all(one.picture.shape == (side, side, 3) for head in made for one in surfaces(head))
    assert [len(head.surfaces) for head in made] == [2 if layout == "Split" else 1] * len(made)


def test_keys_tell_what_changed_and_nothing_is_decoded_twice(heads):
    first = asked(heads)
    same = asked(heads)
    assert all(a.key == b.key for a, b in zip(first, same, strict=True))
    assert all(surfaces(a) == surfaces(b) for a, b in zip(first[:2], same[:2], strict=True))
    other = asked(heads, candidate=1)
    assert surfaces(other[0]) == surfaces(first[0])
    assert [a.key == b.key for a, b in zip(first, other, strict=True)] == [True, False, False]
    signed = asked(heads, candidate=1, error=ERRORS[1])
    assert surfaces(signed[1]) == surfaces(other[1])
    assert signed[2].key != other[2].key


def test_differences_of_a_decoder_from_itself_are_nothing(heads):
    asked(heads)
    off = heads.differences()
    assert off.psnr < 80
    assert 0 < off.visible[0] <= off.visible[1]
    heads._pair = heads._pair[0], heads._pair[0]
    same = heads.differences()
    assert same.visible == (0, 0)
    assert same.mesh == 0


def test_a_split_head_holds_both_and_its_cut(heads):
    (split,) = asked(heads, layout="Split", split=0.25)
    fp32, own = asked(heads, layout="fp32"), asked(heads, layout="Quantized")
    assert surfaces(split) == [*surfaces(fp32[0]), *surfaces(own[0])]
    assert split.cut == 0.25


def test_capture_is_found_beside_the_artifact(files, tmp_path):
    artifact = load_artifact(files.artifacts[0])
    assert beside(files.artifacts[0], artifact) == files.capture.root
    with pytest.raises(EscaError, match="is not beside it; give --capture"):
        beside(tmp_path / "other.esca", artifact)


def test_files_that_do_not_fit_are_refused(files, port, tmp_path):
    def refused(match, artifacts=files.artifacts, avatar=files.checkpoint, port=port):
        with pytest.raises(EscaError, match=match), serving(artifacts, avatar, port=port):
            pass

    for name, config, match in (
        ("latent", AvatarConfig("base", TEXELS, 8, SIDE * SIDE, 3), "latent is 16, the .* is 8"),
        ("mesh", AvatarConfig("base", TEXELS, 16, 50, 3), "mesh is 243, the checkpoint's is 150"),
        ("cameras", AvatarConfig("base", TEXELS, 16, SIDE * SIDE, 4), "colours of 4 cameras"),
    ):
        other = tmp_path / f"{name}.safetensors"
        save_avatar(build_avatar(config, seed=0), other)
        refused(match, avatar=other)
    refused("no artifact", artifacts=())
    refused("port: 0, expected", port=0)
    copy = tmp_path / "copy.esca"
    shutil.copy(files.artifacts[0], copy)
    refused("is rtn W4A4 like", artifacts=(files.artifacts[0], copy))


def test_a_port_in_use_is_refused(files, port):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with (
            pytest.raises(EscaError, match=f"port: 127.0.0.1:{port} cannot be used"),
            serving(files.artifacts, files.checkpoint, port=port),
        ):
            pass
