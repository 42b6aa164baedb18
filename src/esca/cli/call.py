"""``esca call``: a face over a network."""

import tempfile
import threading
from pathlib import Path
from typing import Annotated

import typer

from esca.avatars import load_avatar
from esca.captures.reader import open_capture
from esca.cli.console import Json, emit, err, progress, say
from esca.errors import EscaError
from esca.files import written_beside
from esca.runtime import load_artifact
from esca.runtime.backends import ENGINES, Engine
from esca.telepresence.concealment import ConcealmentConfig, Mode
from esca.telepresence.ends import (
    ReceivingFiles,
    SendingFiles,
    address_of,
    bound_socket,
    connected_socket,
    prepare_display,
    prepare_source,
)
from esca.telepresence.handshake import new_secret, read_secret
from esca.telepresence.impairment import ImpairmentConfig
from esca.telepresence.loopback import LoopbackConfig, loopback
from esca.telepresence.packets import BUDGET_KBPS
from esca.telepresence.persona import build_persona, save_persona
from esca.telepresence.playout import PlayoutConfig
from esca.telepresence.sender import SenderConfig, send
from esca.telepresence.source import Encode
from esca.telepresence.summary import call_data, call_text, receiving_data, sending_data

app = typer.Typer(
    invoke_without_command=True,
    no_args_is_help=True,
    help="Send a face as codes over UDP, and show it at the other end.",
)

ArtifactFile = Annotated[Path, typer.Option("--artifact", help="Artifact of `esca quantize`.")]
CaptureFolder = Annotated[Path, typer.Option("--capture", help="Capture whose frames are sent.")]
AvatarFile = Annotated[Path, typer.Option("--avatar", help="Checkpoint with the encoder.")]
PersonaFile = Annotated[Path, typer.Option("--persona", help="File of `esca call persona`.")]
KeyFile = Annotated[
    Path | None, typer.Option("--key", help="File of `esca call key`; else ESCA_CALL_KEY.")
]
Rate = Annotated[float, typer.Option(help="Codes and pictures a second.")]
Kbps = Annotated[float, typer.Option(help="Bandwidth of the codes, all headers included.")]
EncodeWhen = Annotated[
    Encode, typer.Option(help="ahead: before the call; live: the encoder runs for every frame.")
]
Segments = Annotated[
    list[str] | None, typer.Option("--segment", help="Segments to play, by prefix; default all.")
]
Backend = Annotated[Engine, typer.Option(help=f"What decodes: {', '.join(ENGINES)}.")]
Threads = Annotated[int, typer.Option(help="Threads of each decoder.")]
Decoders = Annotated[int, typer.Option(help="Frames that are decoded at once.")]
Rows = Annotated[int, typer.Option(help="Height of the window in pixels.")]
Delay = Annotated[
    float | None, typer.Option("--delay-ms", help="Fixed playout delay; default: as jitter asks.")
]
Conceal = Annotated[Mode, typer.Option(help="Missing codes: extrapolate or hold.")]
Record = Annotated[Path | None, typer.Option(help="Record the pictures into this MP4 file.")]
Camera = Annotated[str | None, typer.Option(help="Camera to look from; default the front one.")]


@app.callback()
def call(
    context: typer.Context,
    loop: Annotated[
        bool, typer.Option("--loopback", help="Both ends on this machine, two processes.")
    ] = False,
    artifact: Annotated[Path | None, typer.Option(help="Artifact of `esca quantize`.")] = None,
    capture: Annotated[Path | None, typer.Option(help="Capture whose frames are sent.")] = None,
    avatar: Annotated[
        Path | None, typer.Option(help="Checkpoint with the encoder; default: the demo's.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Length of the call.")] = 30.0,
    rate: Rate = 100.0,
    kbps: Kbps = BUDGET_KBPS,
    encode: EncodeWhen = "ahead",
    segment: Segments = None,
    camera: Camera = None,
    backend: Backend = "openvino",
    threads: Threads = 1,
    decoders: Decoders = 1,
    rows: Rows = 384,
    delay_ms: Delay = None,
    conceal: Conceal = "extrapolate",
    record: Record = None,
    loss: Annotated[float, typer.Option(help="Share of datagrams lost.")] = 0.0,
    jitter_ms: Annotated[float, typer.Option(help="Delay of each datagram, 0 to this.")] = 0.0,
    reorder: Annotated[float, typer.Option(help="Share of datagrams held back 25 ms.")] = 0.0,
    duplicate: Annotated[float, typer.Option(help="Share of datagrams sent twice.")] = 0.0,
    garbage: Annotated[float, typer.Option(help="Noise, damaged and old datagrams added.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed of the bad network.")] = 0,
    restart_receiver_at: Annotated[
        float | None, typer.Option(help="End the receiver then, and start a new one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Call yourself: `esca call --loopback --artifact FILE --capture DIR`.

    JSON keys: `rate_hz latency_ms frame_time_ms bitrate_kbps sent received concealed rejected
    rejected_by drops decode_ms render_ms playout_delay_ms counts` and more; latency is from the
    time stamp of a captured frame to the finished picture.
    """
    if context.invoked_subcommand is not None:
        return
    if not loop:
        raise EscaError("call: give --loopback, or one of persona, key, send and receive")
    if artifact is None or capture is None:
        raise EscaError("call: --loopback needs --artifact and --capture")
    checkpoint = _demo_avatar() if avatar is None else avatar
    with tempfile.TemporaryDirectory(prefix="esca-call-") as folder:
        persona = Path(folder) / "persona"
        sending = SendingFiles(
            capture, checkpoint, persona, encode, tuple(segment or ()),
            SenderConfig(rate, kbps),
        )  # fmt: skip
        receiving = ReceivingFiles(
            artifact, persona, backend, threads, decoders, rate, rows, PlayoutConfig(delay_ms),
            ConcealmentConfig(conceal), record,
        )  # fmt: skip
        impairment = ImpairmentConfig(loss, jitter_ms, reorder, duplicate, garbage, seed)
        config = LoopbackConfig(sending, receiving, seconds, impairment, restart_receiver_at)
        _persona(capture, checkpoint, artifact, camera, persona)
        outcome = loopback(config, lambda: err.print(f"Calling for {seconds:g} s."))
    data = call_data(outcome)
    emit(data, as_json)
    say(call_text(data), as_json)


@app.command("persona")
def persona_command(
    capture: CaptureFolder,
    avatar: AvatarFile,
    artifact: ArtifactFile,
    out: Annotated[Path, typer.Argument(help="File to write.")],
    camera: Camera = None,
) -> None:
    """Write what a receiver needs besides the artifact; hand both over before the first call."""
    _persona(capture, avatar, artifact, camera, out)
    say(f"Wrote {out}, {out.stat().st_size / 1e6:.1f} MB.")


@app.command("key")
def key_command(out: Annotated[Path, typer.Argument(help="File to write.")]) -> None:
    """Write a new shared key; bring it to the other end over a way that you trust."""
    with written_beside(out) as beside:
        beside.touch(mode=0o600)
        beside.write_text(new_secret().hex() + "\n", encoding="ascii")
    say(f"Wrote {out}.")


@app.command("send")
def send_command(
    address: Annotated[str, typer.Argument(help="HOST:PORT of the receiver.")],
    capture: CaptureFolder,
    avatar: AvatarFile,
    persona: PersonaFile,
    key: KeyFile = None,
    seconds: Annotated[float, typer.Option(help="Length of the call.")] = 30.0,
    rate: Rate = 100.0,
    kbps: Kbps = BUDGET_KBPS,
    encode: EncodeWhen = "ahead",
    segment: Segments = None,
    as_json: Json = False,
) -> None:
    """Send a capture's face.

    JSON keys: `sent bitrate_kbps packet_bytes source_ms code_ms sender`.
    """
    files = SendingFiles(
        capture, avatar, persona, encode, tuple(segment or ()), SenderConfig(rate, kbps)
    )
    secret = read_secret(key)
    with connected_socket(address_of(address)) as connected:
        source, known = prepare_source(files)
        data = sending_data(send(source, known.codes, secret, connected, files.config, seconds))
    emit(data, as_json)
    say(f"{data['sent']} packets, {data['bitrate_kbps']:.1f} kbit/s", as_json)


@app.command("receive")
def receive_command(
    address: Annotated[str, typer.Argument(help="HOST:PORT to receive at.")],
    artifact: ArtifactFile,
    persona: PersonaFile,
    key: KeyFile = None,
    seconds: Annotated[float, typer.Option(help="How long to receive.")] = 30.0,
    rate: Rate = 100.0,
    backend: Backend = "openvino",
    threads: Threads = 1,
    decoders: Decoders = 1,
    rows: Rows = 384,
    delay_ms: Delay = None,
    conceal: Conceal = "extrapolate",
    record: Record = None,
    as_json: Json = False,
) -> None:
    """Receive and show a face.

    JSON keys as of the loopback, but latency is relative: the clocks of two machines differ by an
    unknown amount, so 0 is the least that was seen.
    """
    files = ReceivingFiles(
        artifact, persona, backend, threads, decoders, rate, rows, PlayoutConfig(delay_ms),
        ConcealmentConfig(conceal), record,
    )  # fmt: skip
    secret = read_secret(key)
    stop = threading.Event()
    with bound_socket(address_of(address)) as bound:
        display = prepare_display(files, secret, bound, stop)
        timer = threading.Timer(seconds, stop.set)
        timer.daemon = True
        timer.start()
        data = receiving_data(display.run(), one_clock=False)
    emit(data, as_json)
    say(
        f"{data['rate_hz']:.1f} pictures a second; {data['received']} packets received, "
        f"{data['rejected']} rejected, {data['concealed']} frames concealed",
        as_json,
    )


def _persona(capture: Path, avatar: Path, artifact: Path, camera: str | None, out: Path) -> None:
    with progress("Encoding") as update:
        made = build_persona(
            open_capture(capture),
            load_avatar(avatar).eval().requires_grad_(False),
            load_artifact(artifact),
            camera,
            progress=update,
        )
    save_persona(made, out)


def _demo_avatar() -> Path:
    from esca.demo import demo_avatar

    return demo_avatar()
