"""``pocket-coffea print-parameters``: look at the default parameters or at those of a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pocket_coffea.types import Params

__all__ = ["print_parameters"]


@click.command("print-parameters")
@click.option("-c", "--cfg", type=click.Path(path_type=Path), help="Configuration file (.py or .pkl).")
@click.option("-d", "--dump", type=click.Path(path_type=Path), help="Write YAML to this new file.")
@click.option("-lk", "--list-keys", is_flag=True, help="List the keys at KEY instead of the values.")
@click.option("--cli", "interactive", is_flag=True, help="Ask for one key after the other.")
@click.argument("key", required=False)
@click.pass_context
def print_parameters(
    ctx: click.Context,
    *,
    cfg: Path | None,
    dump: Path | None,
    list_keys: bool,
    interactive: bool,
    key: str | None,
) -> None:
    """Print parameters as YAML: all of them, or those at KEY, for example lumi.picobarns.2018.

    Without a configuration these are the defaults of the package.
    """
    from pocket_coffea.errors import PocketCoffeaError

    try:
        parameters = _load(cfg)
        if interactive:
            _explore(parameters, list_keys)
            return
        node = _select(parameters, key)
        if dump is not None:
            _dump(node, key, dump)
            return
        click.echo(_keys(node, key) if list_keys else _yaml(node))
    except PocketCoffeaError as exc:
        click.echo(f"Error: {exc}", err=True)
        ctx.exit(exc.exit_code)


def _load(cfg: Path | None) -> Params:
    if cfg is None:
        from pocket_coffea.parameters.defaults import get_default_parameters

        return get_default_parameters()
    from pocket_coffea.utils.utils import load_config

    return load_config(str(cfg), do_load=False, save_config=False).parameters


def _select(parameters: Params, key: str | None) -> Any:
    """Return the value at a path of keys. Raises UnknownName with the nearest keys of its level."""
    from omegaconf import DictConfig, ListConfig

    from pocket_coffea.errors import UnknownName, did_you_mean

    node: Any = parameters
    walked: list[str] = []
    for part in (key or "").split("."):
        if not part:
            continue
        names = list(node.keys()) if isinstance(node, DictConfig) else []
        if isinstance(node, ListConfig):
            names = list(range(len(node)))
        by_text = {str(name): name for name in names}
        if part not in by_text:
            level = ".".join(walked) or "the top level"
            msg = f"there is no parameter {part!r} at {level}. {did_you_mean(part, by_text, limit=30)}"
            raise UnknownName(msg)
        walked.append(part)
        node = _value(node, by_text[part])
    return node


def _value(node: Any, name: Any) -> Any:
    from omegaconf import OmegaConf

    return "???" if OmegaConf.is_missing(node, name) else node[name]


def _yaml(node: Any) -> str:
    from omegaconf import OmegaConf

    if OmegaConf.is_config(node):
        return OmegaConf.to_yaml(node).rstrip("\n")
    return "null" if node is None else str(node)


def _keys(node: Any, key: str | None) -> str:
    from omegaconf import DictConfig

    from pocket_coffea.errors import InvalidValue

    if not isinstance(node, DictConfig):
        msg = f"{key} is a value without keys: {_yaml(node)}"
        raise InvalidValue(msg)
    return "\n".join(str(name) for name in node)


def _dump(node: Any, key: str | None, path: Path) -> None:
    """Write the value under its own path, so that the file can be merged as it is."""
    from pocket_coffea.parameters.defaults import dump_parameters

    for part in reversed((key or "").split(".")):
        node = {part: node} if part else node
    dump_parameters(node, path)
    click.echo(f"Parameters written to {path}")


def _explore(parameters: Params, list_keys: bool) -> None:
    from pocket_coffea.errors import PocketCoffeaError

    click.echo("Keys: " + ", ".join(str(name) for name in parameters))
    while True:
        key = click.prompt("key (empty to leave)", default="", show_default=False).strip()
        if not key:
            return
        try:
            node = _select(parameters, key)
            click.echo(_keys(node, key) if list_keys else _yaml(node))
        except PocketCoffeaError as exc:
            click.echo(f"Error: {exc}", err=True)
