# SPDX-License-Identifier: GPL-3.0-or-later
"""What a back end offers, and its module by its name (the table stands in `smalti.engine.devices`)."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple, Protocol, cast

from ..arrays import AnyArray, Float32Array, Int32Array, Int64Array
from ..devices import BACK_ENDS
from .atlas import Atlas
from .candidates import Candidates, CandidateScores
from .scene import Array, Gradients, Scene
from .step import FusedStep

FINISHED_BACK_END = "cpu"
"""What draws finished pictures, whatever computed them: every machine has it."""


class Operations(Protocol):
    """The functions of a back end's module. They take and return plain arrays and know nothing of autograd.

    NumPy arrays give NumPy arrays. A back end on a GPU also takes arrays in its memory, and then returns such arrays.
    A module also has a class `FusedStep` (atlas), and may have a function `why_not` () that tries out what
    `smalti.engine.devices.BackEnd.unavailable` cannot look at, and returns the reason why it does not work, or None.
    """

    FusedStep: Callable[[Atlas], FusedStep]

    def forward(self, scene: Scene[Any]) -> tuple[Any, Any]:
        """Composite a scene.

        Returns:
            The image [height, width, 4], premultiplied, and what `backward` needs of this pass.
        """
        ...

    def backward(self, saved: Any, grad_image: Array) -> Gradients[Any]:
        """The gradients of sum(grad_image * image). `saved` may be used any number of times."""
        ...

    def loss_and_gradients(
        self, scene: Scene[Any], goal: Array, absolute: bool, encoded: bool
    ) -> tuple[Any, Gradients[Any]]:
        """The loss against a goal [height, width, 4] and its gradients, see `smalti.engine.raster.image_loss`.

        Args:
            absolute: the difference is absolute (l1), otherwise squared (mse).
            encoded: the image is display-encoded before it is compared.

        Returns:
            The loss, a number or an array without dimensions, and the gradients.
        """
        ...

    def evaluate_candidates(
        self, scene: Scene[Any], goal: Array, candidates: Candidates[Any] | None
    ) -> CandidateScores[Any]:
        """See `smalti.engine.raster.evaluate_candidates`; without candidates the removal errors alone, for less."""
        ...


class MemoryInUse(NamedTuple):
    """Bytes of a GPU's memory that this process's arrays take: now, and at most since the peak was reset."""

    now: int
    peak: int


class GpuOperations(Operations, Protocol):
    """What the module of a GPU's back end offers besides, for measuring."""

    def upload(self, array: AnyArray) -> Any:
        """A copy of a NumPy array in the GPU's memory."""
        ...

    def synchronize(self) -> None:
        """Wait for the GPU."""
        ...

    def memory_in_use(self, reset_peak: bool = False) -> MemoryInUse:
        """What arrays take. `reset_peak`: what they take now is the peak from here on."""
        ...


def gpu_operations(back_end: str) -> GpuOperations:
    """A GPU's functions. Raises ValueError if there is no back end of this name, or if it is none of a GPU."""
    found = operations(back_end)
    if not BACK_ENDS[back_end].is_gpu:
        raise ValueError(f"the back end {back_end!r} does not compute on a GPU")
    return cast(GpuOperations, found)


def operations(back_end: str) -> Operations:
    """A back end's functions. Raises ValueError if there is no back end of this name."""
    if back_end not in BACK_ENDS:
        raise ValueError(f"no back end {back_end!r}; there are {', '.join(BACK_ENDS)}")
    return cast(Operations, import_module(BACK_ENDS[back_end].module))


def pixel_weights_of(scene: Scene[Any], least: float) -> tuple[Int64Array, Int32Array, Float32Array]:
    """What `smalti.engine.raster.visible_pixels` is made of, by what draws finished pictures."""
    return cast(Any, operations(FINISHED_BACK_END)).pixel_weights(scene, least)  # type: ignore[no-any-return]


def fused_step(back_end: str, atlas: Atlas) -> FusedStep:
    """The back end's fused step for sprites of this atlas. Raises as `operations`."""
    return operations(back_end).FusedStep(atlas)


def why_not(back_end: str) -> str | None:
    """Why a back end that is available by the table does not work, or None. May take a while the first time."""
    check = getattr(operations(back_end), "why_not", None)
    return None if check is None else cast("str | None", check())
