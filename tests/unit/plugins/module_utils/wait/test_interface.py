# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interface as text is Varlink, and says what the helper takes and gives."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think import interface
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait.service import Service
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.errors import (
    HelperRefused,
)

from ..hold.conftest import ONE_WAY_IN
from ..hold.helper import Helper
from ..think.idl import Interface, Maybe, Named, Several, Type, checked_error, checked_reply
from .serving import Serving

OURS = Interface(interface.TEXT)
TEXTS = [interface.TEXT, interface.SERVICE_TEXT]

RIGHT: dict[str, Any] = {
    "rules": [],
    "exclude": [],
    "expected_generation": 0,
    "timeout": 5.0,
    "addresses": ["0000:02:00.0"],
    "all": False,
    "holder": "guest",
    "ttl": 5.0,
}
"""A value for each parameter there is."""

WRONG: dict[str, list[Any]] = {
    "bool": [0, 1, "true", [], {}],
    "int": ["1", 1.5, True, [], {}],
    "float": ["1", True, [], {}],
    "string": [5, 1.5, True, [], {}],
    "object": [5, "x", True, []],
}
TAKEN = [(name, parameter) for name, it in OURS.methods.items() for parameter in it.takes]


@pytest.mark.skipif(not shutil.which("varlinkctl"), reason="varlinkctl is not here")
@pytest.mark.parametrize("text", TEXTS)
def test_the_text_is_varlink_to_systemd(text: str, tmp_path: Path) -> None:
    (tmp_path / "idl").write_text(text)
    subprocess.run(["varlinkctl", "validate-idl", str(tmp_path / "idl")], check=True)


@pytest.mark.parametrize("text", TEXTS)
def test_the_text_is_varlink(text: str) -> None:
    assert Interface(text).methods


def test_what_is_served_is_in_the_text_and_nothing_else_is() -> None:
    service = Service(*[None] * 5)  # type: ignore[arg-type]
    assert set(service.methods()) == set(OURS.methods)


class Noting(dict[str, Any]):
    """Parameters that note what is asked for."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        super().__init__(parameters)
        self.asked: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)


class Call:
    """A call that is not answered by way of a socket."""

    more = True

    def __init__(self, parameters: dict[str, Any]) -> None:
        self.parameters = Noting(parameters)
        self.errors: list[str] = []

    def reply(self, parameters: Any, continues: bool = False) -> None:
        pass

    def error(self, name: str, parameters: Any = None) -> None:
        self.errors.append(f"{name} {parameters}")

    def refuse(self, error: Exception) -> None:
        self.errors.append(str(error))

    def on_close(self, callback: Any) -> None:
        pass


def called(helper: Helper, method: str, parameters: dict[str, Any]) -> Call:
    """Call a method of the helper in its loop."""
    call = Call(parameters)
    helper.in_loop(lambda: helper.daemon.service.methods()[method](call))  # type: ignore[arg-type]
    helper.settle()
    return call


@ONE_WAY_IN
@pytest.mark.parametrize("method", OURS.methods)
def test_the_parameters_of_the_text_are_those_that_are_read(helper: Helper, method: str) -> None:
    takes = OURS.methods[method].takes
    call = called(helper, method, {name: RIGHT[name] for name in takes})
    assert call.parameters.asked == set(takes)
    assert call.errors == []


@ONE_WAY_IN
@pytest.mark.parametrize(("method", "name"), TAKEN)
def test_a_parameter_may_be_missing_if_the_text_says_so(
    helper: Helper, method: str, name: str
) -> None:
    takes = OURS.methods[method].takes
    call = called(helper, method, {other: RIGHT[other] for other in takes if other != name})
    if isinstance(takes[name], Maybe):
        assert call.errors == []
    else:
        (error,) = call.errors
        assert name in error


def wrong(type_: Type) -> Iterator[Any]:
    """Return values that are not of a type."""
    if isinstance(type_, Maybe):
        yield from wrong(type_.inner)
    elif isinstance(type_, Several):
        yield from (5, "x", {}, True)
        yield from ([item] for item in wrong(type_.inner))
    elif isinstance(type_, Named):
        yield from WRONG[type_.name]


@ONE_WAY_IN
@pytest.mark.parametrize(("method", "name"), TAKEN)
def test_a_parameter_of_another_type_is_refused(helper: Helper, method: str, name: str) -> None:
    takes = OURS.methods[method].takes
    for value in wrong(takes[name]):
        parameters = {**{other: RIGHT[other] for other in takes}, name: value}
        with pytest.raises(HelperRefused) as refused:
            helper.client.call(method, parameters)
        assert refused.value.name == "InputRefused", value
        assert name in str(refused.value)
    assert not helper.devices()


def test_what_every_service_says_of_itself_is_as_its_text_says(serving: Serving) -> None:
    text = Interface(interface.SERVICE_TEXT)
    for method, parameters in (
        ("GetInfo", {}),
        ("GetInterfaceDescription", {"interface": text.name}),
    ):
        answer = serving.client.call(f"{text.name}.{method}", parameters)
        assert checked_reply(text, method, answer) == []
    for method, error in (
        ("GetInterfaceDescription", "InterfaceNotFound"),
        ("No", "MethodNotFound"),
    ):
        with pytest.raises(HelperRefused) as refused:
            serving.client.call(f"{text.name}.{method}")
        assert refused.value.name == error
        assert checked_error(text, error, dict(refused.value.parameters)) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "interface x",
        "interface a.b method Do()",
        "interface a.b method Do() -> (x: strin)",
        "interface a.b method Do() -> (x: Thing)",
        "interface a.b method do() -> ()",
        "interface a.b type A (x: int, x: int)",
        "interface a.b type A (x: ??int)",
        "interface a.b type A (x: int) type A (x: int)",
        "interface a.b type A (x-y: int)",
        "interface a.b type A (x: int;)",
    ],
)
def test_what_is_not_varlink_would_be_seen(text: str) -> None:
    with pytest.raises(ValueError, match=r"instead of|there|means nothing|twice"):
        Interface(text)
