"""From files to a page that is served."""

import contextlib
import io
import logging
import socket
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
import viser

from esca.avatars import Avatar, load_avatar
from esca.captures.reader import open_capture
from esca.errors import EscaError
from esca.files import sha256
from esca.runtime.artifact import Artifact, load_artifact
from esca.runtime.backends import Engine
from esca.runtime.fits import check_artifact_fits
from esca.viewer.decoders import Candidate, Decoders
from esca.viewer.expressions import expressions
from esca.viewer.heads import Look
from esca.viewer.panel import Panel
from esca.viewer.session import Session
from esca.viewer.subject import Progress, load_subject

SLIDERS = 8
HOST = "127.0.0.1"
"""A face is shown: only this machine can reach the page, unless another host is asked for."""


@dataclass(frozen=True, eq=False)
class Page:
    """A page that is being served."""

    server: viser.ViserServer
    session: Session
    panel: Panel
    address: str


@contextmanager
def serving(
    artifacts: Sequence[Path],
    avatar: Path,
    capture: Path | None = None,
    engine: Engine = "openvino",
    threads: int = 1,
    host: str = HOST,
    port: int = 8080,
    progress: Progress | None = None,
) -> Iterator[Page]:
    """Serve a page that compares artifacts with their fp32 avatar; ends with the context.

    ``capture``: where means, topology and frames are taken from (default: beside the first
    artifact, by the name that the artifact gives). ``threads``: of each of the two decoders that
    run at a time. PyTorch is set to one thread for the whole process, since two heads are made at
    once. EscaError where files do not fit each other, an extra is missing or the port is taken.
    """
    if not artifacts:
        raise EscaError("view: no artifact, expected one or more")
    check_port(host, port)
    torch.set_num_threads(1)
    loaded = load_avatar(avatar).eval().requires_grad_(False)
    candidates = tuple(_candidate(Path(path), loaded, avatar) for path in artifacts)
    _check_different(candidates)
    folder = capture or beside(candidates[0].path, candidates[0].artifact)
    subject = load_subject(open_capture(folder), loaded, progress=progress)
    decoders = Decoders(loaded, candidates, engine, threads)
    decoders.quantized(0)
    # A browser that opens a connection in advance and drops it is no error to tell of.
    logging.getLogger("websockets.server").setLevel(logging.CRITICAL)
    # Nor is a picture that was on its way when a browser closed.
    warnings.filterwarnings("ignore", "Queued a GuiUpdateMessage on a closed connection")
    # The server tells its address on its own; the caller does that.
    with contextlib.redirect_stdout(io.StringIO()):
        server = viser.ViserServer(host=host, port=port, label="esca view", verbose=False)
    session = Session(server, subject, decoders, expressions(subject.codes, SLIDERS), Look())
    panel = Panel(server, session)
    session.start()
    try:
        yield Page(server, session, panel, f"http://{host}:{server.get_port()}")
    finally:
        session.stop()
        server.stop()


def beside(path: Path, artifact: Artifact) -> Path:
    """The capture on which an artifact was calibrated, in its folder or in the one above."""
    name = str(artifact.provenance.get("capture", ""))
    folders = (path.resolve().parent, path.resolve().parent.parent)
    for folder in folders:
        if name and (folder / name).is_dir():
            return folder / name
    raise EscaError(
        f"{path}: the capture {name or '(unnamed)'} is not beside it; give --capture, which holds "
        "the mean texture, the mean mesh and the topology"
    )


def check_port(host: str, port: int) -> None:
    """EscaError where nothing can be served; the server itself would quietly take another port."""
    if not 0 < port < 65536:
        raise EscaError(f"port: {port}, expected 1 to 65535")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise EscaError(f"port: {host}:{port} cannot be used ({error.strerror})") from error


def _candidate(path: Path, avatar: Avatar, checkpoint: Path) -> Candidate:
    artifact = load_artifact(path)
    check_artifact_fits(avatar, artifact, path)
    made_of = artifact.provenance.get("checkpoint_sha256")
    if made_of is not None and made_of != sha256(checkpoint):
        warnings.warn(
            f"{path}: made of another checkpoint than {checkpoint}; differences show both",
            stacklevel=2,
        )
    return Candidate(artifact, path)


def _check_different(candidates: Sequence[Candidate]) -> None:
    seen: dict[tuple[str, str], Path] = {}
    for candidate in candidates:
        name = candidate.method, candidate.bits
        if name in seen:
            raise EscaError(
                f"{candidate.path}: is {' '.join(name)} like {seen[name]}, expected each once"
            )
        seen[name] = candidate.path
