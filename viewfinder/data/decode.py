"""One image file: is it readable, its shape, and its pixels as a uint8 square."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

# fmt: off
EXTENSIONS = frozenset((
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff",
    ".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".jp2",
))
# fmt: on
# Pillow can open far more, some through outside programs (EPS runs Ghostscript).
_WANTED = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000")
MAX_PIXELS = 89_478_485  # a quarter of a GB as 8-bit RGB; Pillow warns of a bomb from here on
_GREY_MODES = frozenset(("1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N"))


class UnreadableImageError(Exception):
    """A file that holds no image we can read; the text is the reason, for the user."""


@dataclass(frozen=True)
class Header:
    """What a file says of itself without being decoded."""

    channels: int
    complete: bool
    height: int
    width: int


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Without Pillow's warnings about odd files; to be entered by one thread at a time."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _WANTED if name in Image.OPEN)


FORMATS = _formats()


def _opened(path: Path) -> Image.Image:
    try:
        if path.stat().st_size == 0:
            raise UnreadableImageError("empty file (0 bytes)")
        image = Image.open(path, formats=FORMATS)
    except FileNotFoundError:
        where = f"a link to {path.readlink()}, which is not there" if path.is_symlink() else ""
        raise UnreadableImageError(where or "there is no such file") from None
    except PermissionError:
        raise UnreadableImageError("no permission to read it") from None
    except UnidentifiedImageError:
        raise UnreadableImageError("not an image, or damaged at its beginning") from None
    except Image.DecompressionBombError:
        raise UnreadableImageError(f"more than {MAX_PIXELS:,} pixels") from None
    except UnreadableImageError:
        raise
    except Exception as error:  # a damaged file may make a decoder raise almost anything
        raise UnreadableImageError(f"damaged: {error}") from None
    width, height = image.size
    if width * height > MAX_PIXELS:
        image.close()
        raise UnreadableImageError(
            f"{width}x{height} is more than {MAX_PIXELS:,} pixels; make it smaller"
        )
    return image


def read_header(path: Path) -> Header:
    """Open a file without decoding it; UnreadableImageError with the reason if that fails.

    Height and width are those of the upright image.

    ``complete`` is False where the end of the file is not what its format prescribes: a hint of
    truncation, to be confirmed by decoding, as cameras append things to good files too.
    """
    with _opened(path) as image:
        channels = 1 if image.mode in _GREY_MODES else 3
        width, height = image.size
        if _lies(image):
            width, height = height, width
        return Header(channels, _ends_well(path, image.format or ""), height, width)


def _ends_well(path: Path, kind: str) -> bool:
    with path.open("rb") as file:
        head = file.read(12)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 12))
        tail = file.read()
    if kind in ("JPEG", "MPO"):
        return tail.endswith(b"\xff\xd9")
    if kind == "PNG":
        return tail[4:8] == b"IEND"
    if kind == "GIF":
        return tail.endswith(b";")
    if kind == "WEBP":
        return int.from_bytes(head[4:8], "little") + 8 <= size
    return True


def decode(path: Path, size: int, channels: int) -> np.ndarray:
    """The upright image of a file as uint8 (size, size, channels), antialiased.

    It is whole: one that is not square is stretched (``read_header`` tells its sides). EXIF
    orientation is applied; of animations the first frame is taken; transparent pixels are laid on
    white; 16-bit grey is scaled by 255/65535; CMYK and palettes become RGB, RGB becomes ITU-R 601
    luma where ``channels`` is 1. Raises UnreadableImageError with the reason.
    """
    with _opened(path) as image:
        try:
            # JPEGs are decoded at a fraction of their size, still twice what is needed.
            image.draft(None, (2 * size, 2 * size))
            image.load()
            upright = _simple_mode(_upright(image))
            square = upright.resize((size, size), Image.Resampling.BILINEAR)
        except UnreadableImageError:
            raise
        except Exception as error:  # as above
            raise UnreadableImageError(f"truncated or damaged: {error}") from None
    pixels = np.asarray(square.convert("RGB" if channels == 3 else "L"))
    return pixels.reshape(size, size, channels)


def _lies(image: Image.Image) -> bool:
    """Whether EXIF says to turn the image by a quarter."""
    try:
        # PNG's own getexif decodes the pixels first, in case the tag stands behind them
        turned = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
        # Pillow has already turned the size of a TIFF
        stored = getattr(image, "tag_v2", {}).get(ExifTags.Base.ImageWidth, image.size[0])
        return turned and stored == image.size[0]
    except Exception:  # broken EXIF, as below
        return False


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # broken EXIF, in any of many ways, is no reason to lose the picture
        return image


def _simple_mode(image: Image.Image) -> Image.Image:
    """The image as 8-bit L or RGB."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        wide = np.asarray(image).astype(np.uint32).clip(0, 65535)
        return Image.fromarray(((wide * 255 + 32767) // 65535).astype(np.uint8))
    if image.mode in ("I", "F"):
        kind = "32-bit integers" if image.mode == "I" else "floats"
        raise UnreadableImageError(f"pixels are {kind}; 8 or 16 bits are expected")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        white.alpha_composite(layer)
        return white.convert("L" if image.mode in _GREY_MODES else "RGB")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")
