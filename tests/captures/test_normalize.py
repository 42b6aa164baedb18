import numpy as np
import torch

from esca.captures.normalize import (
    channels_first,
    denormalize_texture,
    denormalize_vertices,
    normalize_texture,
    normalize_vertices,
    resize,
)


def bilinear(image, size):
    """(H, W) resized by hand: the centre of target texel i lies at (i + 0.5) * H / size - 0.5."""

    def weights(length):
        matrix = np.zeros((size, length))
        for i in range(size):
            x = np.clip((i + 0.5) * length / size - 0.5, 0, length - 1)
            low = int(np.floor(x))
            matrix[i, low] += 1 - (x - low)
            matrix[i, min(low + 1, length - 1)] += x - low
        return matrix

    return weights(image.shape[0]) @ image @ weights(image.shape[1]).T


def test_resize_has_half_pixel_centres_and_no_smoothing():
    image = np.random.default_rng(0).normal(size=(3, 12, 12)).astype(np.float32)
    for size in (6, 5, 12, 24, 31):
        expected = np.stack([bilinear(channel, size) for channel in image])
        actual = resize(torch.from_numpy(image), size)
        np.testing.assert_allclose(actual.numpy(), expected, atol=2e-6)


def test_texture_is_normalized_before_it_is_resized():
    rng = np.random.default_rng(1)
    texture = rng.integers(0, 4, (8, 8, 3), dtype=np.uint8) * np.uint8(60)
    mean = rng.uniform(1, 255, (8, 8, 3)).astype(np.float32)
    std = 17.5
    expected = (texture.astype(np.float64) - mean) / std
    expected[texture == 0] = 0
    seen = 1.0 - (texture == 0)
    actual, mask = normalize_texture(channels_first(texture), channels_first(mean), std, 5)
    for channel in range(3):
        np.testing.assert_allclose(actual[channel], bilinear(expected[..., channel], 5), atol=1e-5)
        np.testing.assert_allclose(mask[channel], bilinear(seen[..., channel], 5), atol=1e-6)


def test_texture_of_known_values():
    texture = np.array([[[0, 10, 30]]], dtype=np.uint8)
    mean = np.array([[[5, 20, 20]]], dtype=np.float32)
    actual, mask = normalize_texture(channels_first(texture), channels_first(mean), 10.0)
    assert actual.flatten().tolist() == [0.0, -1.0, 1.0]
    assert mask.flatten().tolist() == [0.0, 1.0, 1.0]


def test_texture_comes_back_where_it_was_seen_and_in_batches():
    rng = np.random.default_rng(2)
    texture = torch.from_numpy(rng.integers(0, 256, (2, 4, 3, 8, 8))).float()
    mean = torch.full((3, 8, 8), 100.0)
    normalized, mask = normalize_texture(texture, mean, 30.0)
    again = denormalize_texture(normalized, mean, 30.0)
    torch.testing.assert_close(again * mask, texture * mask)
    assert normalize_texture(texture, mean, 30.0, 4)[0].shape == (2, 4, 3, 4, 4)
    assert denormalize_texture(normalized[..., ::2, ::2], mean, 30.0).shape == (2, 4, 3, 4, 4)


def test_vertices_flat_or_by_three():
    mean = torch.arange(12.0)
    flat = torch.arange(12.0) * 3
    expected = flat.sub(mean).div(4)
    torch.testing.assert_close(normalize_vertices(flat, mean, 4.0), expected)
    by_three = normalize_vertices(flat.reshape(4, 3), mean, 4.0)
    torch.testing.assert_close(by_three, expected.reshape(4, 3))
    batch = flat.expand(5, 12)
    torch.testing.assert_close(
        denormalize_vertices(normalize_vertices(batch, mean, 4.0), mean, 4.0), batch
    )
