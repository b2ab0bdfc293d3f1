# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Varlink's interface text, parsed strictly, and values checked against its types."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple, Union

TOKEN = re.compile(r"[ \t\n]+|#[^\n]*\n|->|\[\]|[?():,]|[A-Za-z][A-Za-z0-9_.-]*")
INTERFACE = re.compile(r"[A-Za-z](-*[A-Za-z0-9])*(\.[A-Za-z0-9](-*[A-Za-z0-9])*)+")
NAME = re.compile(r"[A-Z][A-Za-z0-9]*")
FIELD = re.compile(r"[A-Za-z](_?[A-Za-z0-9])*")
PLAIN = {
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "string": (str,),
    "object": (dict,),
}


class Maybe(NamedTuple):
    """A type that may be null."""

    inner: Type


class Several(NamedTuple):
    """A list."""

    inner: Type


class Named(NamedTuple):
    """A plain type, or one that the interface declares."""

    name: str


Struct = dict[str, "Type"]
Type = Union[Maybe, Several, Named, Struct]


class Method(NamedTuple):
    """What goes in and what comes out."""

    takes: Struct
    gives: Struct


class Interface:
    """An interface by its text. Raises ValueError where the text is not Varlink's."""

    def __init__(self, text: str) -> None:
        self.types: dict[str, Struct] = {}
        self.methods: dict[str, Method] = {}
        self.errors: dict[str, Struct] = {}
        self._tokens = list(_tokens(text))
        self._expect("interface")
        self.name = self._next(INTERFACE)
        while self._tokens:
            self._member()
        for name in self._named():
            if name not in PLAIN and name not in self.types:
                raise ValueError(f"there is no type {name}")

    def problems(self, value: object, type_: Type, place: str) -> Iterator[str]:
        """Say where a value is not of a type."""
        if isinstance(type_, Maybe):
            if value is not None:
                yield from self.problems(value, type_.inner, place)
        elif isinstance(type_, Several):
            if not isinstance(value, list):
                yield f"{place}: {value!r} is not a list"
                return
            for at, item in enumerate(value):
                yield from self.problems(item, type_.inner, f"{place}[{at}]")
        elif isinstance(type_, dict):
            yield from self._fields(value, type_, place)
        elif type_.name in self.types:
            yield from self._fields(value, self.types[type_.name], place)
        elif not isinstance(value, PLAIN[type_.name]) or (
            isinstance(value, bool) and type_.name != "bool"
        ):
            yield f"{place}: {value!r} is not of type {type_.name}"

    def _fields(self, value: object, struct: Struct, place: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{place}: {value!r} is not an object"
            return
        yield from (f"{place}.{name}: is not in the text" for name in value.keys() - struct.keys())
        for name, type_ in struct.items():
            yield from self.problems(value.get(name), type_, f"{place}.{name}")

    def _member(self) -> None:
        kind = self._next(re.compile("type|method|error"))
        name = self._next(NAME)
        if name in {**self.types, **self.methods, **self.errors}:
            raise ValueError(f"{name} is there twice")
        struct = self._struct()
        if kind == "method":
            self._expect("->")
            self.methods[name] = Method(struct, self._struct())
        else:
            (self.types if kind == "type" else self.errors)[name] = struct

    def _struct(self) -> Struct:
        self._expect("(")
        struct: Struct = {}
        while self._tokens[0] != ")":
            if struct:
                self._expect(",")
            name = self._next(FIELD)
            if name in struct:
                raise ValueError(f"the field {name} is there twice")
            self._expect(":")
            struct[name] = self._type()
        self._expect(")")
        return struct

    def _type(self) -> Type:
        if self._tokens[0] == "?":
            self._expect("?")
            if self._tokens[0] == "?":
                raise ValueError("what may be null already cannot be so twice")
            return Maybe(self._type())
        if self._tokens[0] == "[]":
            self._expect("[]")
            return Several(self._type())
        if self._tokens[0] == "(":
            return self._struct()
        return Named(self._next(re.compile("|".join((*PLAIN, NAME.pattern)))))

    def _named(self, *types: Type) -> Iterator[str]:
        methods = (struct for method in self.methods.values() for struct in method)
        for type_ in types or (*self.types.values(), *methods, *self.errors.values()):
            if isinstance(type_, Named):
                yield type_.name
            elif isinstance(type_, dict):
                yield from (name for field in type_.values() for name in self._named(field))
            else:
                yield from self._named(type_.inner)

    def _next(self, pattern: re.Pattern[str]) -> str:
        token = self._tokens.pop(0) if self._tokens else "the end"
        if not pattern.fullmatch(token):
            raise ValueError(f"{token!r} instead of {pattern.pattern!r}")
        return token

    def _expect(self, token: str) -> None:
        self._next(re.compile(re.escape(token)))


def _tokens(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        found = TOKEN.match(text, at)
        if found is None:
            raise ValueError(f"{text[at : at + 20]!r} means nothing")
        at = found.end()
        if not found[0].startswith("#") and found[0].strip():
            yield found[0]


def checked_reply(interface: Interface, method: str, parameters: Any) -> list[str]:
    """Say what is wrong with a reply to a method of the interface."""
    return list(interface.problems(parameters, interface.methods[method].gives, method))


def checked_error(interface: Interface, error: str, parameters: Any) -> list[str]:
    """Say what is wrong with an error; one of another interface is not ours to judge."""
    prefix, _dot, name = error.rpartition(".")
    if prefix not in ("", interface.name):
        return []
    if name not in interface.errors:
        return [f"{error}: is not in the text"]
    return list(interface.problems(parameters, interface.errors[name], name))
