"""Where this machine's data lives: images, templates, the database, logs.

Takes the environment as a value, so that ``os.environ`` is read at the border only.
"""

from collections.abc import Mapping
from pathlib import Path

VARIABLE = "TERRAPHIM_DATA_DIR"


def data_directory(environ: Mapping[str, str]) -> Path:
    """Return the absolute data directory; it need not exist.

    ``TERRAPHIM_DATA_DIR`` wins, then ``$XDG_DATA_HOME/terraphim-runner``, then ``~/.local/share/terraphim-runner``.
    A relative ``XDG_DATA_HOME`` is ignored, as the XDG Base Directory Specification asks.
    """
    if chosen := environ.get(VARIABLE):
        return Path(chosen).expanduser().absolute()
    xdg = environ.get("XDG_DATA_HOME", "")
    if xdg.startswith("/"):
        return Path(xdg) / "terraphim-runner"
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    return home.absolute() / ".local" / "share" / "terraphim-runner"


def image_directory(environ: Mapping[str, str]) -> Path:
    """Return where VM images are stored."""
    return data_directory(environ) / "images"
