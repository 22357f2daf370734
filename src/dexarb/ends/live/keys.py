"""Keys of operators: keystore files (Web3 Secret Storage, version 3, scrypt), and what opens them.

eth-account reads and writes them. A key is never shown, in no error and in no representation; what
a file says without its password is the address alone.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from dexarb.core.sending import Signed, TransactionHash
from dexarb.core.token import Address, to_address
from dexarb.core.trade import DecisionId
from dexarb.errors import InputError, MissingTool
from dexarb.store.files import disk_errors
from dexarb.store.journal import SignedRaw

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

OWNER_ONLY = 0o600
OTHERS = stat.S_IRWXG | stat.S_IRWXO
LEAST_PASSWORD = 8
"""Characters. Whoever gets the file tries them all."""
_REMEDY = "pip install 'dexarb[live]'"


@dataclass(frozen=True, slots=True)
class Password:
    """Where the password of a keystore comes from: a file, an environment variable, or a person.

    ask: asks the person, with the text of the prompt.
    """

    file: Path | None = None
    variable: str | None = None
    ask: Callable[[str], str] | None = None

    @property
    def is_asked(self) -> bool:
        return self.file is None and self.variable is None and self.ask is not None

    def read(self, environment: Mapping[str, str], what: str) -> str:
        """what: whose password it is, for the prompt. Raises InputError."""
        if self.file is not None:
            with disk_errors(self.file, "cannot be read"):
                _refuse_if_others_read(self.file, "password file")
                return self.file.read_text(encoding="utf-8").rstrip("\r\n")
        if self.variable is not None:
            if self.variable not in environment:
                raise InputError(f"the variable {self.variable} is not set: {what} needs it")
            return environment[self.variable]
        if self.ask is None:
            raise InputError(
                f"nobody can be asked for the password of {what}. Name a file or a variable that"
                " has it (password_file or password_env in [[lane]], --password-file or"
                " --password-env here), or start at a terminal"
            )
        return self.ask(f"Password of {what}: ")


@dataclass(frozen=True, slots=True)
class Call:
    """What a transaction does. to: None creates a contract. value in wei."""

    to: Address | None
    data: bytes
    gas_limit: int
    value: int = 0


class Signer:
    """An account that can sign. Its representation is its address."""

    def __init__(self, account: LocalAccount) -> None:
        self._account = account
        self.address = to_address(account.address)

    def __repr__(self) -> str:
        return f"Signer({self.address})"

    def sign(
        self,
        call: Call,
        *,
        chain_id: int,
        nonce: int,
        max_fee: int,
        tip: int,
        decision: DecisionId | None = None,
        deadline_block: int = 0,
        decided_at: float = 0.0,
        at: float = 0.0,
    ) -> SignedRaw:
        """A transaction of type 2 and its bytes: live ammunition. Fees in wei per gas. What is
        not the transaction's is for the journal, see Signed."""
        fields: dict[str, Any] = {
            "type": 2,
            "chainId": chain_id,
            "nonce": nonce,
            "data": call.data,
            "value": call.value,
            "gas": call.gas_limit,
            "maxFeePerGas": max_fee,
            "maxPriorityFeePerGas": tip,
        }
        if call.to is not None:
            # eth-account takes checksummed addresses or bytes; ours are lower case.
            fields["to"] = bytes.fromhex(call.to[2:])
        made = self._account.sign_transaction(fields)
        signed = Signed(
            hash=TransactionHash("0x" + bytes(made.hash).hex()),
            lane=self.address,
            nonce=nonce,
            decision=decision,
            max_fee=max_fee,
            tip=tip,
            gas_limit=call.gas_limit,
            deadline_block=deadline_block,
            decided_at=decided_at,
            at=at,
        )
        return SignedRaw(signed, bytes(made.raw_transaction))


def new_key(path: Path, password: str) -> Address:
    """Make a key and keep it in a new file. Raises InputError, StoreError."""
    return _keep(_accounts().create(), path, password)


def import_key(path: Path, key: str, password: str) -> Address:
    """Keep a key, 32 bytes in hexadecimal, in a new file. Raises InputError, StoreError."""
    try:
        account = _accounts().from_key(key.strip())
    except Exception:
        # Without its cause: that can hold the key.
        raise InputError("that is no private key: it has 64 hexadecimal digits") from None
    return _keep(account, path, password)


def _keep(account: LocalAccount, path: Path, password: str) -> Address:
    if len(password) < LEAST_PASSWORD:
        raise InputError(f"the password is too short: {LEAST_PASSWORD} characters at least")
    with disk_errors(path, "cannot be written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
        except FileExistsError:
            raise InputError(
                f"{path} exists. Choose another name: a key is never replaced"
            ) from None
        with os.fdopen(file, "w", encoding="utf-8") as out:
            json.dump(account.encrypt(password), out)
            out.flush()
            os.fsync(out.fileno())
    return to_address(account.address)


def address_in(path: Path) -> Address:
    """Of a keystore file, as it says without its password. Raises InputError, StoreError."""
    return _address(path, _content(path))


def _address(path: Path, text: str) -> Address:
    try:
        return to_address("0x" + str(json.loads(text)["address"]).removeprefix("0x"))
    except (ValueError, KeyError, TypeError, InputError):
        raise InputError(f"{path} is no keystore file (version 3)") from None


def open_key(path: Path, password: str) -> Signer:
    """Raises InputError, also for a file that others can read, StoreError, MissingTool."""
    text = _content(path)
    _address(path, text)
    accounts = _accounts()
    try:
        return Signer(accounts.from_key(accounts.decrypt(text, password)))
    except (ValueError, KeyError, TypeError):
        # Without its cause, which can quote what was decrypted.
        raise InputError(f"{path}: the password is wrong, or the file damaged") from None


def _content(path: Path) -> str:
    with disk_errors(path, "cannot be read"):
        _refuse_if_others_read(path, "key file")
        return path.read_text(encoding="utf-8")


def _refuse_if_others_read(path: Path, what: str) -> None:
    mode = path.stat().st_mode
    if mode & OTHERS:
        raise InputError(
            f"{path}: this {what} can be read by others (mode {stat.S_IMODE(mode):o})."
            f" Mend it: chmod 600 {path}"
        )


def _accounts() -> Any:
    """eth-account, which only who signs has installed. Raises MissingTool."""
    try:
        from eth_account import Account
    except ImportError:
        raise MissingTool("eth-account", _REMEDY) from None
    return cast(Any, Account)
