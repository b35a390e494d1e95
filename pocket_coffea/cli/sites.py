"""``pocket-coffea sites``: the sites that are known, and whether this machine is ready for one."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pocket_coffea.sites.check import Finding
    from pocket_coffea.sites.site import Site

__all__ = ["sites"]

_MISSING = 3
_files = click.option(
    "--site-file", "site_files", multiple=True, help="YAML file with a site of your own; may be repeated"
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs")


@click.group("sites")
def sites() -> None:
    """The sites that executors can run at (NAME@SITE), and what they need."""


@sites.command("list")
@_files
@_json
def list_sites(site_files: tuple[str, ...], as_json: bool) -> None:
    """List the sites that are known, with their executors."""
    from pocket_coffea.cli.errors import ending
    from pocket_coffea.sites.book import SiteBook

    with ending():
        known = list(SiteBook(site_files))
        if as_json:
            click.echo(json.dumps([_facts(site) for site in known], indent=2))
            return
        rows = [("site", "batch", "executors", "description"), *map(_row, known)]
        width = [max(len(row[column]) for row in rows) for column in range(3)]
        for row in rows:
            click.echo("  ".join([*(f"{row[i]:<{width[i]}}" for i in range(3)), row[3]]))


@sites.command("show")
@click.argument("site")
@_files
@_json
def show(site: str, site_files: tuple[str, ...], as_json: bool) -> None:
    """Show all that is known of SITE (a name or an alias), and the file that says it."""
    import yaml

    from pocket_coffea.cli.errors import ending
    from pocket_coffea.sites.book import SiteBook

    with ending():
        facts = _facts(SiteBook(site_files).get(site))
        if as_json:
            click.echo(json.dumps(facts, indent=2))
        else:
            click.echo(yaml.safe_dump(facts, sort_keys=False, allow_unicode=True, width=100).rstrip())


@sites.command("check")
@click.argument("site")
@_files
@_json
def check(site: str, site_files: tuple[str, ...], as_json: bool) -> None:
    """Check what SITE needs on this machine, and say what to do about what is missing.

    Host name, batch commands, Python packages, image, grid proxy, shared folders, CVMFS, ports. Ends with 0
    when all is there, 3 when something is missing.
    """
    from pocket_coffea.cli.errors import ending
    from pocket_coffea.sites.book import SiteBook
    from pocket_coffea.sites.check import check_site

    with ending():
        found = SiteBook(site_files).get(site)
        findings = [*check_site(found), *_images(found), *_proxy(found)]
    missing = [finding for finding in findings if finding.state == "missing"]
    if as_json:
        checks = [dataclasses.asdict(finding) for finding in findings]
        click.echo(json.dumps({"site": found.name, "ready": not missing, "checks": checks}, indent=2))
    else:
        _print(found, findings, len(missing))
    sys.exit(_MISSING if missing else 0)


def _print(site: Site, findings: list[Finding], missing: int) -> None:
    width = max(len(finding.what) for finding in findings)
    for finding in findings:
        click.echo(f"{finding.state:<7}  {finding.what:<{width}}  {finding.found}")
        if finding.todo:
            click.echo(f"         {finding.todo}")
    verdict = f"{missing} of {len(findings)} missing" if missing else "ready"
    click.echo(f"{site.name}: {verdict}")


def _images(site: Site) -> list[Finding]:
    """Look for the images that the executors of the site use by default."""
    from pocket_coffea.errors import PocketCoffeaError
    from pocket_coffea.images.resolve import resolve
    from pocket_coffea.sites.check import Finding

    named = [options.get("worker-image") for options in site.executors.values()]
    findings = []
    for image in dict.fromkeys(name for name in (site.image, *named) if name):
        try:
            found = resolve(image, origin=site.shown_path)
        except PocketCoffeaError as error:
            findings.append(Finding(f"image {image}", "missing", "not there", str(error)))
        else:
            findings.append(Finding(f"image {image}", "ok", f"{found.location} ({found.digest})"))
    return findings


def _proxy(site: Site) -> list[Finding]:
    from pocket_coffea.errors import PocketCoffeaError
    from pocket_coffea.executors.proxy import find_proxy
    from pocket_coffea.sites.check import Finding

    if site.batch == "none":
        return []
    try:
        proxy = find_proxy({})
    except PocketCoffeaError as error:
        return [Finding("grid proxy", "missing", "none that can be used", str(error))]
    if proxy is None:
        return []
    ends = f"{proxy.path}, good until {proxy.not_after:%Y-%m-%d %H:%M} UTC"
    return [Finding("grid proxy", "ok", ends)]


def _row(site: Site) -> tuple[str, str, str, str]:
    names = " ".join([site.name, *(f"({alias})" for alias in site.aliases)])
    where = "" if site.shipped else f" [{site.path}]"
    return names, site.batch, ", ".join(site.executors) or "-", site.description + where


def _facts(site: Site) -> dict[str, Any]:
    """Return the site as plain data, keys as in its file; folders stay as they are written there."""
    queues: dict[str, Any] = {"directive": site.queue_directive} if site.queue_directive else {}
    if site.queues:
        queues["ladder"] = {queue.name: queue.seconds for queue in site.queues}
    return {
        "file": str(site.path),
        "name": site.name,
        "description": site.description,
        "image": site.image,
        "aliases": list(site.aliases),
        "batch": site.batch,
        "hosts": list(site.hosts),
        "container": {"runtime": site.container.runtime, "binds": list(site.container.binds)},
        "queues": queues,
        "shared": list(site.shared),
        "proxy": {"way": site.proxy.way, "folder": site.proxy.folder},
        "scratch": site.scratch,
        "logs": site.logs,
        "environment": dict(site.environment),
        "prologue": list(site.prologue),
        "directives": dict(site.directives),
        "storage": {storage.path: storage.url for storage in site.storage},
        "executors": {name: dict(options) for name, options in site.executors.items()},
    }
