"""Options that several commands share, so that they are spelled and explained the same everywhere."""

from pathlib import Path
from typing import Annotated

import typer

CONFIG = Annotated[
    Path | None,
    typer.Option(
        "--config", help="The school file. Default: $MANGLANH_CONFIG, ./school.yaml, a running demo's, /etc/manglanh/school.yaml."
    ),
]
FOLDER = Annotated[Path, typer.Option("--folder", metavar="DIR", help="The publisher's folder. Default: the current one.")]
JSON = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
RTYPE = Annotated[str, typer.Option("--type", help="The query type: A, AAAA, HTTPS, MX, ...")]
CLIENT = Annotated[str, typer.Option("--client", help="The address that asks, for example 10.0.12.5.")]
FOR = Annotated[str, typer.Option("--for", help="For how long: 45m, 1h30m. At most a day.")]
UNTIL = Annotated[str, typer.Option("--until", help="Until when, by the school's clock: 11:15.")]
BY = Annotated[str, typer.Option("--by", help="Who does it; it is kept with the change. Default: your login name.")]
REASON = Annotated[str, typer.Option("--reason", help="Why; it is kept with the change.")]
