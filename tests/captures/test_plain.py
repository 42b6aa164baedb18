import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from esca.captures.plain import (
    png_size,
    read_float32,
    read_numbers,
    read_png,
    read_variance,
    write_float32,
    write_png,
)
from esca.errors import EscaError

PICTURE = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)


def png_bytes() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(PICTURE).save(stream, format="PNG")
    return stream.getvalue()


def test_png_roundtrip(tmp_path):
    write_png(tmp_path / "a.png", PICTURE[::-1])
    np.testing.assert_array_equal(read_png(tmp_path / "a.png"), PICTURE[::-1])
    assert png_size(tmp_path / "a.png") == (9, 7)
    write_png(tmp_path / "g.png", PICTURE[..., 0])
    np.testing.assert_array_equal(read_png(tmp_path / "g.png", "L"), PICTURE[..., 0])


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
@given(st.data())
def test_a_damaged_png_is_one_error_or_a_picture(tmp_path, data):
    content = bytearray(png_bytes())
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "a.png"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        assert read_png(path).dtype == np.uint8
    except EscaError as error:
        assert str(path) in str(error)


def test_a_grey_file_is_not_taken_for_colour(tmp_path):
    write_png(tmp_path / "a.png", PICTURE[..., 0])
    with pytest.raises(EscaError, match="mode L, expected an 8-bit RGB PNG"):
        read_png(tmp_path / "a.png")
    with pytest.raises(EscaError, match="missing"):
        read_png(tmp_path / "b.png")


def test_a_jpeg_under_the_name_of_a_png(tmp_path):
    Image.fromarray(PICTURE).save(tmp_path / "a.png", format="JPEG")
    with pytest.raises(EscaError, match="not a readable PNG"):
        read_png(tmp_path / "a.png")


def test_float32_roundtrip_and_damage(tmp_path):
    path, values = tmp_path / "a.bin", np.arange(6, dtype=np.float32)
    write_float32(path, values)
    assert path.read_bytes() == values.astype("<f4").tobytes()
    np.testing.assert_array_equal(read_float32(path, 6), values)
    np.testing.assert_array_equal(read_float32(path), values)
    with pytest.raises(EscaError, match=r"holds 24 bytes, expected 36 \(9 float32 values\)"):
        read_float32(path, 9)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(EscaError, match="holds 23 bytes"):
        read_float32(path)
    write_float32(path, np.array([1.0, np.nan]))
    with pytest.raises(EscaError, match="NaN or infinity"):
        read_float32(path)
    path.write_bytes(b"")
    with pytest.raises(EscaError, match="holds 0 bytes"):
        read_float32(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [("1 2", "holds 2 numbers, expected 1"), ("x", "expected 1 finite"), ("nan", "not finite")],
)
def test_numbers_that_are_wrong(tmp_path, text, message):
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(EscaError, match=message):
        read_numbers(tmp_path / "a.txt", (1,))


def test_a_variance_is_positive(tmp_path):
    (tmp_path / "tex_var.txt").write_text("0\n")
    with pytest.raises(EscaError, match="expected a positive number"):
        read_variance(tmp_path / "tex_var.txt")
