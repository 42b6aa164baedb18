"""The catalogue of performances: what the subject does in each named segment.

Names follow the style of MultiFace v1. A performance is a sum of tracks; a track walks through
poses (expression weights by ARKit name) at a steady beat. Held-out ranges of motion combine upper
and lower face as no training segment does, with no weight above what training shows.
"""

from collections.abc import Mapping
from dataclasses import dataclass

Pose = Mapping[str, float]

HELD_OUT_PREFIX = "EXP_ROM"


@dataclass(frozen=True)
class Track:
    """Poses in turn, ``beat`` seconds each, of which the share ``hold`` is spent still."""

    poses: tuple[Pose, ...]
    beat: float
    hold: float = 0.35


@dataclass(frozen=True)
class Performance:
    """A named segment: tracks that add up. ``sway`` scales head motion; ``share`` its length."""

    name: str
    tracks: tuple[Track, ...]
    blinks: bool = True
    sway: float = 1.0
    share: float = 1.0

    @property
    def held_out(self) -> bool:
        """Whether MultiFace's protocol keeps the segment for testing."""
        return self.name.startswith(HELD_OUT_PREFIX)


def both(weight: float, *names: str) -> dict[str, float]:
    """The same weight for the left and right expressions of ``names``."""
    return {f"{name}_{side}": weight for name in names for side in "LR"}


REST: Pose = {}

VISEMES: Mapping[str, Pose] = {
    "sil": {},
    "aa": {"jawOpen": 0.55, **both(0.15, "mouthLowerDown")},
    "ee": {"jawOpen": 0.16, **both(0.45, "mouthStretch"), **both(0.25, "mouthSmile")},
    "ih": {"jawOpen": 0.22, **both(0.25, "mouthStretch"), **both(0.1, "mouthUpperUp")},
    "oh": {"jawOpen": 0.38, "mouthFunnel": 0.55},
    "oo": {"jawOpen": 0.14, "mouthPucker": 0.7, "mouthFunnel": 0.25},
    "mm": {**both(0.45, "mouthPress"), "mouthRollLower": 0.3, "mouthRollUpper": 0.25},
    "ff": {"jawOpen": 0.08, "mouthRollLower": 0.6, **both(0.25, "mouthUpperUp")},
    "th": {"jawOpen": 0.2, **both(0.2, "mouthLowerDown", "mouthUpperUp"), "tongueOut": 0.2},
    "ll": {"jawOpen": 0.28, **both(0.2, "mouthLowerDown")},
    "ss": {"jawOpen": 0.05, **both(0.35, "mouthStretch"), **both(0.25, "mouthUpperUp")},
    "sh": {"jawOpen": 0.1, "mouthFunnel": 0.6, **both(0.2, "mouthUpperUp")},
    "rr": {"jawOpen": 0.15, "mouthPucker": 0.4},
    "kk": {"jawOpen": 0.24, **both(0.12, "mouthStretch")},
}


def _speech(visemes: str) -> Track:
    return Track(tuple(VISEMES[name] for name in visemes.split()), beat=0.14, hold=0.0)


def _gaze(vertical: float, horizontal: float) -> dict[str, float]:
    """Both eyes turned: ``vertical`` up, ``horizontal`` to the subject's left, in [-1, 1]."""
    up, left = max(vertical, 0.0), max(horizontal, 0.0)
    down, right = max(-vertical, 0.0), max(-horizontal, 0.0)
    return {
        **both(up, "eyeLookUp"),
        **both(down, "eyeLookDown"),
        "eyeLookOut_L": left,
        "eyeLookIn_R": left,
        "eyeLookIn_L": right,
        "eyeLookOut_R": right,
    }


def _saccades(*turns: tuple[float, float]) -> Track:
    return Track(tuple(_gaze(*turn) for turn in turns), beat=0.5, hold=0.7)


def _mouthy(name: str, *poses: Pose, blinks: bool = True, share: float = 1.0) -> Performance:
    """A training performance: each pose out of rest and back."""
    steps = tuple(step for pose in poses for step in (pose, REST))
    return Performance(name, (Track((REST, *steps[:-1]), beat=0.6),), blinks, share=share)


_SMILE = {**both(0.9, "mouthSmile"), **both(0.45, "cheekSquint"), **both(0.2, "mouthUpperUp")}
_DISGUST = {
    **both(0.9, "noseSneer"),
    **both(0.6, "mouthUpperUp"),
    **both(0.5, "browDown"),
    "jawOpen": 0.12,
}

TRAINING: tuple[Performance, ...] = (
    Performance("E001_Neutral_Eyes_Open", (Track((REST,), beat=1.0),), sway=1.6, share=1.2),
    _mouthy("E002_Swallow", {**both(0.5, "mouthPress"), "mouthShrugLower": 0.4}, share=0.6),
    _mouthy("E003_Neutral_Eyes_Closed", both(1.0, "eyeBlink"), blinks=False),
    _mouthy("E004_Relaxed_Mouth_Open", {"jawOpen": 0.35}, {"jawOpen": 0.6}),
    _mouthy("E007_Jaw_Open_Extreme", {"jawOpen": 1.0, **both(0.3, "eyeWide")}, share=1.2),
    _mouthy("E009_Jaw_Left_Right", {"jawLeft": 0.9}, {"jawRight": 0.9}, share=1.2),
    _mouthy("E010_Jaw_Forward", {"jawForward": 0.9}, share=0.6),
    _mouthy("E013_Smile_Mouth_Closed", both(0.8, "mouthSmile", "mouthDimple")),
    _mouthy("E014_Smile_Wide", _SMILE, {**_SMILE, "jawOpen": 0.35}, share=1.4),
    _mouthy("E017_Smile_One_Side", {"mouthSmile_L": 0.9}, {"mouthSmile_R": 0.9}),
    _mouthy("E019_Frown", {**both(0.9, "mouthFrown"), "browInnerUp": 0.6}),
    _mouthy("E022_Lips_Pucker", {"mouthPucker": 1.0}, {"mouthFunnel": 0.9}, share=1.2),
    _mouthy("E024_Lips_Left_Right", {"mouthLeft": 0.9}, {"mouthRight": 0.9}, share=1.2),
    _mouthy("E027_Lips_Rolled_In", {"mouthRollLower": 0.9, "mouthRollUpper": 0.9}),
    _mouthy("E029_Show_All_Teeth", both(0.9, "mouthUpperUp", "mouthLowerDown"), share=1.2),
    _mouthy("E031_Lips_Stretched", both(0.9, "mouthStretch")),
    _mouthy("E033_Chin_Raised", {"mouthShrugLower": 0.9, "mouthShrugUpper": 0.6}),
    _mouthy("E036_Cheeks_Puffed", both(0.9, "cheekPuff")),
    _mouthy("E041_Nose_Wrinkled", both(0.9, "noseSneer"), _DISGUST),
    _mouthy("E045_Brows_Raised", {"browInnerUp": 0.9, **both(0.9, "browOuterUp")}),
    _mouthy("E047_Brows_Lowered", {**both(0.9, "browDown"), **both(0.3, "eyeSquint")}),
    _mouthy("E049_One_Brow_Raised", {"browOuterUp_L": 0.9}, {"browOuterUp_R": 0.9}),
    _mouthy("E052_Eyes_Wide", {**both(0.9, "eyeWide"), "browInnerUp": 0.4}),
    _mouthy("E054_Eyes_Squinted", both(0.9, "eyeSquint", "cheekSquint")),
    _mouthy("E057_Winks", {"eyeBlink_L": 1.0}, {"eyeBlink_R": 1.0}, blinks=False),
    Performance(
        "GAZ001_Eyes_Around",
        (_saccades((0, 0), (0, 0.9), (0, -0.9), (0.9, 0), (-0.9, 0)),),
        share=1.4,
    ),
    Performance(
        "GAZ002_Eyes_Diagonal",
        (_saccades((0, 0), (0.6, 0.6), (-0.6, -0.6), (0.6, -0.6), (-0.6, 0.6)),),
        share=1.2,
    ),
    Performance(
        "SEN001_The_Blue_Moon_Fell_Over_My_Shoes",
        (_speech("sil th ih mm ll oo mm oo ff aa ll oh ff rr mm aa ih sh oo ss sil"),),
        share=1.8,
    ),
    Performance(
        "SEN002_We_Saw_Four_Cheese_Flags",
        (_speech("sil oo ee ss oh ff oh rr sh ee ss ff ll aa kk ss sil"),),
        share=1.8,
    ),
    Performance(
        "SEN003_Open_A_Quiet_Path_Home",
        (_speech("sil oh mm ih ll aa kk oo aa ih th mm aa th oh mm sil"),),
        share=1.8,
    ),
)

HELD_OUT: tuple[Performance, ...] = (
    Performance(
        "EXP_ROM07_Facial_Expressions",
        (
            Track(
                (
                    {"browInnerUp": 0.35},
                    {"browInnerUp": 0.8, **both(0.8, "browOuterUp"), **both(0.6, "eyeWide")},
                    {**both(0.7, "browDown"), **both(0.4, "noseSneer")},
                    {"browOuterUp_R": 0.7, "browDown_L": 0.4, "eyeSquint_L": 0.5},
                ),
                beat=0.43,
            ),
            Track(
                (
                    {"mouthSmile_L": 0.3, "mouthSmile_R": 0.2},
                    {"jawOpen": 0.7, **both(0.45, "mouthSmile"), **both(0.25, "cheekSquint")},
                    {**both(0.7, "mouthUpperUp"), **both(0.6, "mouthStretch"), "jawOpen": 0.2},
                    {"mouthFunnel": 0.6, "jawOpen": 0.3, "mouthLeft": 0.3},
                    {**both(0.7, "mouthFrown"), "mouthShrugLower": 0.6},
                ),
                beat=0.37,
            ),
            _saccades((0, 0), (0.1, 0.4), (-0.3, -0.5), (0.4, 0.1)),
        ),
        sway=1.3,
        share=3.0,
    ),
    Performance(
        "EXP_ROM05_Talking_Expressions",
        (
            _speech("sil ee oo aa mm ff oh ll ss ih rr th aa sil sh ee"),
            Track(
                (both(0.2, "mouthSmile"), {"browInnerUp": 0.7}, both(0.5, "browDown", "eyeSquint")),
                beat=0.55,
            ),
            _saccades((0, 0.2), (-0.2, -0.3), (0.3, 0.0)),
        ),
        sway=1.2,
        share=1.0,
    ),
)
