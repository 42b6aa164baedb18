import sys
import threading

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from esca.errors import EscaError
from esca.evaluation.vdp import displays, jod

pyfvvdp = pytest.importorskip("pyfvvdp")

Video = NDArray[np.uint8]


def video(noise: float) -> tuple[Video, Video]:
    random = np.random.default_rng(0)
    row, column = np.mgrid[:40, :48]
    frames = [128 + 80 * np.sin(column / 5 + f / 3) * np.cos(row / 7) for f in range(3)]
    reference = np.repeat(np.stack(frames)[..., None], 3, axis=3)
    test = np.clip(reference + random.normal(0, noise, reference.shape), 0, 255)
    return test.astype(np.uint8), reference.astype(np.uint8)


def stock(test: Video, reference: Video, foveated: bool) -> float:
    metric = pyfvvdp.fvvdp(
        display_name="standard_fhd", foveated=foveated, quiet=True, device=torch.device("cpu")
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several slow it down on small pictures
    score, _ = metric.predict(test, reference, dim_order="FHWC", frames_per_second=30)
    torch.set_num_threads(threads)
    return float(score)


def test_equal_videos_score_ten() -> None:
    _, reference = video(0)
    assert jod(reference, reference) == 10


def test_more_noise_scores_less() -> None:
    scores = [jod(*video(noise)) for noise in (3, 10, 30)]
    assert 10 > scores[0] > scores[1] > scores[2] > 0


@pytest.mark.parametrize("foveated", [False, True])
@pytest.mark.skipif(torch.cuda.is_available(), reason="the reference runs on the CPU")
def test_it_is_the_packages_own_figure(foveated: bool) -> None:
    test, reference = video(15)
    score = jod(test, reference, foveated=foveated)
    assert score == pytest.approx(stock(test, reference, foveated), abs=1e-4)


def test_fixation_matters_only_when_foveated() -> None:
    test, reference = video(15)
    test[:, :, 24:] = reference[:, :, 24:]
    left, right = [4, 20], [44, 20]
    assert jod(test, reference, fixation=left) == jod(test, reference, fixation=right)
    near = jod(test, reference, "standard_hmd", foveated=True, fixation=left)
    far = jod(test, reference, "standard_hmd", foveated=True, fixation=right)
    assert near != far


def test_threads_get_the_same_figure_and_torch_keeps_its_threads() -> None:
    test, reference = video(10)
    before = torch.get_num_threads()
    expected = jod(test, reference)
    scores: list[float] = []
    workers = [
        threading.Thread(target=lambda: scores.append(jod(test, reference))) for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert scores == [expected, expected]
    assert torch.get_num_threads() == before


def test_displays_are_listed_and_unknown_ones_named() -> None:
    assert {"standard_fhd", "standard_hmd"} <= set(displays())
    test, reference = video(3)
    with pytest.raises(EscaError, match=r"display: expected one of .*standard_fhd.*'cinema'"):
        jod(test, reference, display="cinema")


def test_videos_that_do_not_fit_are_named() -> None:
    test, reference = video(3)
    with pytest.raises(EscaError, match="videos: expected two of one shape"):
        jod(test[1:], reference)
    with pytest.raises(EscaError, match="videos: expected uint8"):
        jod(test / 255, reference / 255)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyfvvdp", None)
    test, reference = video(3)
    with pytest.raises(EscaError, match=r"pip install esca\[vdp\]"):
        jod(test, reference, display="standard_4k")
