"""augment: a labelled table made larger."""

from pathlib import Path

import click

from textvae.cli import options


@click.command()
@options.pipeline
@click.argument("table", type=click.Path(path_type=Path))
@click.option("--text", metavar="COLUMN", required=True, help="The column with the texts.")
@click.option("--label", metavar="COLUMN", help="The column with the labels, which variations keep.")
@click.option("--columns", metavar="A,B,...", help="Names of the columns, where a CSV file has no header.")
@click.option("-n", "count", type=options.COUNT, default=4, show_default=True, metavar="N",
              help="Variations per row.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True, metavar="FILE",
              help="Where the table goes; its ending says whether as CSV, JSON Lines, JSON or Parquet.")
@click.option("--relabel", is_flag=True, help="Give a variation that another label fits better that one; else it is "
              "left out.")
@click.option("--raw", is_flag=True, help="Leave cells as they are that a spreadsheet would compute.")
@options.strength
@options.temperature
@options.sampler
@click.option("--candidates", type=options.CANDIDATES, default=4, show_default=True, metavar="N",
              help="Texts written for each one wanted, of which the best stays, if it keeps the label.")
@options.seed
@options.of_run
@options.device
@options.store
@options.as_json
def augment(pipeline: str, table: Path, text: str, label: str | None, columns: str | None, count: int, output: Path,
            relabel: bool, raw: bool, strength: float, temperature: float, sampler: str, candidates: int, seed: int,
            run: int | None, device: str, store: Path, as_json: bool) -> None:
    """Add variations of every row to a labelled table.

    TABLE is CSV, JSON Lines or Parquet. All rows stay, then come the variations; the column varied_from says which row
    each was made of. With --label, a variation is only kept where a classifier takes it to have its row's label; it
    learns the labels from TABLE, by what the model makes of its texts. Variations of rows without a label have none.

    \b
    Example:
        textvae augment quickstart rows.csv --text text --label mood -n 2 -o more.csv
    """
    from textvae.cli.bars import watcher
    from textvae.cli.console import say, say_json, tell
    from textvae.cli.given import opened, writable
    from textvae.writing import frames
    from textvae.writing.augment import augment as enlarge
    from textvae.writing.augment import check

    writable(output)
    frames.ending(output)
    names = tuple(columns.split(",")) if columns else ()
    frame, rejected = frames.read(table, names)
    for row in rejected:
        tell(f"left out: {row.source}: {row.reason}")
    check(frame, text=text, label=label or "", relabel=relabel)
    frames.packed(frame, output)  # what its file cannot hold is said before there is something to lose
    writer = opened(pipeline, store, run, device, few=False)
    done = enlarge(writer, frame, text=text, label=label or "", n=count, relabel=relabel, seed=seed, strength=strength,
                   temperature=temperature, sampler=sampler, candidates=candidates, progress=watcher())
    for number, why in done.left.items():
        tell(f"not varied, row {number}: {why}")
    if changed := frames.write(done.frame, output, raw=raw, header=not names):
        tell(f"{changed:,} cells that a spreadsheet would compute were given an apostrophe; --raw leaves them")
    told = {"rows": len(frame), "variations": done.written, "asked": done.asked, "other_label": done.doubtful,
            "not_varied": len(done.left), "file": str(output)}
    if as_json:
        say_json(told)
    else:
        say(f"{output}: {len(frame):,} rows and {done.written:,} variations, of {done.asked:,} asked for"
            + (f"; {done.doubtful:,} {'with' if relabel else 'left out for'} another label" if label else ""))
