import numpy as np
import pytest

from esca.captures.statistics import TextureStatistics, VertexStatistics


def test_textures_against_one_computation_over_all_of_them():
    rng = np.random.default_rng(0)
    textures = rng.integers(0, 6, (7, 8, 8, 3), dtype=np.uint8) * np.uint8(51)
    textures[:, 0, 0] = 0
    statistics = TextureStatistics(8)
    for texture in textures:
        statistics.add(texture)
    seen = np.where(textures > 0, textures.astype(float), np.nan)
    seen[:, 0, 0] = 0
    mean = np.nanmean(seen, axis=0)
    deviation = np.where(textures > 0, (seen - mean) ** 2, np.nan)
    np.testing.assert_allclose(statistics.mean, mean)
    assert statistics.variance == pytest.approx(np.nanmean(deviation), rel=1e-12)


def test_textures_in_any_order_give_the_same_numbers():
    textures = np.random.default_rng(1).integers(0, 256, (20, 4, 4, 3), dtype=np.uint8)
    one, two = TextureStatistics(4), TextureStatistics(4)
    for texture in textures:
        one.add(texture)
    for texture in textures[::-1]:
        two.add(texture)
    assert one.variance == two.variance
    np.testing.assert_array_equal(one.mean, two.mean)


def test_vertices_far_from_the_origin_lose_no_digits():
    vertices = (np.random.default_rng(2).normal(size=(50, 30)) + 1e5).astype(np.float32)
    statistics = VertexStatistics(30)
    for frame in vertices:
        statistics.add(frame)
    exact = vertices.astype(np.float64)
    np.testing.assert_allclose(statistics.mean, exact.mean(axis=0), rtol=1e-14)
    assert statistics.variance == pytest.approx(exact.var(axis=0).mean(), rel=1e-9)


def test_nothing_and_a_single_frame_have_no_variance():
    assert TextureStatistics(4).variance == 0
    assert VertexStatistics(3).variance == 0
    textures = TextureStatistics(4)
    textures.add(np.full((4, 4, 3), 9, dtype=np.uint8))
    assert textures.variance == 0
