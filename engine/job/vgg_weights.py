# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the weights of VGG16 from a file, as torchvision publishes them."""

from __future__ import annotations

from pathlib import Path

from smalti.bridge.errors import SmaltiError

from ..devices import torch_unavailable
from ..errors import unreadable
from ..fitting.objective.losses import PictureDistance

HINT = "Give the state dict of torchvision's vgg16 (vgg16-397923af.pth)."


def read_features(path: Path) -> PictureDistance:
    """The distance of the term vgg. Only tensors are loaded: no code in the file is run.

    Raises:
        SmaltiError: code ``"bad_weights"``: the file cannot be read, or holds no weights of these shapes;
            ``"torch_missing"``: PyTorch is not installed.
    """
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise SmaltiError(f"{path}: {what}.", HINT, "bad_weights")
    if missing := torch_unavailable():
        raise SmaltiError("The loss vgg needs PyTorch, which is not installed.", missing.hint, "torch_missing")
    import torch

    from ..pytorch.vgg import FeatureDistance, Features

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as fault:
        raise unreadable(path, fault, "bad_weights") from fault
    except Exception as fault:  # torch raises many kinds for a file that it did not write
        raise SmaltiError(f"{path}: holds no weights, or is damaged.", HINT, "bad_weights") from fault
    if not isinstance(state, dict):
        raise SmaltiError(f"{path}: holds something else than a state dict.", HINT, "bad_weights")
    try:
        return FeatureDistance(Features(state))
    except ValueError as fault:
        raise SmaltiError(f"{path}: holds no weights of VGG16 ({fault}).", HINT, "bad_weights") from fault
