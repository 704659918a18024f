"""``python -m dashboard.store.migrations "what changes"``: a new revision, from the difference between the last one and tables.py.  [shell]"""

import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine


def main(what: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "revision_%%(rev)s")
    known = sum(1 for _ in ScriptDirectory.from_config(config).walk_revisions())
    with tempfile.TemporaryDirectory() as scratch:
        engine = create_engine(f"sqlite:///{scratch}/store.db")
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            command.revision(config, what, autogenerate=True, rev_id=f"{known + 1:04}")
        engine.dispose()


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or "what changes")
