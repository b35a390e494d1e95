"""``pocket-coffea hadd-skimmed-files``, also installed under its own name: few large files from many."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pocket_coffea.cli.repeated import only_one
from pocket_coffea.cli.run_options import ANY_OPTION, further_options
from pocket_coffea.utils.wording import count_of

if TYPE_CHECKING:
    from pocket_coffea.datasets.skim_plan import SkimGroup
    from pocket_coffea.executors.executors_manual_jobs import ExecutorFactoryManualABC

__all__ = ["hadd_skimmed_files"]

_FAILED = 3
#: Options as they are shown.
_SHOWN = {
    "run_options": "--custom-run-options",
    "site_files": "--site-file",
    "scaleout": "--scaleout",
    "check": "--check",
}
#: Processes that merge when --scaleout is not given.
_PROCESSES = 2


@click.command("hadd-skimmed-files", context_settings={**ANY_OPTION, "max_content_width": 100})
@click.option(
    *("-fl", "--files-list", "output"),
    type=click.Path(path_type=Path),
    required=True,
    multiple=True,
    callback=only_one,
    help="Output of the skimming run: output_all.coffea, or output_merged.coffea of jobs",
)
@click.option("-o", "--outputdir", required=True, help="Folder, or root://... address, of the merged files")
@click.option("-fs", "--filter-samples", multiple=True, help="Merge these samples only (comma-separated)")
@click.option("-fd", "--filter-datasets", multiple=True, help="Merge these datasets only (comma-separated)")
@click.option("-f", "--files", type=int, help="Files that become one, at most 500 (the default)")
@click.option("-e", "--events", type=int, help="Events that a merged file has at most")
@click.option(
    *("-s", "--scaleout"),
    type=click.IntRange(1, 256),
    help=f"Merge so many files at a time, in processes of this machine (default {_PROCESSES})",
)
@click.option(
    "--executor", help="Submit a batch job for each merged file: condor@SITE, slurm@SITE, jobs@local"
)
@click.option(
    *("-ro", "--custom-run-options", "--run-options", "run_options"),
    multiple=True,
    help="With --executor: YAML file with run options (queue, mem-per-worker, ...); later files win",
)
@click.option(
    "--site-file",
    "site_files",
    multiple=True,
    help="With --executor: YAML file with a site of your own (docs/add-a-site.md)",
)
@click.option("--overwrite", is_flag=True, help="Replace merged files that are there")
@click.option("--dry", is_flag=True, help="Write the plan and the dataset definition, and merge nothing")
@click.option("--check", is_flag=True, help="Open the merged files and report those that are not as planned")
@click.option("-ll", "--loglevel", default="INFO", show_default=True, help="Console logging level")
@click.pass_context
def hadd_skimmed_files(ctx: click.Context, /, **arguments: Any) -> None:
    """Regroup skimmed datasets by joining different files (like hadd for ROOT files).

    The merged files are OUTPUTDIR/<dataset>/<dataset>_<n>.root; what an earlier call has merged is kept. In
    the current folder are written: hadd.json (what is merged into what) and
    skimmed_dataset_definition_hadd.json (the datasets to run on); with --check hadd_failed.json and .txt.

    With --executor files are merged by batch jobs, which check-jobs watches; the same command, once they are
    done, writes the definition. Any run option can then be given as --KEY=VALUE, for example --queue=workday.

    Exit code: 0 all good, 1 wrong options, 3 files could not be merged or are not healthy, 4 nothing to
    merge, 6 refused because files of another merge are there.
    """
    from pocket_coffea.cli.errors import logged

    with logged(arguments["loglevel"]):
        failures = _run({**arguments, "extra": further_options(ctx)})
    sys.exit(_FAILED if failures else 0)


def _run(arguments: dict[str, Any]) -> int:
    """Plan, and merge, submit or check; return how many files failed."""
    from pocket_coffea.cli.build_datasets import names
    from pocket_coffea.datasets.skim_definition import PLAN, write_plan
    from pocket_coffea.datasets.skim_plan import plan_groups, skimmed_datasets
    from pocket_coffea.utils.output_file import load_output

    factory = _factory(arguments)
    output = load_output(arguments["output"])
    samples, datasets = names(arguments["filter_samples"]), names(arguments["filter_datasets"])
    files = skimmed_datasets(output, samples, datasets)
    groups = plan_groups(files, _folder(arguments["outputdir"]), arguments["files"], arguments["events"])
    write_plan(groups, Path(PLAN))
    click.echo(
        f"{count_of(sum(map(len, files.values())), 'file')} of {count_of(len(files), 'dataset')} "
        f"become {len(groups)}: {PLAN}"
    )
    if arguments["check"]:
        return _check(groups)
    if factory is not None:
        return _submit(factory, output, groups, arguments)
    if arguments["dry"]:
        _define(output, groups)
        return 0
    return _merge(output, groups, arguments)


def _folder(given: str) -> str:
    return given if "://" in given else str(Path(given).expanduser().absolute())


def _factory(arguments: dict[str, Any]) -> ExecutorFactoryManualABC | None:
    """Return who submits jobs, None without --executor. Raises OptionError for options that do nothing."""
    from pocket_coffea.errors import OptionError

    executor = arguments["executor"]
    names = ("run_options", "site_files") if executor is None else ("scaleout", "check")
    wrong = [_SHOWN[name] for name in names if arguments[name]]
    wrong += [f"--{name}" for name in arguments["extra"] if executor is None]
    if wrong:
        what = "without" if executor is None else "with"
        msg = f"{', '.join(wrong)}: has no effect {what} --executor. Leave it out."
        raise OptionError(msg)
    if executor is None:
        return None
    from pocket_coffea.run.session import RunRequest
    from pocket_coffea.run.skim_jobs import merge_factory

    request = RunRequest(
        cfg="",
        outputdir=_folder(arguments["outputdir"]),
        executor=executor,
        custom_run_options=arguments["run_options"],
        site_files=arguments["site_files"],
        flags={"dry-run": True} if arguments["dry"] else {},
        extra=arguments["extra"],
    )
    return merge_factory(request)


def _submit(
    factory: ExecutorFactoryManualABC,
    output: dict[str, Any],
    groups: list[SkimGroup],
    arguments: dict[str, Any],
) -> int:
    """Submit jobs for what is not merged yet; once all is, write the definition."""
    from pocket_coffea.datasets.skim_definition import DEFINITION
    from pocket_coffea.datasets.skim_merge import to_merge
    from pocket_coffea.run.skim_jobs import submit_merges

    todo = to_merge(groups, arguments["overwrite"])
    click.echo(f"{len(groups) - len(todo)} of {len(groups)} merged files are there")
    if todo:
        metadata = output.get("datasets_metadata", {}).get("by_dataset", {})
        samples = {name: str(values.get("sample", "")) for name, values in metadata.items()}
        submit_merges(factory, todo, samples)
    if arguments["dry"] or not todo:
        _define(output, groups)
        return 0
    without = ", without --overwrite," if arguments["overwrite"] else ""
    click.echo(f"Once the jobs are done, give the same command{without} to write {DEFINITION}.")
    return 0


def _merge(output: dict[str, Any], groups: list[SkimGroup], arguments: dict[str, Any]) -> int:
    from pocket_coffea.cli.build_datasets import progress_bar
    from pocket_coffea.datasets.skim_merge import merge_groups

    with progress_bar("Merging files", len(groups)) as progress:
        result = merge_groups(groups, arguments["scaleout"] or _PROCESSES, arguments["overwrite"], progress)
    for path, reason in sorted(result.failed.items()):
        click.echo(f"ERROR: {path}: {reason}", err=True)
    click.echo(
        f"{count_of(len(result.merged), 'file')} merged, {len(result.there)} were there, "
        f"{len(result.failed)} failed"
    )
    unfinished = {group.dataset for group in groups if group.output in result.failed}
    _define(output, [group for group in groups if group.dataset not in unfinished])
    if unfinished:
        click.echo(
            f"Not in the definition: {', '.join(sorted(unfinished))}. Run again to continue.", err=True
        )
    return len(result.failed)


def _define(output: dict[str, Any], groups: list[SkimGroup]) -> None:
    from pocket_coffea.datasets.skim_definition import DEFINITION, merged_definition
    from pocket_coffea.datasets.write import write_json

    if not groups:
        return
    write_json(Path(DEFINITION), merged_definition(output, groups))
    click.echo(f"Datasets: {DEFINITION}")


def _check(groups: list[SkimGroup]) -> int:
    from pocket_coffea.cli.build_datasets import progress_bar
    from pocket_coffea.datasets.skim_definition import FAILED, write_failed
    from pocket_coffea.datasets.skim_merge import STATES, group_state

    states = []
    with progress_bar("Opening files", len(groups)) as progress:
        for group in groups:
            states.append(group_state(group))
            progress(group.output)
    for name in STATES:
        count = sum(state.state == name for state in states)
        if count:
            click.echo(f"{name}: {count}")
    bad = [state for state in states if state.state != "ok"]
    for state in bad:
        click.echo(f"ERROR: {state.group.output}: {state.state}: {state.message}", err=True)
    write_failed(bad, Path())
    if bad:
        click.echo(
            f"{len(bad)} of {count_of(len(groups), 'file is', 'files are')} not healthy: see "
            f"{FAILED}.json and {FAILED}.txt"
        )
    else:
        click.echo("All output files are present and look healthy.")
    return len(bad)
