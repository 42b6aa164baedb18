"""The camera rig of the studio: a half dome of cameras as on a MultiFace (Mugsy v1) stage.

Angles are about the middle of the head: yaw grows towards the subject's left, pitch upwards. The
front camera is ``400029``; ``400012`` stands on the subject's *left* (it sees the left cheek, and
the nose points to the left edge of its picture), ``400017`` on the subject's right.
"""

import numpy as np

from esca.captures.geometry import Camera, FloatArray
from esca.errors import EscaError

FRONT, LEFT, RIGHT = "400029", "400012", "400017"

AIM = np.array([0.0, -12.0, 20.0])
"""Point that every camera looks at, head-aligned mm: a little below and before the origin."""

_STANDS: tuple[tuple[str, float, float], ...] = (
    (FRONT, 0.0, 1.0),
    (LEFT, 42.0, 3.0),
    (RIGHT, -42.0, 3.0),
    ("400002", 19.0, 21.0),
    ("400070", -20.0, 20.0),
    ("400037", 20.0, -18.0),
    ("400049", -19.0, -19.0),
    ("400015", 66.0, -6.0),
    ("400059", -67.0, -5.0),
    ("400026", 1.0, 34.0),
    ("400041", -2.0, -31.0),
    ("400018", 48.0, 25.0),
    ("400063", -49.0, 24.0),
    ("400009", 46.0, -20.0),
    ("400055", -47.0, -21.0),
    ("400030", 20.0, 2.0),
    ("400027", -21.0, 2.0),
    ("400007", 82.0, 8.0),
    ("400067", -83.0, 9.0),
    ("400031", 1.0, 16.0),
    ("400028", -1.0, -15.0),
    ("400013", 31.0, 11.0),
    ("400016", -32.0, 10.0),
    ("400010", 55.0, 8.0),
    ("400060", -55.0, 7.0),
    ("400019", 32.0, 36.0),
    ("400064", -33.0, 37.0),
    ("400008", 71.0, 20.0),
    ("400069", -72.0, 19.0),
    ("400035", 9.0, -24.0),
    ("400042", -10.0, -25.0),
    ("400004", 10.0, 10.0),
    ("400061", -10.0, 10.0),
    ("400023", 33.0, -10.0),
    ("400048", -33.0, -10.0),
    ("400039", 10.0, -8.0),
    ("400050", -10.0, -8.0),
    ("400051", 60.0, -24.0),
    ("400053", -60.0, -24.0),
)

MAX_CAMERAS = len(_STANDS)


def rest_transform() -> FloatArray:
    """(3, 4) head-to-world ``[R|t]`` of the head at rest, mm.

    World axes are those of the stage, not of the head (about x right, y down, z away from the front
    camera, tilted), so that a confusion of the two cannot go unnoticed.
    """
    turn = np.diag([1.0, -1.0, -1.0])
    rotation = rotation_matrix(np.array([0.12, -0.07, 0.05])) @ turn
    return np.hstack([rotation, np.array([[-21.0], [34.0], [1042.0]])])


def rotation_matrix(vector: FloatArray) -> FloatArray:
    """(3, 3) rotation about ``vector``, (3,), by its length in radians (Rodrigues)."""
    angle = float(np.linalg.norm(vector))
    if angle == 0.0:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * cross @ cross


def studio_rig(count: int = 12) -> tuple[Camera, ...]:
    """The first ``count`` cameras of the stage, ordered by id, with front, left and right.

    They stand 1.03-1.19 m from the middle of the head with focal lengths of 7600-7800 px, so that
    a face fills the 2048 x 1334 picture. Raises EscaError unless 3 <= ``count`` <= 39.
    """
    if not 3 <= count <= MAX_CAMERAS:
        raise EscaError(f"cameras: {count!r} asked for; the rig has 3 to {MAX_CAMERAS}")
    stands = [_camera(index, *stand) for index, stand in enumerate(_STANDS[:count])]
    return tuple(sorted(stands, key=lambda camera: camera.id))


def _camera(index: int, name: str, yaw: float, pitch: float) -> Camera:
    # Golden-ratio sequence: every camera a little different, the same in every rig.
    vary = np.modf((index + 1) * np.array([0.618034, 0.754878, 0.569840, 0.819173, 0.671044]))[0]
    distance = 1035.0 + 150.0 * vary[0]
    focal = 7605.0 + 190.0 * vary[1]
    turn, lift = np.radians([yaw, pitch])
    outward = np.array([np.sin(turn) * np.cos(lift), np.sin(lift), np.cos(turn) * np.cos(lift)])
    centre = distance * outward
    forward = (AIM - centre) / np.linalg.norm(AIM - centre)
    right = np.cross(forward, np.array([0.0, 1.0, 0.0]))
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(forward, right), forward])
    roll = rotation_matrix(np.array([0.0, 0.0, np.radians(3.0 * (vary[2] - 0.5))]))
    head_to_camera = roll @ axes
    rest = rest_transform()
    rotation = head_to_camera @ rest[:, :3].T
    translation = -rotation @ (rest[:, :3] @ centre + rest[:, 3])
    intrinsics = np.array(
        [
            [focal, 0.0, 667.0 + 24.0 * (vary[3] - 0.5)],
            [0.0, focal * (1.0 + 2e-4 * (vary[4] - 0.5)), 1024.0 + 24.0 * (vary[4] - 0.5)],
            [0.0, 0.0, 1.0],
        ]
    )
    return Camera(name, intrinsics, np.hstack([rotation, translation[:, None]]), np.zeros(5))
