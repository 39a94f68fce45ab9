"""What ``shapes`` draws, as fields over the plane: silhouettes, textures and backgrounds.

A silhouette is a signed distance d(x, y), negative inside, in units of the radius of the circle
around the origin that just holds the shape; x to the right, y up. Distances are exact to first
order at the outline, which is what antialiasing needs. Every upright silhouette is its own mirror
image, so a horizontal flip changes the rotation's sign and never the class.
A pattern is a mix m(x, y) in [0, 1] of two colours, of period 1.

Only +, -, ×, ÷, sqrt, abs, floor, min and max touch pixels: all are correctly rounded, so images
do not depend on the vector unit that happened to compute them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

Field = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _disc(
    x: np.ndarray, y: np.ndarray, radius: float = 1.0, cx: float = 0.0, cy: float = 0.0
) -> np.ndarray:
    return np.sqrt((x - cx) ** 2 + (y - cy) ** 2) - radius


def _box(x: np.ndarray, y: np.ndarray, half_width: float, bottom: float, top: float) -> np.ndarray:
    middle, half_height = (top + bottom) / 2, (top - bottom) / 2
    return np.maximum(np.abs(x) - half_width, np.abs(y - middle) - half_height)


def _roof(
    x: np.ndarray, y: np.ndarray, apex: float, half_width: float, height: float
) -> np.ndarray:
    """The wedge below (or, with height < 0, above) two lines that meet at (0, apex)."""
    length = float(np.hypot(half_width, height))
    sign = 1.0 if height > 0 else -1.0
    return (np.abs(x) * (abs(height) / length)) + (y - apex) * (sign * half_width / length)


def _ellipse(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    a, b = 1.0, 0.5
    k = np.sqrt((x / a) ** 2 + (y / b) ** 2)
    slope = np.sqrt((x / a**2) ** 2 + (y / b**2) ** 2)
    return k * (k - 1) / np.maximum(slope, 1e-6)


def _half_disc(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    radius = 1 / np.sqrt(1 + 0.4**2)
    return np.maximum(_disc(x, y, radius, cy=-0.4 * radius), -0.4 * radius - y)


def _drop(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    radius, centre = 0.58, -0.42
    sine = radius / (1 - centre)
    cosine = np.sqrt(1 - sine**2)
    cone = np.maximum(np.abs(x) * cosine + (y - 1) * sine, centre + radius * sine - y)
    return np.minimum(_disc(x, y, radius, cy=centre), cone)


def _ring(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.abs(np.sqrt(x**2 + y**2) - 0.725) - 0.275


def _crescent(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(_disc(x, y), -_disc(x, y, 0.75, cy=0.5))


def _heart(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    h, shift = 0.7929, 0.2071  # the square's half diagonal; apex and lobes both reach radius 1
    x, y = np.abs(x), y + shift
    square = (x + np.abs(y) - h) * float(np.sqrt(0.5))
    return np.minimum(square, _disc(x, y, h * float(np.sqrt(0.5)), cx=h / 2, cy=h / 2))


def _clover(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    side = float(np.sqrt(0.75)) * 0.52
    lobes = np.minimum(_disc(x, y, 0.48, cy=0.52), _disc(x, y, 0.48, cx=side, cy=-0.26))
    return np.minimum(lobes, _disc(x, y, 0.3))


def _square(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    half = float(np.sqrt(0.5))
    return _box(x, y, half, -half, half)


def _rectangle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    half_width, half_height = 0.91, float(np.sqrt(1 - 0.91**2))
    return _box(x, y, half_width, -half_height, half_height)


def _triangle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(_roof(x, y, 1.0, float(np.sqrt(0.75)), 1.5), -0.5 - y)


def _kite(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(_roof(x, y, 1.0, 0.62, 0.6), _roof(x, y, -1.0, 0.62, -1.4))


def _star(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    # Fold the plane about two valleys and the axis into half a point: one edge is left.
    x = np.abs(x)
    for angle in (0.6 * np.pi, 0.2 * np.pi):
        nx, ny = float(np.cos(angle)), -float(np.sin(angle))
        over = 2 * np.maximum(nx * x + ny * y, 0)
        x, y = x - over * nx, y - over * ny
    x = np.abs(x)
    inner = 0.42
    ex, ey = inner * float(np.sin(np.pi / 5)), inner * float(np.cos(np.pi / 5)) - 1
    length = float(np.hypot(ex, ey))
    return (-x * ey + (y - 1) * ex) / length


def _arrow(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    head = np.maximum(_roof(x, y, 1.0, 0.95, 1.0), -y)
    return np.minimum(head, _box(x, y, 0.3, -0.95, 0.5))


def _plus(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    long = float(np.sqrt(1 - 0.27**2))
    return np.minimum(_box(x, y, long, -0.27, 0.27), _box(x, y, 0.27, -long, long))


def _tee(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    bar = _box(x, y, 0.8, 0.1, 0.6)
    return np.minimum(bar, _box(x, y, 0.27, -0.96, 0.5))


SILHOUETTES: Mapping[str, Field] = {
    "circle": _disc,
    "ellipse": _ellipse,
    "half disc": _half_disc,
    "drop": _drop,
    "ring": _ring,
    "crescent": _crescent,
    "heart": _heart,
    "clover": _clover,
    "square": _square,
    "rectangle": _rectangle,
    "triangle": _triangle,
    "kite": _kite,
    "star": _star,
    "arrow": _arrow,
    "plus": _plus,
    "tee": _tee,
}


def _wave(t: np.ndarray) -> np.ndarray:
    """A triangle wave of period 1 from 0 (at integers) to 1 (half way)."""
    return 1 - np.abs(2 * (t - np.floor(t)) - 1)


def _sharpen(m: np.ndarray) -> np.ndarray:
    return np.clip(2.5 * m - 0.75, 0, 1)


def _plain(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.zeros_like(x)


def _stripes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _sharpen(_wave(x))


def _checks(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _sharpen(0.5 + 2 * (_wave(x) - 0.5) * (_wave(y) - 0.5))


def _dots(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    fx, fy = x - np.floor(x) - 0.5, y - np.floor(y) - 0.5
    return np.clip(4 * (0.35 - np.sqrt(fx**2 + fy**2)) + 0.5, 0, 1)


def _shade(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _wave(0.25 * y)


def _clouds(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    a, b = _wave(0.5 * x + 0.23 * y), _wave(0.61 * y - 0.17 * x)
    m = 0.5 * (a + b)
    return m * m * (3 - 2 * m)


PATTERNS: Mapping[str, Field] = {
    "plain": _plain,
    "shaded": _shade,
    "striped": _stripes,
    "checked": _checks,
    "dotted": _dots,
    "cloudy": _clouds,
}
