"""How two ends that share a secret agree on the keys of a session.

The sender knocks with a fresh X25519 key, the receiver answers hello with its own; both messages
are sealed with a key of the shared secret. Session keys come from the secret and from both fresh
keys, so that a recorded session can be replayed to nobody, not even to a receiver that was started
anew, and a secret that leaks later opens no recorded call.
"""

import os
import secrets
from pathlib import Path

from esca.errors import EscaError
from esca.telepresence.crypto import Cipher, ForgedError, KeyPair, derived
from esca.telepresence.session import (
    FEEDBACK,
    HELLO,
    KNOCK,
    MEDIA,
    TAG_BYTES,
    RejectedError,
    Session,
    first_byte,
    kind_of,
)

KEY_BYTES = 32
KEY_VARIABLE = "ESCA_CALL_KEY"
"""Environment variable that may hold the secret, as 64 hexadecimal digits."""

_NONCE_BYTES = 12
_PUBLIC_BYTES = 32
_SESSION, _HANDSHAKE = b"esca call 1 session", b"esca call 1 handshake"


def new_secret() -> bytes:
    """A fresh secret for two ends to share."""
    return secrets.token_bytes(KEY_BYTES)


def read_secret(path: Path | None) -> bytes:
    """The secret in a file, or else in the environment, as 64 hexadecimal digits."""
    if path is not None:
        try:
            where, text = str(path), Path(path).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise EscaError(f"{path}: no readable key ({error})") from error
    elif KEY_VARIABLE in os.environ:
        where, text = KEY_VARIABLE, os.environ[KEY_VARIABLE]
    else:
        raise EscaError(f"key: give a file, or 64 hexadecimal digits in {KEY_VARIABLE}")
    try:
        secret = bytes.fromhex(text.strip())
    except ValueError:
        secret = b""
    if len(secret) != KEY_BYTES:
        raise EscaError(f"{where}: expected {2 * KEY_BYTES} hexadecimal digits")
    return secret


class Knocker:
    """The sender's half: knocks until a hello answers, and again whenever nobody listens."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._private = KeyPair()

    def knock(self) -> bytes:
        """A knock; all knocks until the next session carry the same fresh key."""
        return _sealed(KNOCK, self._secret, self._private.public)

    def answered(self, hello: bytes) -> Session:
        """The session of a hello to our latest knock, or :class:`RejectedError`.

        Each fresh key makes one session only: a second hello to the same knock is rejected.
        """
        body = _opened(HELLO, self._secret, hello)
        theirs, ours = body[:_PUBLIC_BYTES], body[_PUBLIC_BYTES:]
        if ours != self._private.public:
            raise RejectedError("replayed")
        keys = _keys(self._secret, self._private, theirs, ours + theirs)
        self._private = KeyPair()
        return Session(keys[0], outgoing=keys[1], incoming=keys[2], sends=MEDIA)


class Listener:
    """The receiver's half: answers knocks. A session counts once its first packet is authentic."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._knock = b""
        self._hello = b""
        self._pending: Session | None = None
        self._current: Session | None = None

    @property
    def session(self) -> Session | None:
        """The session that media last came from."""
        return self._current

    def answer(self, knock: bytes) -> bytes:
        """The hello to a knock, or :class:`RejectedError`; the same one if it was heard before."""
        theirs = _opened(KNOCK, self._secret, knock)
        if theirs != self._knock:
            private = KeyPair()
            ours = private.public
            number, media, feedback = _keys(self._secret, private, theirs, theirs + ours)
            self._knock, self._hello = theirs, ours + theirs
            self._pending = Session(number, outgoing=feedback, incoming=media, sends=FEEDBACK)
        return _sealed(HELLO, self._secret, self._hello)

    def open(self, datagram: bytes) -> tuple[Session, int, bytes]:
        """Session, number and body of a media packet, or :class:`RejectedError`."""
        reasons = []
        for session in (self._current, self._pending):
            if session is None:
                continue
            try:
                number, body = session.open(datagram)
            except RejectedError as rejected:
                reasons.append(rejected)
                continue
            if session is self._pending:
                self._current, self._pending = session, None
            return session, number, body
        named = [rejected for rejected in reasons if rejected.reason != "stranger"]
        raise (named or reasons or [RejectedError("stranger")])[0]


def _keys(secret: bytes, private: KeyPair, theirs: bytes, both: bytes) -> tuple[int, bytes, bytes]:
    """Session number, media key and feedback key; ``both``: public keys, the sender's first."""
    try:
        shared = private.shared(theirs)
    except ForgedError:
        raise RejectedError("malformed") from None
    made = derived(secret + shared, both, _SESSION, 4 + 2 * KEY_BYTES)
    return int.from_bytes(made[:4], "big"), made[4 : 4 + KEY_BYTES], made[4 + KEY_BYTES :]


def _sealed(kind: int, secret: bytes, body: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    head = bytes((first_byte(kind),))
    key = derived(secret, b"", _HANDSHAKE, KEY_BYTES)
    return head + nonce + Cipher(key).seal(nonce, body, head)


def _opened(kind: int, secret: bytes, datagram: bytes) -> bytes:
    body = _PUBLIC_BYTES * (2 if kind == HELLO else 1)
    if len(datagram) != 1 + _NONCE_BYTES + body + TAG_BYTES or kind_of(datagram) != kind:
        raise RejectedError("malformed")
    key = derived(secret, b"", _HANDSHAKE, KEY_BYTES)
    nonce, sealed = datagram[1 : 1 + _NONCE_BYTES], datagram[1 + _NONCE_BYTES :]
    try:
        return Cipher(key).open(nonce, sealed, datagram[:1])
    except ForgedError:
        raise RejectedError("forged") from None
