"""``pocket-coffea merge-columns``, also installed as ``merge-columns``."""

from __future__ import annotations

import click

from pocket_coffea.utils.wording import count_of

__all__ = ["merge_columns"]


@click.command("merge-columns")
@click.argument("folder", metavar="DIR")
@click.option("-j", "--jobs", type=int, default=1, show_default=True, help="Merge so many leaves at a time")
@click.option("-f", "--force", is_flag=True, help="Overwrite files that exist")
def merge_columns(folder: str, jobs: int, force: bool) -> None:
    """Merge exported columns: the parquet files of all chunks below DIR.

    The files of DIR/LEAF become DIR_merged/LEAF.parquet, where LEAF is dataset/category/variation. Chunks
    that overlap are refused.
    """
    from pocket_coffea.cli.errors import ending

    with ending():
        from pocket_coffea.run import merge_columns as merging

        for path, (n_files, n_rows) in merging.merge_columns(folder, jobs=jobs, force=force).items():
            click.echo(f"Output: {path} ({count_of(n_rows, 'row')} of {count_of(n_files, 'file')})")
