"""Colors by name, and by the codes that OpenCV has for them."""

from __future__ import annotations

from matplotlib import colormaps
from matplotlib.colors import Colormap, LinearSegmentedColormap

from saliscope.core.errors import OptionError, nearest

__all__ = ["colormap_of"]

# cv2.COLORMAP_AUTUMN is 0, and so on; matplotlib has none like those left blank.
_CODES = (
    "autumn", "bone", "jet", "winter", "rainbow", "ocean", "summer", "spring", "cool", "hsv",
    "pink", "hot", "", "magma", "inferno", "plasma", "viridis", "cividis", "twilight",
    "twilight_shifted", "turbo", "",
)  # fmt: skip
_RAINBOW, _OCEAN = 4, 5
# Octave's, which OpenCV follows; matplotlib's of the same names are others.
_OWN = {
    _RAINBOW: LinearSegmentedColormap.from_list(
        "rainbow of OpenCV",
        [(0.0, "#ff0000"), (0.4, "#ffff00"), (0.6, "#00ff00"), (0.8, "#0000ff"), (1.0, "#aa00ff")],
    ),
    _OCEAN: LinearSegmentedColormap.from_list(
        "ocean of OpenCV",
        [(0.0, (0, 0, 0)), (1 / 3, (0, 0, 1 / 3)), (2 / 3, (0, 1 / 2, 2 / 3)), (1.0, (1, 1, 1))],
    ),
}


def colormap_of(given: str | int) -> Colormap:
    """Return a map of colors.

    Parameters
    ----------
    given : str or int
        A name of matplotlib's, or one of the codes ``cv2.COLORMAP_*``; OpenCV is not needed.

    Raises
    ------
    OptionError
        There is none of that name; a code without a counterpart (12, parula, and 21, deep green).

    Examples
    --------
    >>> colormap_of(2).name, colormap_of("cividis").name
    ('jet', 'cividis')
    >>> colormap_of(12)
    Traceback (most recent call last):
        ...
    saliscope.core.errors.OptionError: colormap=12 has no counterpart here; give a name of \
matplotlib's, such as 'cividis', or the code of another (0 to 20 but 12)
    """
    if isinstance(given, bool) or not isinstance(given, (str, int)):
        msg = f"colormap={given!r} is neither a name nor a code of OpenCV's"
        raise OptionError(msg)
    if isinstance(given, str):
        if given not in colormaps:
            msg = f"colormap={given!r} does not exist: {nearest(given, list(colormaps))}"
            raise OptionError(msg)
        return colormaps[given]
    if given in _OWN:
        return _OWN[given]
    if not 0 <= given < len(_CODES) or not _CODES[given]:
        msg = (
            f"colormap={given} has no counterpart here; give a name of matplotlib's, such as "
            "'cividis', or the code of another (0 to 20 but 12)"
        )
        raise OptionError(msg)
    return colormaps[_CODES[given]]
