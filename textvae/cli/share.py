"""export, import, push, pull: runs that leave this machine and come into it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from textvae.cli import options

if TYPE_CHECKING:
    from textvae.sharing.exchange import Received, Sent

with_data = click.option("--with-data", is_flag=True,
                         help="With the posts, their tokens and latents, and the sentences that the evaluation shows.")
name = click.option("--name", default="", metavar="NAME", help="What to call its pipeline here.  [default: as it was]")
promoted = click.option("--promote", is_flag=True, help="Make it the run that is read, though there is one.")


@click.command()
@options.pipeline
@options.of_run
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True, metavar="FILE",
              help="Where the run goes: a zip file.")
@with_data
@options.store
@options.as_json
def export(pipeline: str, run: int | None, output: Path, with_data: bool, store: Path, as_json: bool) -> None:
    """Write a run into one file, for another machine.

    The file holds all that vary and its siblings need, and not the posts: of these only the words, each with how often
    it stands in them. A network may still know sentences by heart that it was trained on.

    \b
    Example:
        textvae export quickstart -o quickstart.zip
    """
    from textvae import catalogue
    from textvae.cli.given import writable
    from textvae.sharing import zipped
    from textvae.sharing.exchange import send

    writable(output)
    folder = catalogue.locate(pipeline, store)
    with zipped.written(output) as target:
        sent = send(folder, target, run, with_data=with_data)
    _say_sent(sent, str(output), output.stat().st_size, as_json)


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@name
@promoted
@options.store
@options.as_json
def import_(file: Path, name: str, promote: bool, store: Path, as_json: bool) -> None:
    """Take a run from a file that export wrote.

    Every byte is checked before anything is visible, and nothing in the file can run. The run gets the next number, and
    is read from now on where there was none to read.

    \b
    Example:
        textvae import quickstart.zip
        textvae import quickstart.zip --name theirs
    """
    from textvae.sharing import zipped
    from textvae.sharing.exchange import receive

    with zipped.opened(file) as source:
        received = receive(source, store, name, promote=promote)
    _say_received(received, store, as_json)


@click.command()
@options.pipeline
@click.argument("address")
@options.of_run
@with_data
@options.store
@options.as_json
def push(pipeline: str, address: str, run: int | None, with_data: bool, store: Path, as_json: bool) -> None:
    """Copy a run to an address, for pull to take from there.

    ADDRESS is a folder, or anything that fsspec knows: s3://bucket/blog, gs://..., sftp://... It holds one pipeline's
    latest pushed run. Whoever pulls meanwhile gets the run before or this one, never half of it. What is copied is
    what export would write.

    \b
    Example:
        textvae push quickstart shared/quickstart
    """
    from textvae import catalogue
    from textvae.sharing.exchange import send
    from textvae.sharing.remote import Address

    folder, target = catalogue.locate(pipeline, store), Address(address)
    target.reserve(folder.pipeline)
    _say_sent(send(folder, target, run, with_data=with_data), target.name, None, as_json)


@click.command()
@click.argument("address")
@name
@promoted
@options.store
@options.as_json
def pull(address: str, name: str, promote: bool, store: Path, as_json: bool) -> None:
    """Take the run that was pushed to an address.

    Checked as import checks a file. Where the run is here already, nothing is copied.

    \b
    Example:
        textvae pull shared/quickstart
        textvae pull shared/quickstart --name theirs --promote
    """
    from textvae.sharing.exchange import receive
    from textvae.sharing.remote import Address

    _say_received(receive(Address(address), store, name, promote=promote), store, as_json)


def _say_sent(sent: "Sent", to: str, size: int | None, as_json: bool) -> None:
    from dataclasses import asdict

    from textvae.cli.console import say, say_json

    if as_json:
        say_json(asdict(sent) | {"to": to, "size": size})
        return
    packed = f", {size / 1e6:.1f} MB packed" if size is not None else ""
    left = f"; without {' and '.join(sent.left_out)}" if sent.left_out else ""
    say(f"{to}: run {sent.run} of {sent.pipeline}, {sent.files} files, {sent.bytes / 1e6:.1f} MB{packed}{left}")


def _say_received(received: "Received", store: Path, as_json: bool) -> None:
    import shlex
    from dataclasses import asdict

    from textvae.cli.console import say, say_json
    from textvae.cli.look import came

    run = received.run
    if as_json:
        say_json({"pipeline": run.pipeline, "run": run.number, "new": received.recorded, "current": received.current,
                  "origin": asdict(run)["origin"], "mended": received.mended})
        return
    say(f"run {run.number} of {run.pipeline} {came(run)}" if received.recorded
        else f"run {run.number} of {run.pipeline} is whole again: {' and '.join(received.mended)}" if received.mended
        else f"nothing new: run {run.number} of {run.pipeline} holds the same")
    folder = shlex.quote(str(store / run.pipeline))
    say(f'next: textvae vary {folder} "a sentence of your own"' if received.current
        else f"next: textvae vary {folder} --run {run.number} ..., or textvae promote {folder} {run.number}")
