"""Moves on integers, against exact arithmetic and against torch's own floats."""

from fractions import Fraction
from math import floor

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from esca.quantization.grid import Grid, grid_of_range
from esca.runtime.integer import bilinear_upsample, grid_sample


def upsampled(image: list[list[int]], factor: int) -> list[list[int]]:
    """Bilinear, ``align_corners=False``, edges held, rounded half up, in fractions."""
    height, width = len(image), len(image[0])

    def places(size: int) -> list[tuple[int, int, Fraction]]:
        found = []
        for index in range(size * factor):
            place = max(Fraction(2 * index + 1, 2 * factor) - Fraction(1, 2), Fraction(0))
            low = floor(place)
            found.append((low, min(low + 1, size - 1), place - low))
        return found

    return [
        [
            floor(
                (1 - sy) * ((1 - sx) * image[y0][x0] + sx * image[y0][x1])
                + sy * ((1 - sx) * image[y1][x0] + sx * image[y1][x1])
                + Fraction(1, 2)
            )
            for x0, x1, sx in places(width)
        ]
        for y0, y1, sy in places(height)
    ]


@settings(max_examples=15, deadline=None)
@given(
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(0, 10**6),
    st.sampled_from([15, 255, 65535]),
)
def test_bilinear_upsampling_is_exact(height, width, factor, seed, top) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(0, top + 1, (2, 2, height, width), generator=generator, dtype=torch.int32)
    found = bilinear_upsample(x, factor)
    assert found.dtype == torch.int32
    assert found.tolist() == [
        [upsampled(channel, factor) for channel in frame] for frame in x.tolist()
    ]
    real = F.interpolate(x.double(), scale_factor=factor, mode="bilinear", align_corners=False)
    assert float((found - real).abs().max()) <= 0.5 + 1e-6


@pytest.mark.parametrize("bits", [4, 8, 11, 12, 16])
@pytest.mark.parametrize("shape", [(5, 9), (16, 16), (1, 3)])
def test_grid_sampling_is_within_a_step_of_torch(bits: int, shape: tuple[int, int]) -> None:
    torch.manual_seed(bits)
    colours = grid_of_range(-1.0, 1.7, bits)
    places = grid_of_range(-4.0, 4.0, 16)
    texture = torch.randint(0, colours.top + 1, (2, 3, *shape), dtype=torch.int32)
    if bits >= 12:  # at an extreme everywhere, so that the weighted sums are as large as they get
        texture = torch.where(texture > colours.top // 2, colours.top, 0).int()
        texture[0] = colours.top
    coordinates = torch.randint(0, places.top + 1, (2, 2, 7, 6), dtype=torch.int32)
    coordinates[:, :, 0, 0] = places.quantize(torch.tensor(-1.0))
    coordinates[:, :, 0, 1] = places.quantize(torch.tensor(1.0))
    found = grid_sample(texture, coordinates, colours, places)
    assert found.dtype == torch.int32
    real = (texture - colours.zero_point).double()
    grid = (coordinates - places.zero_point).double() * places.scale
    expected = F.grid_sample(
        real, grid.permute(0, 2, 3, 1), padding_mode="zeros", align_corners=False
    )
    # Places are held to 1/1024 of a texel: a step of the full range is off by range / 1024.
    allowed = 1.0 + 2 * colours.top / 1024
    difference = found - colours.zero_point - expected
    assert float(difference.abs().max()) <= allowed
    if bits <= 8:
        assert float(difference.abs().max()) <= 1.0
    outside = grid.abs().amax(1) > 1 + 2 / min(shape)
    assert bool(outside.any())
    assert bool((found.movedim(1, -1)[outside] == colours.zero_point).all())


def test_sampling_at_texel_centres_copies_texels() -> None:
    colours, places = Grid(0.1, 3, 8), Grid(2.0**-14, 2**15, 16)
    texture = torch.arange(16, dtype=torch.int32).reshape(1, 1, 4, 4) * 15
    centres = (torch.arange(4) * 2 + 1 - 4) / 4
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    coordinates = places.quantize(torch.stack([x, y]))[None]
    assert torch.equal(grid_sample(texture, coordinates, colours, places), texture)
