"""The emulator's description of itself: held against the routes that really are served."""

from __future__ import annotations

import json
import re

import pytest

from paragon_async.emulator.openapi import describe

METHODS = ("get", "put", "post", "patch", "delete")


def nodes(value):
    """Every object in a document, the whole first."""
    if isinstance(value, dict):
        yield value
    children = (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    )
    for child in children:
        yield from nodes(child)


def operations(described):
    """Every (method, path, operation, parameters) of the description."""
    for path, item in described["paths"].items():
        for method in METHODS:
            if method in item:
                one = item[method]
                shared = item.get("parameters", [])
                yield method, path, one, [*shared, *one.get("parameters", [])]


def resolved(described, pointer):
    """What a reference points to, or a KeyError."""
    found = described
    for part in pointer.removeprefix("#/").split("/"):
        found = found[part]
    return found


@pytest.fixture(scope="module")
def described():
    return json.loads(json.dumps(describe()))


def test_it_is_open_api(described):
    """The document has what OpenAPI 3.1 demands of a document and of every operation."""
    assert re.fullmatch(r"3\.1\.\d+", described["openapi"])
    assert described["info"]["title"] and described["info"]["version"]
    names = [one["operationId"] for _, _, one, _ in operations(described)]
    assert len(names) == len(set(names))
    for method, path, one, parameters in operations(described):
        assert one["responses"] and one["summary"], (method, path)
        for status, answer in one["responses"].items():
            assert re.fullmatch("[2-5][0-9]{2}", status)
            assert "$ref" in answer or answer["description"]
        named = [(p["in"], p["name"]) for p in parameters]
        assert len(named) == len(set(named))
        assert {n for place, n in named if place == "path"} == set(re.findall(r"{(\w+)}", path))
        assert all(p["required"] and "schema" in p for p in parameters if p["in"] == "path")


def test_every_reference_resolves(described):
    """What is pointed to is there, within the document, and everything named is pointed to."""
    pointers = {node["$ref"] for node in nodes(described) if "$ref" in node}
    for pointer in pointers:
        assert pointer.startswith("#/components/")
        assert resolved(described, pointer)
    for kind in ("schemas", "responses"):
        for name in described["components"][kind]:
            assert f"#/components/{kind}/{name}" in pointers


def test_schemas_are_well_formed(described):
    """What an object requires it describes, and alternatives and words are never empty."""
    for node in nodes(described):
        if isinstance(required := node.get("required"), list):
            assert set(required) <= set(node.get("properties", {"openapi": None}))
        for key in ("enum", "anyOf", "oneOf"):
            assert node.get(key) != []


def test_every_route_is_described_and_no_other(emulator, described):
    """The description and the running emulator have the same methods on the same paths."""
    served = {
        (route.method.lower(), route.resource.canonical)
        for route in emulator._runner.app.router.routes()
    }
    assert {(method, path) for method, path, _, _ in operations(described)} == served


def test_who_needs_a_token(described):
    """Production paths need a bearer's token and may answer 401 and 429; the others need none."""
    for _, path, one, _ in operations(described):
        needs = path.startswith("/api/")
        assert one["security"] == ([{"bearer": []}] if needs else [])
        assert ({"401", "429"} <= set(one["responses"])) == needs
        assert {"400", "403", "421"} <= set(one["responses"])
        assert ("requestBody" in one) == ("413" in one["responses"])


async def test_it_is_served(client, described):
    """Whoever asks for it gets it, without a token."""
    client.headers = {}
    assert await client.admin("GET", "openapi.json") == described
