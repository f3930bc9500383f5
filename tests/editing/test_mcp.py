"""The tools for programs, called by the official client of the protocol."""

from __future__ import annotations

import sys
from typing import Any

import pytest

pytest.importorskip("mcp", reason="the package mcp is not installed")
from mcp import ClientSession, StdioServerParameters, stdio_client

pytestmark = pytest.mark.asyncio(loop_scope="function")
WRONG = "net n {\n  input x: 3x8x8\n  a: cnv { filters: 8  kernel: 3 }\n}\n"


async def test_every_tool() -> None:
    server = StdioServerParameters(command=sys.executable, args=["-m", "netspec", "mcp"])
    async with stdio_client(server) as streams, ClientSession(*streams) as session:
        await session.initialize()
        names = {tool.name for tool in (await session.list_tools()).tools}
        assert names == {"check", "table", "explain", "ops", "compile", "convert", "fix"}

        async def call(tool: str, **arguments: Any) -> Any:
            result = await session.call_tool(tool, arguments)
            assert not result.is_error, result
            found = result.structured_content or {}
            return found.get("result", found)

        (wrong,) = (await call("check", spec=WRONG))["diagnostics"]
        assert (wrong["code"], wrong["line"]) == ("unknown-op", 3)
        done = await call("fix", spec=WRONG)
        assert "a: conv {" in done["text"]
        assert done["diagnostics"] == []
        assert (await call("check", spec=done["text"]))["nets"] == [
            {"name": "n", "params": 224, "macs": 8 * 27 * 36}
        ]
        total = (await call("table", spec="squeezenet1_0"))["total"]
        assert total["params"] == 1_248_424
        small = await call("table", spec="squeezenet1_0", settings={"classes": 10})
        assert small["total"]["params"] == 1_248_424 - 990 * 513
        assert "class SqueezeNet" in (await call("compile", spec="squeezenet1_1"))["source"]
        assert "wrong" in (await call("explain", code="unknown-op")).lower()
        assert "kernel" in await call("ops", op="conv")
        text = 'name: "c" layer { name: "r" type: "ReLU" bottom: "data" top: "r" }'
        text += '\ninput: "data" input_dim: 1 input_dim: 3 input_dim: 4 input_dim: 4'
        assert "relu" in (await call("convert", prototxt=text))["text"]
        # Files that are no specs are not read.
        (refused,) = (await call("check", spec="/etc/passwd"))["diagnostics"]
        assert refused["code"] == "unreadable-file"
