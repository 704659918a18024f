"""The control process stays small: what its libraries would load for nobody is not loaded, and everything works without it."""

import subprocess
import sys

LOADING = """
import sys
from gateway.cli.control import _be_small
_be_small()
import dashboard.app, dashboard.serving, gateway.cli.box, gateway.cli.first_school, gateway.cli.follower
app = dashboard.app.build(None)
assert app.openapi()["paths"]
assert dashboard.serving.open_site
loaded = {name.partition(".")[0] for name, module in sys.modules.items() if module is not None}
print(*sorted(loaded & {"rich", "pygments", "alembic", "mako", "authlib", "joserfc", "netaddr", "aiosmtplib", "asyncpg", "mitmproxy"}))
print(*sorted(name for name in ("pydantic.v1", "sqlalchemy.orm") if sys.modules.get(name) is not None))
"""


def test_what_nobody_asks_for_is_not_loaded():
    done = subprocess.run([sys.executable, "-W", "error::ImportWarning", "-c", LOADING], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
