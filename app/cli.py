"""The command `folioscope`: serve, run, import, replay, explore, matrix, list, verify, version, warm.

Every subcommand takes --json. Exit code 0: success; 1: failure; 2: usage error; on request (--threshold,
--exit-code) 3: the result is not as wanted; 4: it is not known. An error is one
line on standard error. Importing this module loads neither the engine nor the web server: each command loads what it
needs.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.formats import counted
from engine.errors import FolioscopeError, UserError

if TYPE_CHECKING:
    from app.thresholds import Threshold
    from engine.explore.tables.table import Table
    from engine.scenario import Scenario

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Replays a kernel's page locks and waits under competing designs, live in the browser.",
)

Thresholds = Annotated[
    list[str] | None,
    typer.Option("--threshold", help="Exit with 3 unless this holds: longest_walk<=50, walked/woken<=1.5; repeatable."),
]
ExitCode = Annotated[
    bool, typer.Option("--exit-code", help="Exit with 3 if something breaks, with 4 if that is not known.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def say(text: str) -> None:
    """Print a line of text, and flush it in case standard output is a pipe."""
    typer.echo(text)
    sys.stdout.flush()


def tell(value: Any) -> None:
    """Print a value as one line of JSON."""
    say(json.dumps(value, ensure_ascii=False))


def screen_width() -> int:
    """Return the width of the terminal in characters, within 60 to 400."""
    return max(60, min(shutil.get_terminal_size((120, 24)).columns, 400))


def to_explore(given: Path) -> Table | Scenario:
    """Return the table of a file, or the scenario of a preset or a file."""
    from app.commands.exploring import is_scenario, load_table

    if not is_scenario(given):
        return load_table(given)
    from app.asking import read_scenario  # imports the web server's modules, which a table does not need

    return read_scenario(str(given))


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; any but loopback requires a token.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the database.")] = None,
    workers: Annotated[int | None, typer.Option(min=0, max=64, help="Worker processes.")] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Start the demo, throttled so that it can be watched.")] = False,
    access_log: Annotated[bool, typer.Option("--access-log", help="Log each request.")] = False,
    as_json: Json = False,
) -> None:
    """Start the web server and its workers; stop with Ctrl-C."""
    from app.serving import serve as run_server
    from app.settings import load_settings

    given = {"host": host, "port": port, "data": data, "workers": workers}
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    run_server(settings, demo=demo, access_log=access_log, report=tell if as_json else None, say=say)


@app.command()
def run(
    scenario: Annotated[
        str, typer.Argument(help="A preset, or a scenario file (.toml or .json; - reads JSON from standard input).")
    ],
    tag: Annotated[list[str] | None, typer.Option(help="Tag of the run; may be repeated.")] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="Change a field: wait.design=page_wait; may be repeated.")
    ] = None,
    threshold: Thresholds = None,
    as_json: Json = False,
) -> None:
    """Run a scenario in this process, and print its seal and key figures. The run is stored like any other."""
    from app.asking import read_run_tags, read_scenario, with_changes
    from app.commands.playing import play_here
    from app.thresholds import read_thresholds

    wanted, tags = read_thresholds(threshold or []), read_run_tags(tag or [])
    result = play_here(with_changes(read_scenario(scenario), change or []), tags, say=None if as_json else say)
    if as_json:
        tell(result)
    else:
        say_run(result)
    exit_if_crossed(wanted, result["figures"] or {})


def say_run(result: dict[str, Any]) -> None:
    """Print a finished run: its seal and its key figures."""
    say(
        f"run {result['id']}: {result['state']}, {counted(result['events'], 'event')}, "
        f"{result['time_ns'] / 1e6:,.3f} ms"
    )
    say(f"seal {result['seal']}")
    for name, value in (result["figures"] or {}).items():
        say(f"  {name:18} {'-' if value is None else f'{value:,}'}")


def exit_if_crossed(wanted: list[Threshold], figures: dict[str, Any]) -> None:
    """Print the thresholds that do not hold on standard error, and exit with their code."""
    from app.thresholds import CROSSED, crossed

    if failed := crossed(wanted, figures):
        for line in failed:
            typer.echo(f"threshold crossed: {line}", err=True)
        raise typer.Exit(CROSSED)


def exit_for(words: list[str], against: list[bool]) -> None:
    """Exit with the code of verdicts: against tells of each whether it is other than expected."""
    from app.thresholds import CROSSED, INCOMPLETE

    if any(against):
        raise typer.Exit(CROSSED)
    if any(word == "not explored" for word in words):
        raise typer.Exit(INCOMPLETE)


@app.command("import")
def import_recording(
    file: Annotated[Path, typer.Argument(help="ftrace, trace-cmd, perf script or bpftrace text; plain, .gz or .zst.")],
    name: Annotated[str | None, typer.Option(help="Name of the recording; the file's name by default.")] = None,
    as_json: Json = False,
) -> None:
    """Import a recording of a real kernel, and print what was used, skipped and lost."""
    from app.commands.playing import import_file
    from app.uploads import recording_name
    from engine.recordings.missing import missing
    from engine.recordings.moves import Report

    row, report = import_file(file, recording_name(name or file.name))
    if as_json:
        tell({"id": row.id, "name": row.name, "sha256": row.sha256, "report": report})
        return
    say(
        f"recording {row.id}: {report['form']}, {counted(report['lines'], 'line')}, "
        f"kernel {report['kernel'] or 'unknown'}"
    )
    for why in missing(Report.model_validate(report)):
        say(f"  warning: {why}")
    for words, counts in (("used", report["used"]), ("skipped", report["skipped"])):
        for event, count in sorted(counts.items(), key=lambda item: -item[1]):
            say(f"  {words:8} {count:>10,}  {event}")
    say(f"  bad lines {report['bad_lines']:,}, events lost {report['lost_events']:,}, ")
    say(
        f"  waits never woken {report['waits_without_wake_count']:,}, "
        f"still waiting at the end {report['unfinished_waits']:,}"
    )
    for bad in report["bad"]:
        say(f"  line {bad['line']}: {bad['why']}: {bad['text']}")


@app.command()
def replay(
    recording: Annotated[
        str, typer.Argument(help="A recording (file, id, or demo); with --schedule: a table or a scenario.")
    ],
    truth: Annotated[Path | None, typer.Option(help="Table of what the kernel did at each wake (.csv, .gz).")] = None,
    bits: Annotated[int | None, typer.Option(min=1, max=20, help="2^bits shared queues; the kernel uses 8.")] = None,
    design: Annotated[str, typer.Option(help="Wait design to replay under.")] = "hashed",
    kernel: Annotated[str | None, typer.Option(help="Kernel profile; that of the recording by default.")] = None,
    schedule: Annotated[str | None, typer.Option(help="Play this schedule of a table or a scenario.")] = None,
    export: Annotated[
        str | None, typer.Option(help="With --schedule: print it as text (for mail), itf, shiviz or dot.")
    ] = None,
    threshold: Thresholds = None,
    as_json: Json = False,
) -> None:
    """Predict every wake-up of a recording from its input alone, and compare it with what the kernel did.

    With --schedule: play one schedule of a protocol table or a scenario, step by step.
    """
    if schedule is not None:
        from app.commands.exploring import export_schedule, replay_schedule

        if export is not None:
            say(export_schedule(to_explore(Path(recording)), schedule, export))
            return
        played = replay_schedule(to_explore(Path(recording)), schedule, screen_width())
        tell(played) if as_json else say(played["text"])
        return
    if export is not None:
        raise UserError("--export prints a schedule: add --schedule", code="usage", field="schedule")
    from app.commands.replaying import replay_recording
    from app.thresholds import read_thresholds

    wanted = read_thresholds(threshold or [])
    result = replay_recording(recording, truth, design=design, bits=bits, kernel=kernel)
    if as_json:
        tell(result)
    else:
        for key, value in result.items():
            say(f"  {key:20} {value:,}" if isinstance(value, int) else f"  {key:20} {value}")
    exit_if_crossed(wanted, result)


@app.command()
def explore(
    table: Annotated[
        Path, typer.Argument(help="A protocol table or a scenario, .json or .toml, or the name of one that ships.")
    ],
    search: Annotated[str, typer.Option(help="bfs (shortest schedule), dfs; sampling: random, pct.")] = "bfs",
    reduction: Annotated[str, typer.Option(help="none, por (partial-order), symmetry, all.")] = "none",
    preemptions: Annotated[int | None, typer.Option(help="Max. preemptions per schedule.")] = None,
    walks: Annotated[int, typer.Option(help="With random, pct: number of schedules.")] = 1_000,
    longest: Annotated[int, typer.Option(help="With random, pct: max. steps per schedule.")] = 10_000,
    depth: Annotated[int, typer.Option(help="With pct: bug depth (ordering constraints).")] = 3,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="With random, pct: random seed.")] = 1,
    states: Annotated[int, typer.Option(min=1, max=2**31, help="Max. states.")] = 100_000_000,
    memory: Annotated[int, typer.Option(min=1, max=1 << 20, help="Max. memory in MiB.")] = 4_096,
    seconds: Annotated[float, typer.Option(min=0.1, max=1e6, help="Max. seconds.")] = 3_600,
    compact: Annotated[bool, typer.Option("--compact", help="bfs: hash compaction with 64-bit hashes.")] = False,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Resume from this file if it exists; write it every 30 s and at a limit.")
    ] = None,
    export: Annotated[
        str | None, typer.Option(help="Do not explore; print the model as promela, or all states of a table as dot.")
    ] = None,
    shrink: Annotated[bool, typer.Option("--shrink", help="Then shrink the model to a smaller reproducer.")] = False,
    exit_code: ExitCode = False,
    as_json: Json = False,
) -> None:
    """Try every interleaving of a protocol table or of a small scenario: Never, with its bounds, or the shortest
    schedule that breaks it."""
    from app.commands.exploring import explore_subject, export_subject, one_of

    model = to_explore(table)
    if export is not None:
        say(export_subject(model, export))
        return
    from engine.explore.plan import REDUCTIONS, SEARCHES, Limits, Plan

    plan = Plan(
        one_of("search", search, SEARCHES),
        one_of("reduction", reduction, REDUCTIONS),
        preemptions,
        walks,
        longest,
        depth,
        seed,
        compact=compact,
    )
    progress = None if as_json or not sys.stderr.isatty() else lambda text: typer.echo(text, err=True)
    limits, ends_at = Limits(states, memory << 20, seconds), time.monotonic() + seconds
    found, text = explore_subject(model, plan, limits, progress, screen_width(), checkpoint)
    smaller = None
    if shrink:
        from app.commands.shrinking import shrunk
        from engine.explore.shrink import Budget

        smaller = shrunk(model, found, screen_width(), Budget(ends_at=ends_at))
        found["shrunk"] = smaller and smaller[0]
    if as_json:
        tell(found)
    else:
        say_found(found, text, smaller)
    if exit_code:
        exit_for([found["verdict"]], [found["verdict"] == "Sometimes"])


def say_found(found: dict[str, Any], text: str, smaller: tuple[dict[str, Any], str] | None) -> None:
    """Print the answer of a search; text: its schedule as columns, smaller: the smaller reproducer and its columns."""
    bounds = found["bounds"]
    say(f"{found['name']}: {found['verdict']}{' (' + found['error'] + ')' if found['error'] else ''}")
    for key in ("states", "edges", "depth", "deadlock_states", "assert_failures", "final_states", "final_violations"):
        if found[key] is not None:
            say(f"  {key.replace('_', ' '):18} {found[key]:,}")
    for outcome in found["outcomes"]:
        say(
            f"  {'outcome':18} {', '.join(map(str, outcome['values']))}: "
            f"{counted(outcome['final_states'], 'final state')}"
        )
    within = ", ".join(f"{key.replace('_', ' ')} {bounds[key]}" for key in ("search", "reduction", "processes"))
    cut = f", stopped by the limit on {bounds['stopped_by']}" if bounds["stopped_by"] else ""
    bound = "" if bounds["preemptions"] is None else f", at most {counted(bounds['preemptions'], 'preemption')}"
    if bounds["miss_probability"] is not None:
        known, chance = bounds["states_known_by"], bounds["miss_probability"]
        bound += f", hash compaction ({known}): a state missed with probability {chance:.0e}"
    say(f"  {'bounds':18} {within}{bound}{cut}; {bounds['seconds']} s, {bounds['memory_bytes'] / 1e6:.1f} MB")
    if text:
        live, word = found["liveness"], found["schedule"]
        if word is None and live is not None:
            word = f"{live['stem'] or '(initial state)'}" + (f", then forever {live['loop']}" if live["loop"] else "")
        say(f"\n{text}\n\nschedule: {word}")
    if smaller:
        reproducer, text = smaller
        without = (
            f"still fails without {', '.join(reproducer['dropped'])}" if reproducer["dropped"] else "shrunk schedule"
        )
        say(f"\n{without}:\n\n{text}\n\nschedule: {reproducer['schedule']}")


@app.command()
def matrix(
    kernel: Annotated[str, typer.Option(help="Kernel profile.")] = "",
    recheck: Annotated[bool, typer.Option("--recheck", help="Explore all cells again.")] = False,
    ship: Annotated[
        bool,
        typer.Option(
            "--ship", help="Explore all cells, store nothing, and write the verdicts that ship with a release."
        ),
    ] = False,
    exit_code: Annotated[
        bool,
        typer.Option("--exit-code", help="Exit with 3 if a verdict is other than expected, with 4 if one is missing."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Explore the cells of the matrix without a verdict in this process, and print it. The explorations are stored."""
    from app import cells
    from app.commands.deciding import answers, decide, stored

    name = cells.known_kernel(kernel)
    if ship:
        from app.settings import load_settings
        from engine.explore.release import write_release

        path = write_release(name, answers(cells.everything(load_settings(), name), None if as_json else say))
        tell({"file": str(path), "bytes": path.stat().st_size}) if as_json else say(f"wrote {path}")
        return
    with stored() as store:
        decide(
            store,
            cells.everything(store.settings, name) if recheck else cells.missing(store, name),
            None if as_json else say,
        )
        table = cells.table(store, name)
    if as_json:
        tell(table)
    else:
        say_matrix(table, name)
    if exit_code:
        exit_for([cell["word"] for cell in table["cells"]], [cell["against"] for cell in table["cells"]])


def say_matrix(table: dict[str, Any], name: str) -> None:
    """Print the matrix of a kernel profile, row by row."""
    for row in table["rows"]:
        say(f"{row['title']}, kernel {name}")
        for cell in [cell for cell in table["cells"] if cell["row"] == row["name"]]:
            title = next(column["title"] for column in table["columns"] if column["name"] == cell["column"])
            against = f" (expected {cell['expected']})" if cell["against"] else ""
            say(f"  {cell['word']:12}  {title}{against}: {cell['schedule'] or cell['why']}")


@app.command("list")
def list_runs(
    size: Annotated[int, typer.Option(min=1, max=1000, help="Max. runs to list.")] = 20,
    state: Annotated[str | None, typer.Option(help="Only runs in this state.")] = None,
    as_json: Json = False,
) -> None:
    """List runs, newest first."""
    from app.commands.playing import stored_runs

    runs = stored_runs(size, state)
    if as_json:
        tell({"runs": runs})
        return
    for line in runs:
        say(f"{line['id']}  {line['state']:9}  {line['design']:9}  {line['events']:>12,}  {line['name'][:60]}")
    if not runs:
        say("no runs match" if state else "no runs yet: try folioscope run demo")


@app.command()
def verify(
    run: Annotated[str, typer.Argument(help="A run's id, or all.")],
    as_json: Json = False,
) -> None:
    """Read everything stored of a run, and verify its checksums and its seal."""
    from app.commands.playing import verified

    verdicts = verified(run)
    for verdict in verdicts:
        if not as_json:
            words = "sound" if verdict["sound"] else f"DAMAGED in {counted(len(verdict['damaged']), 'place')}"
            say(
                f"run {verdict['id']}: {counted(verdict['events'], 'event')} "
                f"in {counted(verdict['chunks'], 'chunk')}, {words}"
            )
            for line in verdict["damaged"][:20]:
                say(f"  {line}")
    if as_json:
        tell({"runs": verdicts})
    if not all(verdict["sound"] for verdict in verdicts):
        raise typer.Exit(1)


@app.command()
def version(as_json: Json = False) -> None:
    """Print the versions."""
    import platform

    from app.versions import product_version
    from engine import VERSION
    from engine.events import FORMAT as EVENT_FORMAT

    versions = {
        "folioscope": product_version(),
        "engine": VERSION,
        "event_format": EVENT_FORMAT,
        "python": platform.python_version(),
    }
    if as_json:
        tell(versions)
    else:
        say(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in versions.items()))


@app.command()
def warm(as_json: Json = False) -> None:
    """Compile the engine into the cache, so that later starts load it from there."""
    from app.serving import warm_engine

    seconds = warm_engine(None if as_json else say)
    if as_json:
        tell({"seconds": round(seconds, 1)})


def main() -> None:
    """Run the command; print an error as one line, in JSON with --json."""
    try:
        code = app(standalone_mode=False)
    except typer.Exit as left:
        sys.exit(left.exit_code)
    except UserError as error:
        fail(2, error.code, str(error), error.field)
    except FolioscopeError as error:
        fail(1, "damaged", str(error))
    except typer.Abort:
        sys.exit(130)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        name = f": {error.filename}" if error.filename else ""
        fail(1, "os_error", f"{error.strerror or error}{name}")
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            sys.exit(2)
        if hasattr(error, "format_message"):  # typer's own usage error
            fail(getattr(error, "exit_code", 2), "usage", error.format_message())
        fail(1, "internal", f"internal error, {type(error).__name__}: {error}")
    sys.exit(code if isinstance(code, int) else 0)


def fail(code: int, name: str, text: str, field: str = "") -> None:
    """Print an error as one line and exit."""
    line = " ".join(text.split())[:1000]
    if "--json" in sys.argv[1:]:
        typer.echo(json.dumps({"code": name, "detail": line} | ({"field": field} if field else {})), err=True)
    else:
        typer.echo(f"folioscope: {line}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
