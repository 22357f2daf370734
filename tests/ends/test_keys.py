"""Keys: kept under a password, never shown, refused where others can read them."""

from __future__ import annotations

import io
import json
import re
import stat
import sys
import traceback
from pathlib import Path

import pytest
from eth_account import Account

from dexarb.core.token import Address
from dexarb.ends.live.keys import Call, Password, Signer, address_in, import_key, new_key, open_key
from dexarb.errors import InputError
from tests.support.command import Dexarb

PASSWORD = "correct horse battery"
KEY = "0x" + "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"[:64]
ADDRESS = "0x2c7536e3605d9c16a7a3d7b1898e529396a65c23"
"""The key and address of web3.js's documentation of accounts.create."""


def test_a_new_key_opens_with_its_password_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "one.json"
    address = new_key(path, PASSWORD)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["version"] == 3
    assert address_in(path) == address
    assert open_key(path, PASSWORD).address == address
    with pytest.raises(InputError, match="the password is wrong"):
        open_key(path, PASSWORD + "r")


def test_a_key_of_ones_own_has_its_address(tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    assert import_key(path, f" {KEY}\n", PASSWORD) == ADDRESS
    assert open_key(path, PASSWORD).address == ADDRESS


@pytest.mark.parametrize(
    ("key", "password", "problem"),
    [
        ("0x1234", PASSWORD, "that is no private key"),
        ("f" * 64, PASSWORD, "that is no private key"),
        (KEY, "short", "the password is too short"),
    ],
)
def test_what_is_not_kept(tmp_path: Path, key: str, password: str, problem: str) -> None:
    path = tmp_path / "none.json"
    with pytest.raises(InputError, match=problem) as refused:
        import_key(path, key, password)
    assert not path.exists()
    assert key not in str(refused.value)
    assert refused.value.__cause__ is None


def test_no_key_is_ever_replaced(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    new_key(path, PASSWORD)
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"exists\. Choose another name"):
        new_key(path, PASSWORD)
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "open.json"
    new_key(path, PASSWORD)
    path.chmod(mode)
    with pytest.raises(InputError, match=re.escape(f"(mode {mode:o}). Mend it: chmod 600")):
        open_key(path, PASSWORD)


def test_a_link_is_as_open_as_what_it_leads_to(tmp_path: Path) -> None:
    path, link = tmp_path / "open.json", tmp_path / "link.json"
    path.write_text("{}")
    path.chmod(0o644)
    link.symlink_to(path)
    with pytest.raises(InputError, match="can be read by others"):
        open_key(link, PASSWORD)


def test_what_goes_wrong_shows_neither_key_nor_password(tmp_path: Path) -> None:
    """Also not to who prints all that an error holds."""
    path = tmp_path / "own.json"
    whole = Account.encrypt(bytes.fromhex(KEY[2:]), PASSWORD, kdf="pbkdf2", iterations=1)
    path.touch(mode=0o600)
    damaged = [
        whole["crypto"] | {"mac": "00" * 32},
        whole["crypto"] | {"ciphertext": KEY[2:]},
        whole["crypto"] | {"kdf": PASSWORD},
        whole["crypto"] | {"kdfparams": {}},
        KEY,
    ]
    for crypto in damaged:
        path.write_text(json.dumps(whole | {"crypto": crypto}))
        with pytest.raises(InputError) as refused:
            open_key(path, PASSWORD)
        shown = "".join(traceback.format_exception(refused.value))
        assert str(path) in shown
        assert KEY[2:] not in shown
        assert PASSWORD not in shown


@pytest.mark.parametrize("text", ["", "{}", "[1]", "no JSON", '{"address": 7}'])
def test_a_file_that_is_no_keystore(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(InputError, match="no keystore file"):
        address_in(path)
    with pytest.raises(InputError, match="no keystore file"):
        open_key(path, PASSWORD)


def test_passwords_come_from_where_they_are_said_to(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    with pytest.raises(InputError, match="password file can be read by others"):
        Password(file=file).read({}, "it")
    file.chmod(0o600)
    assert Password(file=file).read({}, "it") == PASSWORD
    assert Password(variable="P").read({"P": PASSWORD}, "it") == PASSWORD
    with pytest.raises(InputError, match="P is not set"):
        Password(variable="P").read({}, "it")
    assert Password(ask=lambda prompt: prompt).read({}, "it") == "Password of it: "
    with pytest.raises(InputError, match="nobody can be asked"):
        Password().read({}, "it")


def test_a_signed_transaction_is_what_it_says() -> None:
    signer = Signer(Account.from_key(KEY))
    to = Address("0x" + "ab" * 20)
    signed, raw = signer.sign(
        Call(to, b"\x01\x02", 90_000, value=5), chain_id=137, nonce=7, max_fee=10**11, tip=10**9
    )
    assert Account.recover_transaction(raw).lower() == ADDRESS == signed.lane
    assert (signed.nonce, signed.gas_limit, signed.max_fee, signed.tip) == (
        7,
        90_000,
        10**11,
        10**9,
    )
    assert KEY[2:] not in repr(signer) + str(vars(signer))


def test_the_commands(dexarb: Dexarb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keys" / "operator.json"
    monkeypatch.setenv("MY_PASSWORD", PASSWORD)
    made = dexarb("key", "new", path, "--password-env", "MY_PASSWORD")
    assert made.code == 0
    address = json.loads(dexarb("key", "show", path, "--json").out)["address"]
    assert made.out.startswith(address)
    assert PASSWORD not in made.out + made.err
    again = dexarb("key", "new", path, "--password-env", "MY_PASSWORD")
    assert again.code == 2
    assert "a key is never replaced" in again.err


@pytest.mark.parametrize("command", ["new", "import", "show"])
@pytest.mark.parametrize("key", [KEY, KEY[2:].upper()])
def test_a_key_that_is_given_as_the_name_of_its_file_is_not_said_again(
    dexarb: Dexarb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, key: str
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = dexarb("key", command, key)
    assert refused.code == 2
    assert "take another key" in refused.err
    assert key not in refused.err + refused.out
    assert not list(tmp_path.iterdir())


def test_nor_one_that_stands_in_the_file_of_a_bot(dexarb: Dexarb, tmp_path: Path) -> None:
    path = tmp_path / "live.toml"
    path.write_text(
        f'[live]\nexecutor = "{ADDRESS}"\nowner = "{ADDRESS}"\n[[lane]]\nkey_file = "{KEY}"\n'
        '[[way]]\nname = "node"\nurl = "http://127.0.0.1:8545"\n'
    )
    refused = dexarb("config", "check", "-c", path)
    assert refused.code == 2
    assert "that is a private key itself" in refused.err
    assert KEY[2:] not in refused.err + refused.out


def test_an_imported_key_is_neither_asked_for_on_the_command_line_nor_said_again(
    dexarb: Dexarb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keys" / "own.json"
    monkeypatch.setenv("MY_PASSWORD", PASSWORD)
    for key, code in ((KEY[:-1] + "x", 2), (KEY, 0)):
        monkeypatch.setattr(sys, "stdin", io.StringIO(key + "\n"))
        said = dexarb("key", "import", path, "--password-env", "MY_PASSWORD")
        assert said.code == code, said.err
        assert KEY[2:-1] not in said.out + said.err
    assert KEY[2:] not in path.read_text()
    on_the_line = dexarb("key", "import", path.with_name("other.json"), KEY)
    assert on_the_line.code == 2
    assert not path.with_name("other.json").exists()
