"""Brings the database whose URL is on stdin to the newest revision."""

import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError


def main() -> int:
    """Migrate; return 1 with the reason on stderr when that cannot be done."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["url"] = sys.stdin.read().strip()
    try:
        command.upgrade(config, "head")
    except (CommandError, SQLAlchemyError) as error:
        sys.stderr.write(f"{error}".splitlines()[0] + "\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
