"""Modules whose weights tell what they were made for."""

import json
from typing import Any

import torch
from torch import Tensor, nn


class Described(nn.Module):
    """A module whose weights go with a description of what they were made for, where their shapes do not tell."""

    _told: tuple[str, ...]  # attributes

    def get_extra_state(self) -> Tensor:
        """What the weights were made for, beside what their shapes tell.

        Returns
        -------
        Tensor of uint8
            Text in JSON: whatever copies, saves or clones the tensors of a state dict takes it along.
        """
        own = {name: getattr(self, name) for name in self._told}
        return torch.tensor(list(json.dumps(own).encode()), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Do nothing: what is loaded has been compared already.

        Parameters
        ----------
        state : Tensor
        """

    def _differences(self, state_dict: dict[str, Any], prefix: str) -> list[str]:
        """In what the weights that begin with ``prefix`` are not those of this module and its parts, in words."""
        found = []
        for name, module in self.named_modules(prefix=prefix.removesuffix(".")):
            entry = state_dict.get(f"{name}._extra_state".removeprefix("."))
            if isinstance(module, Described) and entry is not None:
                theirs = json.loads(bytes(entry.tolist()))
                found += [
                    f"{told}={theirs.get(told)!r} and not {getattr(module, told)!r}"
                    for told in module._told
                    if theirs.get(told) != getattr(module, told)
                ]
        return found

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: Any, strict: bool, missing_keys: list[str],
        unexpected_keys: list[str], error_msgs: list[str],
    ) -> None:  # fmt: skip
        """Refuse weights of another kind before any of them is copied."""
        different = self._differences(state_dict, prefix)
        if different:
            error_msgs.append(f"The weights {prefix}* are those of a network with {', '.join(different)}.")
            state_dict.update(self.state_dict(prefix=prefix))  # all parts keep what they have
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )
