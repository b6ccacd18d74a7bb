# SPDX-License-Identifier: GPL-3.0-or-later
"""Adam, the optimizer of the parameters."""

from __future__ import annotations

import torch

from smalti.engine.fitting.adam import Adam


def test_adam_steps_like_torchs_own() -> None:
    generator = torch.Generator().manual_seed(0)
    ours, theirs = (
        {name: torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(4, 3).requires_grad_() for name in ("a", "b")}
        for _ in range(2)
    )
    adam = Adam(ours, betas=(0.8, 0.95))
    reference = torch.optim.Adam(
        [{"params": [theirs["a"]], "lr": 0.3}, {"params": [theirs["b"]], "lr": 0.01}], betas=(0.8, 0.95), eps=0.0
    )
    for _ in range(20):
        gradients = {name: torch.randn(4, 3, generator=generator, dtype=torch.float64) for name in ours}
        for name, gradient in gradients.items():
            ours[name].grad, theirs[name].grad = gradient.clone(), gradient.clone()
        adam.step({"a": 0.3, "b": 0.01})
        reference.step()
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-12, atol=1e-12)


def test_adam_leaves_what_has_no_gradient_where_it_is() -> None:
    parameter = torch.ones(3, requires_grad=True)
    adam = Adam({"p": parameter}, betas=(0.8, 0.95))
    parameter.grad = torch.tensor([0.0, 1.0, 0.0])
    adam.step({"p": 0.5})
    assert parameter.tolist() == [1.0, 0.5, 1.0]
