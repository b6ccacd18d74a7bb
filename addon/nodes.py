# SPDX-License-Identifier: GPL-3.0-or-later
"""Making the nodes of materials in few words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 200, 180  # of the grid in which nodes are put


def socket(sockets: Any, identifier: str) -> Any:
    """The one with this identifier, where several have the same name."""
    return next(each for each in sockets if each.identifier == identifier)


@dataclass(frozen=True)
class Nodes:
    """The nodes of one tree. Columns and rows are those of a grid, and may be fractions."""

    tree: Any

    def new(self, kind: str, column: float, row: float, label: str = "") -> Any:
        """A new node."""
        made = self.tree.nodes.new(kind)
        made.location, made.label = (column * WIDTH, row * HEIGHT), label
        return made

    def link(self, value: Any, into: Any) -> None:
        """Let a socket have a value: that of another socket, or a number or tuple."""
        if isinstance(value, (float, int, tuple)):
            into.default_value = value
        else:
            self.tree.links.new(value, into)

    def math(self, operation: str, column: float, row: float, label: str, *values: Any) -> Any:
        """The result of a number's operation."""
        made = self.new('ShaderNodeMath', column, row, label)
        made.operation = operation
        for value, into in zip(values, made.inputs):
            self.link(value, into)
        return made.outputs[0]

    def vector(self, operation: str, column: float, row: float, label: str, *values: Any) -> Any:
        """The result of a vector's operation."""
        made = self.new('ShaderNodeVectorMath', column, row, label)
        made.operation = operation
        into = [made.inputs[0], made.inputs["Scale"]] if operation == 'SCALE' else made.inputs
        for value, each in zip(values, into):
            self.link(value, each)
        return made.outputs["Value" if operation == 'DOT_PRODUCT' else "Vector"]

    def split(self, vector: Any, column: float, row: float) -> tuple[Any, Any, Any]:
        """The three numbers of a vector."""
        made = self.new('ShaderNodeSeparateXYZ', column, row)
        self.link(vector, made.inputs[0])
        return made.outputs[0], made.outputs[1], made.outputs[2]

    def join(self, column: float, row: float, *values: Any) -> Any:
        """A vector of up to three numbers."""
        made = self.new('ShaderNodeCombineXYZ', column, row)
        for value, into in zip(values, made.inputs):
            self.link(value, into)
        return made.outputs[0]
