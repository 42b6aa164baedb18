"""The only file that knows the package ``cryptography``, which is loaded when a call begins."""

from typing import Any

from esca.runtime.extra import needed

_PRIMITIVES = "cryptography.hazmat.primitives."


class ForgedError(Exception):
    """A message that the key did not seal."""


class Cipher:
    """ChaCha20-Poly1305 with one key of 32 bytes; a nonce of 12 bytes is never used twice."""

    def __init__(self, key: bytes) -> None:
        self._aead = _module("ciphers.aead").ChaCha20Poly1305(key)
        self._invalid: type[Exception] = needed("cryptography.exceptions", "call").InvalidTag

    def seal(self, nonce: bytes, body: bytes, header: bytes) -> bytes:
        """Encrypted ``body`` and a tag of 16 bytes over it and ``header``."""
        return bytes(self._aead.encrypt(nonce, body, header))

    def open(self, nonce: bytes, sealed: bytes, header: bytes) -> bytes:
        """The body again, or :class:`ForgedError`."""
        try:
            return bytes(self._aead.decrypt(nonce, sealed, header))
        except self._invalid:
            raise ForgedError from None


class KeyPair:
    """A fresh X25519 key pair."""

    def __init__(self) -> None:
        self._module = _module("asymmetric.x25519")
        self._private = self._module.X25519PrivateKey.generate()
        self.public = bytes(self._private.public_key().public_bytes_raw())

    def shared(self, public: bytes) -> bytes:
        """What both ends know from each other's public keys.

        :class:`ForgedError` for a public key that no private one belongs to.
        """
        try:
            theirs = self._module.X25519PublicKey.from_public_bytes(public)
            return bytes(self._private.exchange(theirs))
        except ValueError:
            raise ForgedError from None


def derived(secret: bytes, salt: bytes, purpose: bytes, length: int) -> bytes:
    """HKDF-SHA256: ``length`` bytes of key for one ``purpose``."""
    sha256 = _module("hashes").SHA256()
    return bytes(_module("kdf.hkdf").HKDF(sha256, length, salt, purpose).derive(secret))


def _module(name: str) -> Any:
    return needed(_PRIMITIVES + name, "call")
