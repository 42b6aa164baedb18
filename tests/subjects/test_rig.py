import numpy as np
import pytest

from esca.captures.rig import rig_of
from esca.errors import EscaError
from esca.subjects.rig import (
    FRONT,
    LEFT,
    MAX_CAMERAS,
    RIGHT,
    rest_transform,
    rotation_matrix,
    studio_rig,
)


@pytest.fixture(scope="module")
def rig():
    return {camera.id: camera for camera in studio_rig(MAX_CAMERAS)}


def test_distances_and_focal_lengths_are_those_of_multiface(rig):
    head = rest_transform()[:, 3]
    for camera in rig.values():
        assert 1030 <= np.linalg.norm(camera.centre - head) <= 1190
        assert 7600 <= camera.intrinsics[0, 0] <= 7800
        assert 7600 <= camera.intrinsics[1, 1] <= 7800
        assert not camera.distortion.any()
        assert camera.size == (2048, 1334)
        rotation = camera.extrinsics[:, :3]
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) > 0


def test_ids_are_a_v1_rig_in_order():
    for count in (3, 12, MAX_CAMERAS):
        ids = [camera.id for camera in studio_rig(count)]
        assert len(set(ids)) == count
        assert ids == sorted(ids)
        assert {FRONT, LEFT, RIGHT} <= set(ids)
        assert rig_of(ids) == "v1"


def test_views_stand_where_they_are_said_to(rig):
    def view(name):
        return rig[name].view_direction(rest_transform())

    assert view(FRONT) @ [0, 0, 1] > 0.999
    assert np.degrees(np.arctan2(view(LEFT)[0], view(LEFT)[2])) == pytest.approx(42, abs=0.5)
    assert np.degrees(np.arctan2(view(RIGHT)[0], view(RIGHT)[2])) == pytest.approx(-42, abs=0.5)


def test_pictures_are_upright_and_hold_the_face(rig):
    points = np.array([[0, 0, 60], [60, 0, 60], [0, 60, 60], [0, -120, 60]], float)
    for name in (FRONT, LEFT, RIGHT):
        projection = rig[name].projection(rest_transform())
        pixels = points @ projection[:, :3].T + projection[:, 3]
        x, y = (pixels[:, :2] / pixels[:, 2:]).T
        assert x[1] > x[0] + 100  # the subject's left is on the right of the picture
        assert y[2] < y[0] - 100  # up is up
        assert ((x > 0) & (x < 1334) & (y > 0) & (y < 2048)).all()


def test_world_axes_are_not_head_axes():
    assert np.abs(rest_transform()[:, :3] - np.eye(3)).max() > 0.5


def test_rotation_matrix_turns_by_its_length():
    turned = rotation_matrix(np.array([0, 0, np.pi / 2])) @ [1, 0, 0]
    np.testing.assert_allclose(turned, [0, 1, 0], atol=1e-12)


@pytest.mark.parametrize("count", [0, 2, MAX_CAMERAS + 1])
def test_impossible_counts(count):
    with pytest.raises(EscaError, match="cameras"):
        studio_rig(count)
