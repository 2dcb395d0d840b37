"""A deeper convolutional network: motif detectors, residual blocks that see further and further, learned places."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from nucleobert.convolutional import centred
from nucleobert.tokens import LETTERS

# Dilations of the blocks, again from the first when they are used up.
_DILATIONS = (1, 2, 4, 8)
_QUERIES = 4
_WIDENED = 2
_HEAD = 64


class _Block(nn.Module):
    """A depthwise convolution, a norm over the channels, two layers at each place; added to what came in.

    In training, whole channels of a sequence are dropped.
    """

    def __init__(self, channels: int, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.reach = dilation * (width - 1)
        # In two dimensions, one of them 1, for CPUs are quicker so where channels come last.
        self.convolution = nn.Conv2d(channels, channels, (1, width), dilation=dilation, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.wide = nn.Linear(channels, _WIDENED * channels)
        self.narrow = nn.Linear(_WIDENED * channels, channels)
        self.dropout = dropout

    def forward(self, states: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
        """Return states (n, length, channels); those where `inside` (n, length, 1) is 0 stay 0."""
        padded = functional.pad(states, (0, 0, self.reach // 2, self.reach - self.reach // 2))
        found = self.convolution(padded[:, None].permute(0, 3, 1, 2))[:, :, 0].transpose(1, 2)
        found = self.narrow(torch.relu(self.wide(self.norm(found))))
        channels = functional.dropout(states.new_ones(len(states), 1, states.shape[2]), self.dropout, self.training)
        return states + found * (inside * channels)


class ResidualCnn(nn.Module):
    """Motif detectors, residual blocks, pooling by attention, mean and maximum, a hidden layer, logits.

    Parameters
    ----------
    filters
        Number of detectors, and of channels in the blocks.
    width, block_width
        Nucleotides that a detector reads, and places that a block's convolution reads; their distance doubles from
        block to block (1, 2, 4, 8, 1, ...).
    blocks
        Number of residual blocks.
    places
        For so many nucleotides from the start a vector is learned that tells the place; 0 for none.
    dropout
        Share of the pooled values, and half that of a block's channels, that are dropped in training.
    outputs
        Number of logits.
    """

    def __init__(
        self,
        filters: int,
        width: int,
        blocks: int,
        block_width: int,
        places: int,
        dropout: float,
        outputs: int = 1,
    ) -> None:
        super().__init__()
        self.sizes: dict[str, Any] = {
            "filters": filters,
            "width": width,
            "blocks": blocks,
            "block_width": block_width,
            "places": places,
            "dropout": dropout,
            "outputs": outputs,
        }
        self.detectors = centred(len(LETTERS), filters, width)
        self.norm = nn.LayerNorm(filters)
        self.places = nn.Parameter(torch.zeros(places, filters))
        self.blocks = nn.ModuleList(
            _Block(filters, block_width, _DILATIONS[n % len(_DILATIONS)], dropout / 2) for n in range(blocks)
        )
        self.queries = nn.Linear(filters, _QUERIES)
        self.head = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear((_QUERIES + 2) * filters, _HEAD),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(_HEAD, outputs),
        )

    def forward(self, one_hot: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
        """Return logits (n, outputs) of one-hot sequences (n, 4, length); `inside` (n, length) is 0 on padding."""
        kept = inside[..., None]
        states = torch.relu(self.norm(self.detectors(one_hot).transpose(1, 2)))
        known = self.places[: states.shape[1]]
        states = (states + functional.pad(known, (0, 0, 0, states.shape[1] - len(known)))) * kept
        for block in self.blocks:
            states = block(states, kept)
        weights = self.queries(states).masked_fill(kept == 0, -torch.inf).softmax(1)
        attended = torch.einsum("nlq,nlc->nqc", weights, states).flatten(1)
        most = states.masked_fill(kept == 0, -torch.inf).amax(1)
        return self.head(torch.cat([attended, states.sum(1) / kept.sum(1), most], 1))
