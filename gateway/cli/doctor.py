"""`manglanh doctor`: tests the live box, and says what to do about what is wrong."""

import time
from dataclasses import asdict

import typer

from gateway.cli.options import CONFIG, JSON
from gateway.cli.terminal import NO, print_json, terminal


def doctor(context: typer.Context, config: CONFIG = None, as_json: JSON = False) -> None:
    """Test the live box and say what to do: file, lists, clock, ports, upstreams, filtering."""
    from gateway.cli.examination import Finding, examine
    from gateway.cli.school import find, opened

    _ = terminal(context).translate
    marks = {"ok": _("fine"), "warn": _("note"), "fail": _("WRONG")}
    findings: list[Finding] = []
    with opened(find(config, _), _) as school:
        for finding in examine(school, time.time(), _):
            findings.append(finding)
            if not as_json:
                typer.echo(f"[{marks[finding.level]}] {finding.what}")
                if finding.advice:
                    typer.echo(f"    -> {finding.advice}")
    if as_json:
        print_json([asdict(finding) for finding in findings])
    raise typer.Exit(NO if any(finding.level == "fail" for finding in findings) else 0)
