"""One small avatar a variant, made once."""

import pytest
import torch

from esca.avatars import VARIANTS, Avatar, AvatarConfig, build_avatar

SMALL = {"texture_size": 256, "latent": 6, "vertices": 5, "cameras": 3}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def avatars() -> dict[str, Avatar]:
    return {v: build_avatar(AvatarConfig(variant=v, **SMALL), seed=1) for v in VARIANTS}
