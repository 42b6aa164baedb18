import numpy as np
import pytest

from esca.subjects.lighting import AreaLight, Lighting, _ggx, tone


@pytest.fixture
def normals():
    vectors = np.random.default_rng(0).normal(size=(200, 3))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_irradiance_is_the_cosine_integral(normals):
    """Against a lamp cut into many directions, summed with clamped cosines (order 2 is near)."""
    light = AreaLight(30.0, 20.0, 40.0, 1.0)
    rng = np.random.default_rng(1)
    samples = rng.normal(size=(400_000, 3))
    samples /= np.linalg.norm(samples, axis=1, keepdims=True)
    disc = samples[samples @ light.direction > np.cos(np.radians(light.radius))]
    expected = np.maximum(normals @ disc.T, 0).mean(axis=1)
    got = Lighting((light,), (0.2, 0.2, 0.2)).irradiance(normals)[:, 0] - 0.2
    assert np.abs(got - expected).max() < 0.12
    assert np.abs(got - expected).mean() < 0.05


def test_diffuse_is_energy_conserving_and_dims_with_occlusion(normals):
    lighting = Lighting((), (1.0, 1.0, 1.0))
    albedo = np.full((200, 3), 0.6, np.float32)
    free = lighting.diffuse(normals, normals, albedo, np.ones(200, np.float32))
    np.testing.assert_allclose(free, 0.6, atol=1e-3)
    half = lighting.diffuse(normals, normals, albedo, np.full(200, 0.5, np.float32))
    assert (half < 0.95 * free).all()
    assert (half >= 0.5 * free - 1e-6).all()


def _ggx_reference(normal, view, light, f0, alpha):
    """Cook-Torrance with GGX, height-correlated Smith and Schlick, times pi and cosine."""
    half = view + light
    half = half / np.linalg.norm(half)
    nl, nv, nh, vh = normal @ light, normal @ view, normal @ half, view @ half
    if nl <= 0:
        return 0.0
    a2 = alpha**2
    density = a2 / ((nh**2 * (a2 - 1) + 1) ** 2)
    smith = 0.5 / (nl * np.sqrt(nv**2 * (1 - a2) + a2) + nv * np.sqrt(nl**2 * (1 - a2) + a2))
    return density * smith * (f0 + (1 - f0) * (1 - vh) ** 5) * nl


def test_specular_follows_ggx():
    light = AreaLight(25.0, 10.0, 0.0, 1.0).direction
    rng = np.random.default_rng(2)
    normal = np.array([0.0, 0.0, 1.0])
    for _ in range(40):
        view = np.array([*rng.uniform(-0.6, 0.6, 2), 1.0])
        view /= np.linalg.norm(view)
        alpha = rng.uniform(0.05, 0.6)
        values = (normal @ light, normal @ view, light @ view, 0.028, alpha)
        got = _ggx(*(np.full(1, value, np.float32) for value in values), 0.0)
        assert got[0] == pytest.approx(_ggx_reference(normal, view, light, 0.028, alpha), rel=0.1)


def test_specular_depends_on_the_view():
    lighting = Lighting()
    normal = np.array([[0.3, 0.2, 0.93]], np.float32)
    normal /= np.linalg.norm(normal)
    ones = np.ones(1, np.float32)
    values = []
    for yaw in np.radians([-40, 0, 40]):
        view = np.array([[np.sin(yaw), 0, np.cos(yaw)]], np.float32)
        values.append(lighting.specular(normal, view, ones, 0.4 * ones, ones)[0, 1])
    assert np.ptp(values) > 0.02


def test_tone_rises_and_never_clips():
    radiance = np.linspace(0, 8, 500, dtype=np.float32)
    display = tone(radiance)
    assert display[0] == 0 and (np.diff(display) > 0).all() and display[-1] < 1
