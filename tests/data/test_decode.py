from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import functional as tf

from viewfinder.data.decode import UnreadableImageError, decode, quiet_pillow, read_header

# How a picture must be stored so that a reader which obeys the tag shows it upright (EXIF 2.3,
# tag 0x0112).
STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: np.rot90(upright),
    7: lambda upright: upright[::-1, ::-1].transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation_is_respected(tmp_path: Path, orientation: int) -> None:
    upright = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(STORED[orientation](upright))
    Image.fromarray(stored).save(tmp_path / "x.png", exif=exif)
    np.testing.assert_array_equal(decode(tmp_path / "x.png", 8, 3), upright)


@pytest.mark.parametrize("extension", ["png", "jpg", "webp", "tiff"])
@pytest.mark.parametrize("orientation", STORED)
def test_the_sides_are_those_of_the_upright_image(
    tmp_path: Path, orientation: int, extension: str
) -> None:
    upright = np.zeros((8, 12, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(STORED[orientation](upright))
    Image.fromarray(stored).save(tmp_path / f"x.{extension}", exif=exif)
    header = read_header(tmp_path / f"x.{extension}")
    assert (header.height, header.width) == (8, 12)


def test_broken_exif_does_not_lose_the_picture(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), (10, 20, 30)).save(tmp_path / "x.jpg", exif=b"Exif\0\0II*\0\xff\xff")
    np.testing.assert_allclose(decode(tmp_path / "x.jpg", 4, 3)[0, 0], [10, 20, 30], atol=3)


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    # cyan 1, others 0: no red, full green and blue
    Image.new("CMYK", (16, 16), (255, 0, 0, 0)).save(tmp_path / "x.jpg", quality=100)
    assert read_header(tmp_path / "x.jpg").channels == 3
    np.testing.assert_allclose(decode(tmp_path / "x.jpg", 4, 3)[1, 1], [0, 255, 255], atol=3)


@pytest.mark.parametrize("extension", ["png", "tiff"])
def test_16_bit_grey_keeps_its_scale(tmp_path: Path, extension: str) -> None:
    values = np.array([[0, 257, 25700], [32896, 65278, 65535], [1, 200, 450]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / f"x.{extension}")
    assert read_header(tmp_path / f"x.{extension}").channels == 1
    expected = np.round(values / 257).astype(np.uint8)
    np.testing.assert_array_equal(decode(tmp_path / f"x.{extension}", 3, 1)[..., 0], expected)


def test_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "lime")]
    for extension in ("gif", "png", "webp"):
        path = tmp_path / f"x.{extension}"
        frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
        np.testing.assert_array_equal(decode(path, 2, 3)[0, 0], [255, 0, 0])


def test_transparent_pixels_lie_on_white(tmp_path: Path) -> None:
    red_half = np.array([[[255, 0, 0, 255], [0, 0, 0, 0]]] * 2, dtype=np.uint8)
    Image.fromarray(red_half).save(tmp_path / "rgba.png")
    expected = np.array([[[255, 0, 0], [255, 255, 255]]] * 2)
    np.testing.assert_array_equal(decode(tmp_path / "rgba.png", 2, 3), expected)
    palette = Image.new("P", (2, 2), 0)
    palette.putpalette([9, 9, 9, 255, 0, 0])
    palette.putpixel((0, 0), 1)
    palette.save(tmp_path / "p.png", transparency=0)
    assert decode(tmp_path / "p.png", 2, 3).tolist()[0] == [[255, 0, 0], [255, 255, 255]]
    Image.fromarray(red_half[..., 2:]).save(tmp_path / "la.png")
    assert decode(tmp_path / "la.png", 2, 1)[0, :, 0].tolist() == [0, 255]


def test_bilevel_is_black_and_white(tmp_path: Path) -> None:
    Image.fromarray(np.array([[True, False], [False, True]])).save(tmp_path / "x.png")
    assert decode(tmp_path / "x.png", 2, 1)[..., 0].tolist() == [[255, 0], [0, 255]]


@pytest.mark.parametrize("shape", [(64, 96), (96, 64), (64, 64)])
def test_the_square_is_the_whole_image_as_torchvision_resizes_it(
    tmp_path: Path, make_picture: Callable[..., Image.Image], shape: tuple[int, int]
) -> None:
    image = make_picture(1, *shape)
    image.save(tmp_path / "x.png")
    expected = np.asarray(tf.resize(image, [32, 32], antialias=True)).astype(int)
    assert np.abs(decode(tmp_path / "x.png", 32, 3) - expected).max() <= 1
    header = read_header(tmp_path / "x.png")
    assert (header.height, header.width) == shape


def test_reduced_jpeg_decoding_changes_little(
    tmp_path: Path, make_picture: Callable[..., Image.Image]
) -> None:
    make_picture(2, 480, 640).save(tmp_path / "x.jpg", quality=95)
    full = Image.open(tmp_path / "x.jpg").resize((32, 32), Image.BILINEAR)
    assert np.abs(decode(tmp_path / "x.jpg", 32, 3).astype(int) - np.asarray(full)).max() <= 4


def test_rgb_to_one_channel_is_pillows_luma(
    tmp_path: Path, make_picture: Callable[..., Image.Image]
) -> None:
    image = make_picture(3, 8, 8)
    image.save(tmp_path / "x.png")
    expected = np.asarray(image.convert("L"))
    np.testing.assert_array_equal(decode(tmp_path / "x.png", 8, 1)[..., 0], expected)
    assert decode(tmp_path / "x.png", 8, 3).shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("zero", "0 bytes"),
        ("text", "not an image"),
        ("truncated_jpeg", "truncated"),
        ("truncated_png", "truncated"),
        ("huge", "10000x10000"),
        ("bomb", "pixels"),
        ("float", "float"),
        ("missing", "which is not there"),
    ],
)
def test_bad_files_say_what_is_wrong(bad_files: dict[str, Path], kind: str, reason: str) -> None:
    with quiet_pillow(), pytest.raises(UnreadableImageError, match=reason):
        decode(bad_files[kind], 8, 3)


def test_no_outside_program_is_run_for_an_image(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    with pytest.raises(UnreadableImageError, match="not an image"):
        decode(tmp_path / "x.jpg", 8, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
def test_any_damage_is_unreadable_or_an_image(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "x"
    Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path, kind)
    sound = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    for _ in range(40):
        data = sound.copy()
        data[rng.integers(0, len(data), 6)] = rng.integers(0, 256, 6)
        path.write_bytes(data[: rng.integers(1, len(data) + 1)].tobytes())
        try:
            with quiet_pillow():
                read_header(path)
                assert decode(path, 8, 3).shape == (8, 8, 3)
        except UnreadableImageError:
            continue


def test_decoded_pixels_can_be_given_to_torch(
    tmp_path: Path, make_picture: Callable[..., Image.Image]
) -> None:
    make_picture(0).save(tmp_path / "x.png")
    assert torch.tensor(decode(tmp_path / "x.png", 5, 3)).dtype == torch.uint8
